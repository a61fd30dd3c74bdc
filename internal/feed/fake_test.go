package feed

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// fakeLog is a change feed in memory, so that tests can move the clock of testing/synctest. Its
// reads take no time.
type fakeLog struct {
	mu      sync.Mutex
	changes []row.Change // all of this history, the first has number 1
	purged  int64        // changes up to this number were removed
	history int          // restored backups so far
	fail    error
	polls   int
	windows int

	// during is called in the next poll, after it has read and before it returns.
	during func()
}

// append adds changes of users and sessions, and returns the last.
func (l *fakeLog) append(n int) row.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		seq := int64(len(l.changes) + 1)
		kind, operation := clerk.KindUser, row.OpUpdated
		if seq%3 == 0 {
			kind = clerk.KindSession
		}
		if seq%5 == 0 {
			operation = row.OpCreated
		}
		l.changes = append(l.changes, row.Change{
			Seq: seq, Tag: fmt.Sprintf("%04x%04x", l.history, seq%0xffff), Key: row.Key{Kind: kind, ID: strconv.FormatInt(seq, 10)}, Operation: operation,
			OrganizationID: []string{"", "org_a", "org_b"}[seq%7%3],
		})
	}
	return l.changes[len(l.changes)-1]
}

// restore goes back to an older state of the database.
func (l *fakeLog) restore(seq int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history++
	l.changes = append([]row.Change(nil), l.changes[:seq]...)
	l.purged = max(0, min(l.purged, int64(seq-1)))
}

func (l *fakeLog) purge(seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purged = max(l.purged, min(seq, int64(len(l.changes)-1)))
}

func (l *fakeLog) setFail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

// reads returns how many polls and reads of the table there were.
func (l *fakeLog) reads() (polls, windows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.polls, l.windows
}

// from lists the stored changes from a number on.
func (l *fakeLog) from(seq int64, limit int) []row.Change {
	begin := max(seq, l.purged+1) - 1
	if begin >= int64(len(l.changes)) {
		return nil
	}
	all := l.changes[begin:]
	return append([]row.Change(nil), all[:min(limit, len(all))]...)
}

func (l *fakeLog) ChangesFrom(_ context.Context, seq int64, limit int) ([]row.Change, error) {
	l.mu.Lock()
	l.polls++
	found, err, during := l.from(seq, limit), l.fail, l.during
	l.during = nil
	l.mu.Unlock()
	if during != nil {
		during()
	}
	return found, err
}

func (l *fakeLog) FeedWindow(_ context.Context, w store.FeedWindow) ([]row.Change, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.windows++
	return l.from(max(w.After, 1), w.Limit+2), int64(len(l.changes)), l.fail
}

func (l *fakeLog) LatestChanges(context.Context, store.FeedWindow) ([]row.Change, error) {
	return nil, nil
}

func (l *fakeLog) FeedEnds(ctx context.Context) (oldest, head mirror.FeedCursor, err error) {
	oldest, _, head, err = l.FeedEndsAndChange(ctx, 0)
	return oldest, head, err
}

func (l *fakeLog) FeedEndsAndChange(_ context.Context, seq int64) (oldest, at, head mirror.FeedCursor, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest, head = mirror.FeedStart, mirror.FeedStart
	if n := len(l.changes); n > 0 {
		head = store.FeedCursor(&l.changes[n-1])
	}
	if l.purged > 0 {
		oldest = store.FeedCursor(&l.changes[l.purged])
	}
	if seq > l.purged && seq <= int64(len(l.changes)) {
		at = store.FeedCursor(&l.changes[seq-1])
	}
	return oldest, at, head, l.fail
}

func (l *fakeLog) Snapshot(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

func (l *fakeLog) LiveObjects(context.Context, clerk.Kind, []string) ([]store.LiveObject, error) {
	return nil, nil
}

func (l *fakeLog) KeysFor(context.Context, clerk.Kind, store.LiveFilter, string, int) ([]string, error) {
	return nil, nil
}
