package clerksync

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/webhook"
)

// The kinds of refusals. Only the process that meets one sees it.
const (
	refusedSignature = "webhook_signature" // no secret made the signature of a delivery
	refusedClock     = "webhook_clock"     // a delivery was well signed, but at another time than now
	refusedSecretKey = "secret_key"        // Clerk does not take the secret key
)

const (
	metaRefusals = "incidents" // under which name they are stored
	// refusalsEvery is how often refusals are written at most, however many there are.
	refusalsEvery = 5 * time.Second
	// refusalsFor is how long after the last refusal of a kind the warning stays, if nothing ends it. Clerk's longest pause
	// between two attempts of a delivery is ten hours.
	refusalsFor = 24 * time.Hour
)

// refusal counts refusals of one kind since it last went well.
type refusal struct {
	Count int64      `json:"count"`
	Since clerk.Time `json:"since"`
	Last  clerk.Time `json:"last"`
}

func (i refusal) plus(later refusal) refusal {
	if i.Count == 0 {
		return later
	}
	return refusal{i.Count + later.Count, i.Since, max(i.Last, later.Last)}
}

// unwritten is what is known of a kind beyond what is in the database.
type unwritten struct {
	refusal
	over bool // whatever was before has ended
}

// refusals counts what was refused, for warnings. One row of the database has the counts, so that commands show them,
// too, which are other processes than the server. The log has refusals as incidents (package incident). A goroutine lives
// only while there is something to write.
type refusals struct {
	db  *store.DB
	now func() time.Time
	log *slog.Logger

	mu      sync.Mutex
	idle    *sync.Cond
	written map[string]refusal   // what the row was when it was last seen
	writing map[string]unwritten // on its way into it; nil: nothing is
	pending map[string]unwritten // what came after that
	wrote   time.Time            // when it was last tried to write
	timer   *time.Timer          // of the next write; nil: none is due
	closed  bool
}

func newRefusals(db *store.DB, now func() time.Time, log *slog.Logger) *refusals {
	l := &refusals{db: db, now: now, log: log, written: map[string]refusal{}, pending: map[string]unwritten{}}
	l.idle = sync.NewCond(&l.mu)
	return l
}

// happened counts one refusal.
func (l *refusals) happened(kind string) {
	at := clerk.TimeOf(l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[kind]
	p.refusal = p.plus(refusal{1, at, at})
	l.pending[kind] = p
	l.schedule()
}

// ended notes that something went well that was refused before. It costs nothing where nothing was refused.
func (l *refusals) ended(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 && len(l.writing) == 0 && l.written[kind].Count == 0 {
		return
	}
	l.pending[kind] = unwritten{over: true}
	l.schedule()
}

// schedule begins to write now, or once the last write is long enough ago.
func (l *refusals) schedule() {
	if l.closed || l.timer != nil || l.writing != nil {
		return
	}
	l.timer = time.AfterFunc(refusalsEvery-min(refusalsEvery, time.Since(l.wrote)), l.write)
}

func (l *refusals) write() {
	added := l.take()
	if len(added) == 0 {
		return
	}
	row, err := l.merge(added)
	l.settle(added, row, err)
}

// take returns what is to be written, nothing while another goroutine writes.
func (l *refusals) take() map[string]unwritten {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	if l.writing != nil || len(l.pending) == 0 {
		return nil
	}
	l.writing, l.pending, l.wrote = l.pending, map[string]unwritten{}, time.Now()
	return l.writing
}

// settle ends a write. What could not be written waits for the next refusal, which tries again.
func (l *refusals) settle(added map[string]unwritten, row map[string]refusal, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = nil
	l.idle.Broadcast()
	if err != nil {
		l.log.Warn("what was refused could not be noted in the database", "error", err)
		for kind, p := range added {
			if later := l.pending[kind]; !later.over {
				l.pending[kind] = unwritten{p.plus(later.refusal), p.over}
			}
		}
		return
	}
	l.written = row
	if len(l.pending) > 0 {
		l.schedule()
	}
}

// merge adds to the row what happened since.
func (l *refusals) merge(added map[string]unwritten) (row map[string]refusal, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), refusalsEvery)
	defer cancel()
	err = l.db.UpdateMeta(ctx, metaRefusals, func(was string, head store.Head) (string, error) {
		row = withUnwritten(parseRefusals(was), added, head.LastReceivedAt)
		text, err := json.Marshal(row)
		return string(text), err
	})
	return row, err
}

