package refusals

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Kind is what is refused.
type Kind string

// The kinds of refusals. Only the process that meets one sees it.
const (
	Signature Kind = "webhook_signature" // no secret made the signature of a delivery
	Clock     Kind = "webhook_clock"     // a delivery was well signed, but at another time than now
	SecretKey Kind = "secret_key"        // Clerk does not accept the secret key
)

const (
	metaName = "incidents" // the name of the row
	// writeEvery is how often refusals are written at most, however many there are.
	writeEvery = 5 * time.Second
	// forgetAfter is how long after the last refusal of a kind the warning stays, if nothing ends
	// it. Clerk's longest pause between two attempts of a delivery is ten hours.
	forgetAfter = 24 * time.Hour
)

// Count counts refusals of one kind since the last success.
type Count struct {
	Count int64      `json:"count"`
	Since clerk.Time `json:"since"`
	Last  clerk.Time `json:"last"`
}

func (c Count) plus(later Count) Count {
	if c.Count == 0 {
		return later
	}
	return Count{c.Count + later.Count, c.Since, max(c.Last, later.Last)}
}

// unwritten is what is known of a kind and not in the database yet.
type unwritten struct {
	Count
	over bool // a success ended what was before
}

// Counter counts refusals and keeps the counts in the database. A goroutine lives only while
// there is something to write. A Counter is safe for concurrent use.
type Counter struct {
	db  *store.DB
	now func() time.Time
	log *slog.Logger

	accepted atomic.Int64 // when this process last accepted a delivery, as clerk.Time; 0: never

	mu      sync.Mutex
	idle    *sync.Cond
	written map[Kind]Count     // the row when it was read last
	writing map[Kind]unwritten // on its way into the row; nil: nothing is
	pending map[Kind]unwritten // what came after that
	wrote   time.Time          // when the last write began
	timer   *time.Timer        // of the next write; nil: none is due
	closed  bool
}

// New makes a Counter. It reads nothing; see [Counter.Load].
func New(db *store.DB, now func() time.Time, log *slog.Logger) *Counter {
	c := &Counter{db: db, now: now, log: log, written: map[Kind]Count{}, pending: map[Kind]unwritten{}}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// Add counts one refusal.
func (c *Counter) Add(kind Kind) {
	at := clerk.TimeOf(c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[kind]
	if kind != SecretKey && p.Count.Count > 0 && clerk.Time(c.accepted.Load()) >= p.Last {
		p = unwritten{over: true} // what is counted begins after the last one that was accepted
	}
	p.Count = p.plus(Count{1, at, at})
	c.pending[kind] = p
	c.schedule()
}

// Accepted notes that a delivery was well signed, and at the right time: refusals before it have
// ended.
func (c *Counter) Accepted() { c.accepted.Store(int64(clerk.TimeOf(c.now()))) }

// End notes a success: what was refused before has ended. It costs nothing where nothing was
// refused.
func (c *Counter) End(kind Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 && len(c.writing) == 0 && c.written[kind].Count == 0 {
		return
	}
	c.pending[kind] = unwritten{over: true}
	c.schedule()
}

// SecretKeyTried notes whether Clerk accepted the secret key.
func (c *Counter) SecretKeyTried(accepted bool) {
	if accepted {
		c.End(SecretKey)
	} else {
		c.Add(SecretKey)
	}
}

// schedule begins to write now, or once the last write is long enough ago.
func (c *Counter) schedule() {
	if c.closed || c.timer != nil || c.writing != nil {
		return
	}
	c.timer = time.AfterFunc(writeEvery-min(writeEvery, time.Since(c.wrote)), c.write)
}

func (c *Counter) write() {
	added := c.take()
	if len(added) == 0 {
		return
	}
	row, err := c.merge(added)
	c.finish(added, row, err)
}

// take returns what is to be written, nothing while another goroutine writes.
func (c *Counter) take() map[Kind]unwritten {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = nil
	if c.writing != nil || len(c.pending) == 0 {
		return nil
	}
	c.writing, c.pending, c.wrote = c.pending, map[Kind]unwritten{}, time.Now()
	return c.writing
}

// finish ends a write. What could not be written waits for the next refusal, which tries again.
func (c *Counter) finish(added map[Kind]unwritten, row map[Kind]Count, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = nil
	c.idle.Broadcast()
	if err != nil {
		c.log.Warn("refusals could not be stored in the database", "error", err)
		for kind, p := range added {
			if later := c.pending[kind]; !later.over {
				c.pending[kind] = unwritten{p.plus(later.Count), p.over}
			}
		}
		return
	}
	c.written = row
	if len(c.pending) > 0 {
		c.schedule()
	}
}

// merge adds to the row what happened since.
func (c *Counter) merge(added map[Kind]unwritten) (row map[Kind]Count, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeEvery)
	defer cancel()
	err = c.db.UpdateMeta(ctx, metaName, func(was string, head store.Head) (string, error) {
		row = withUnwritten(parse(was), added, max(head.LastReceivedAt, clerk.Time(c.accepted.Load())))
		text, err := json.Marshal(row)
		return string(text), err
	})
	return row, err
}

// parse reads the row. A damaged row counts as none.
func parse(text string) map[Kind]Count {
	row := map[Kind]Count{}
	if json.Unmarshal([]byte(text), &row) != nil {
		return map[Kind]Count{}
	}
	return row
}

// withUnwritten returns the row with what it lacks, and without what has ended: refused
// deliveries no longer count once a later one was accepted.
func withUnwritten(row map[Kind]Count, added map[Kind]unwritten, accepted clerk.Time) map[Kind]Count {
	all := map[Kind]Count{}
	for _, kind := range []Kind{Signature, Clock, SecretKey} {
		was, more := row[kind], added[kind]
		if more.over || kind != SecretKey && accepted >= was.Last {
			was = Count{}
		}
		if kind != SecretKey && accepted >= more.Last {
			more.Count = Count{}
		}
		if sum := was.plus(more.Count); sum.Count > 0 {
			all[kind] = sum
		}
	}
	return all
}

// Load reads the row of the database. While this process writes it, Load leaves it to the write.
func (c *Counter) Load(ctx context.Context) error {
	c.mu.Lock()
	before, writing := c.wrote, c.writing != nil
	c.mu.Unlock()
	if writing {
		return nil
	}
	text, err := c.db.Meta(ctx, metaName)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	row := parse(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrote.Equal(before) && c.writing == nil {
		c.written = row
	}
	return nil
}

// Current returns what is refused now: not what a success has ended, nor what is long ago.
// accepted is when the last delivery was accepted.
func (c *Counter) Current(accepted clerk.Time) map[Kind]Count {
	accepted = max(accepted, clerk.Time(c.accepted.Load()))
	c.mu.Lock()
	all := withUnwritten(withUnwritten(c.written, c.writing, accepted), c.pending, accepted)
	c.mu.Unlock()
	now := c.now()
	maps.DeleteFunc(all, func(_ Kind, i Count) bool { return now.Sub(i.Last.Time()) > forgetAfter })
	return all
}

// Close writes what is left.
func (c *Counter) Close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	for c.writing != nil {
		c.idle.Wait()
	}
	c.mu.Unlock()
	c.write()
}
