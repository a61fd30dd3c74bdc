package feed

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// pollEvery is how often the follower looks for what other processes committed.
	pollEvery = 100 * time.Millisecond
	// trusted is how long the ring is read without comparing it with the database.
	trusted = 2 * pollEvery
	// pollTimeout bounds a poll, so that a database that hangs becomes an error.
	pollTimeout = 5 * time.Second
	pollLimit   = 500
	// maxBackoff bounds the pause after a poll that failed.
	maxBackoff = 2 * time.Second

	ringChanges = 8192
	ringBytes   = 4 << 20
)

var errClosed = errors.New("the change feed is closed")

// follower is the only reader of news in a process. It polls while a caller waits, and at once
// after a commit of this process. One poll wakes any number of waiters: they wait for a channel to
// be closed, and then read the ring.
type follower struct {
	db  database
	log *slog.Logger

	wake chan struct{}   // holds a token if the next poll must not wait
	ctx  context.Context //nolint:containedctx // ends with the follower
	stop context.CancelFunc

	mu       sync.Mutex
	ring     ring
	waiting  int  // callers that wait
	running  bool // the goroutine lives: only while there are such callers
	begun    int  // polls
	ended    int
	good     int           // the last poll that succeeded
	behind   int           // polls one after the other that did not reach the end
	failures int           // polls one after the other that failed
	err      error         // of the last poll
	fresh    time.Time     // when the last poll that succeeded began
	due      time.Time     // when the next poll begins
	polled   chan struct{} // closed when a poll ends
	moved    chan struct{} // closed when the ring has changed, or a poll has failed
}

func newFollower(db database, log *slog.Logger) *follower {
	f := &follower{db: db, log: log, wake: make(chan struct{}, 1), polled: make(chan struct{}), moved: make(chan struct{})}
	f.ring.maxChanges, f.ring.maxBytes = ringChanges, ringBytes
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f
}

// notify makes the next poll begin at once.
func (f *follower) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// enter counts a caller that waits. The first one starts the goroutine.
func (f *follower) enter() {
	f.waiting++
	if f.running || f.ctx.Err() != nil {
		return
	}
	f.running = true
	if f.failures == 0 {
		f.due = time.Time{}
	}
	go f.run()
}

func (f *follower) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
}

func (f *follower) run() {
	for f.pause(); f.begin(); f.pause() {
		f.poll()
	}
}

// pause returns when the next poll is due. Commits and callers bring it forward, but not after a
// failure, so that no number of callers makes a database that fails busier.
func (f *follower) pause() {
	f.mu.Lock()
	due, wake := f.due, f.wake
	if f.failures > 0 {
		wake = nil
	}
	f.mu.Unlock()
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-f.ctx.Done():
	}
}

// begin reports whether the goroutine goes on, and counts the poll that then begins.
func (f *follower) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = f.waiting > 0 && f.ctx.Err() == nil
	if f.running {
		f.begun++
		select {
		case <-f.wake: // what it announces is read now
		default:
		}
	}
	return f.running
}