// parseRefusals reads the row. One that is damaged is as good as none.
func parseRefusals(text string) map[string]refusal {
	row := map[string]refusal{}
	if json.Unmarshal([]byte(text), &row) != nil {
		return map[string]refusal{}
	}
	return row
}

// withUnwritten is the row with what it lacks, and without what has ended: refused deliveries are no news once a later one
// was accepted.
func withUnwritten(row map[string]refusal, added map[string]unwritten, accepted clerk.Time) map[string]refusal {
	all := map[string]refusal{}
	for _, kind := range []string{refusedSignature, refusedClock, refusedSecretKey} {
		was, more := row[kind], added[kind]
		if more.over || kind != refusedSecretKey && accepted >= was.Last {
			was = refusal{}
		}
		if kind != refusedSecretKey && accepted >= more.Last {
			more.refusal = refusal{}
		}
		if sum := was.plus(more.refusal); sum.Count > 0 {
			all[kind] = sum
		}
	}
	return all
}

// read remembers the row that the database has now.
func (l *refusals) read(ctx context.Context) error {
	l.mu.Lock()
	before := l.wrote
	l.mu.Unlock()
	text, err := l.db.Meta(ctx, metaRefusals)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	row := parseRefusals(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrote.Equal(before) && l.writing == nil {
		l.written = row
	}
	return nil
}

// known is what is told now: not what ended, nor what is long ago.
func (l *refusals) known(accepted clerk.Time) map[string]refusal {
	l.mu.Lock()
	all := withUnwritten(withUnwritten(l.written, l.writing, accepted), l.pending, accepted)
	l.mu.Unlock()
	now := l.now()
	maps.DeleteFunc(all, func(_ string, i refusal) bool { return now.Sub(i.Last.Time()) > refusalsFor })
	return all
}

// close writes what is left.
func (l *refusals) close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	for l.writing != nil {
		l.idle.Wait()
	}
	l.mu.Unlock()
	l.write()
}

// noteWebhook counts a delivery that was refused, if it looks like one of Clerk's: anyone can send anything here, and
// noise must not look like a wrong secret. What is counted is well formed in every header and signed just now.
func (m *Mirror) noteWebhook(h http.Header, err error) {
	refused, ok := errors.AsType[*webhook.Error](err)
	if !ok {
		return
	}
	switch refused.Reason {
	case webhook.ReasonStaleTimestamp, webhook.ReasonFutureTimestamp:
		m.refusals.happened(refusedClock)
	case webhook.ReasonNoMatchingSignature:
		if m.config.WebhookScheme == webhook.SchemeDangerousHMACBody || looksSigned(h, refused.Header, m.config.Test.Now()) {
			m.refusals.happened(refusedSignature)
		}
	default:
	}
}

// looksSigned reports whether a signature has the form of one, and the time next to it is now.
func looksSigned(h http.Header, signatureHeader string, now time.Time) bool {
	seconds, err := strconv.ParseInt(h.Get(strings.TrimSuffix(signatureHeader, "Signature")+"Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > webhook.DefaultTolerance {
		return false
	}
	for part := range strings.SplitSeq(h.Get(signatureHeader), " ") {
		if text, ok := strings.CutPrefix(part, "v1,"); ok {
			if sum, err := base64.StdEncoding.DecodeString(text); err == nil && len(sum) == 32 {
				return true
			}
		}
	}
	return false
}

// noteSecretKey notes whether Clerk took the secret key.
func (m *Mirror) noteSecretKey(accepted bool) {
	switch {
	case m.refusals == nil: // a configuration that is only looked at
	case accepted:
		m.refusals.ended(refusedSecretKey)
	default:
		m.refusals.happened(refusedSecretKey)
	}
}