// poll reads what is new, and tells those who wait.
func (f *follower) poll() {
	began := time.Now()
	ctx, cancel := context.WithTimeout(f.ctx, pollTimeout)
	defer cancel()
	changed, err := f.fetch(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended, f.err, f.due = f.begun, err, began.Add(pollEvery)
	if err == nil {
		if f.failures > 0 {
			f.log.Info("the change feed can be read again")
		}
		f.fresh, f.failures, f.good = began, 0, f.begun
		if f.behind > 0 {
			f.due = began
		}
	} else {
		if f.failures == 0 && f.ctx.Err() == nil {
			f.log.Warn("the change feed cannot be read; readers that wait for changes get this error", "error", err)
		}
		f.failures++
		f.due = time.Now().Add(backoff(f.failures))
	}
	close(f.polled)
	f.polled = make(chan struct{})
	if changed || err != nil {
		close(f.moved)
		f.moved = make(chan struct{})
	}
}

// backoff returns the pause after a number of failures.
func backoff(failures int) time.Duration {
	d := min(pollEvery<<min(failures, 10), maxBackoff)
	return d/2 + rand.N(d/2) //nolint:gosec // to spread the replicas
}

// fetch adds to the ring what is new. Only the follower's goroutine changes the ring.
func (f *follower) fetch(ctx context.Context) (changed bool, err error) {
	f.mu.Lock()
	at := f.ring.end()
	f.mu.Unlock()
	if at.cursor == "" || f.behind > f.ring.maxChanges/pollLimit {
		return true, f.jump(ctx)
	}
	news, err := f.db.ChangesFrom(ctx, max(at.seq, 1), pollLimit)
	if err != nil {
		return false, err
	}
	// The last change is never removed, so that the one at the end of the ring is still there: if
	// not, the database has another history, or the ring is very old.
	if at.seq > 0 {
		if len(news) == 0 || store.FeedCursor(&news[0]) != at.cursor {
			return true, f.jump(ctx)
		}
		news = news[1:]
	} else if len(news) > 0 && news[0].Seq != 1 {
		return true, f.jump(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range news {
		f.ring.append(store.FeedEntry(&news[i]))
	}
	if len(news) >= pollLimit-1 {
		f.behind++
	} else {
		f.behind = 0
	}
	return len(news) > 0, nil
}

// jump lets the ring begin at the end of the feed. Readers that are not there read the table.
func (f *follower) jump(ctx context.Context) error {
	_, head, err := f.db.FeedEnds(ctx)
	if err != nil {
		return err
	}
	at, err := placeOf(head)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behind = 0
	f.ring.reset(at)
	return nil
}

// refresh returns when a poll has ended that began after the call.
func (f *follower) refresh(ctx context.Context) error {
	f.mu.Lock()
	want := f.begun + 1
	f.enter()
	f.notify()
	f.mu.Unlock()
	defer f.leave()
	for {
		f.mu.Lock()
		ended, err, polled := f.ended, f.err, f.polled
		f.mu.Unlock()
		if ended >= want {
			return err
		}
		select {
		case <-polled:
		case <-ctx.Done():
			return ctx.Err()
		case <-f.ctx.Done():
			return errClosed
		}
	}
}

// nextPoll returns the number of the next poll to begin.
func (f *follower) nextPoll() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun + 1
}

// succeeded reports whether a poll or a later one has succeeded.
func (f *follower) succeeded(poll int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.good >= poll
}

// endsAt reports whether a place is the end of the ring.
func (f *follower) endsAt(at place) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ring.end() == at
}

// ensureFresh compares the ring with the database unless that was done just now.
func (f *follower) ensureFresh(ctx context.Context) error {
	f.mu.Lock()
	fresh := f.failures == 0 && time.Since(f.fresh) < trusted
	f.mu.Unlock()
	if fresh && f.ctx.Err() == nil {
		return ctx.Err()
	}
	return f.refresh(ctx)
}

// news returns a channel that is closed with the next news. Callers take it before they read, so
// that nothing is missed between reading and waiting.
func (f *follower) news() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved
}

// await waits for news. It returns false when the time is up.
func (f *follower) await(ctx context.Context, news <-chan struct{}, timeUp <-chan time.Time) (bool, error) {
	f.mu.Lock()
	f.enter()
	f.mu.Unlock()
	defer f.leave()
	select {
	case <-news:
		f.mu.Lock()
		defer f.mu.Unlock()
		return true, f.err
	case <-timeUp:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-f.ctx.Done():
		return false, errClosed
	}
}

// read reads the ring. It is false if the ring does not know the place.
func (f *follower) read(r *reading) (mirror.FeedPage, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ring.read(r)
}

// has reports whether a change is in the ring, and whether it is after its end.
func (f *follower) has(at place) (found, beyond bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, found = f.ring.find(at)
	return found, at.seq > f.ring.end().seq
}
