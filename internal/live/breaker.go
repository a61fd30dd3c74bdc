package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

const (
	defaultLookupBound = time.Second
	tolerated          = 3 // failures in a row before the breaker opens
	patience           = 20 * time.Millisecond
	firstPause         = 250 * time.Millisecond
	longPause          = 5 * time.Second
	calm               = 10 * time.Second // closed for that long, the next pause is the first again
)

// Errors of lookups that did not end.
var (
	errOpen     = errors.New("the database did not answer a moment ago, and is not asked until it does")
	errTooSlow  = errors.New("the database did not answer in time")
	errSlowFeed = errors.New("the change feed is read too slowly to know what is still true")
)

// breaker prevents requests from waiting for a database that does not answer. Each look-up has a
// bound. One that passes it while no other look-up succeeded, or a few failures in a row, open the
// breaker: requests that wait are refused at once, and so are those that come. After a pause the
// next request is the probe: it looks up what it needs, alone, and closes the breaker if that
// succeeds. It waits for the answer for a moment only, so that it is refused as quickly as the
// others.
//
// It uses real time, whatever the clock of the cache is.
type breaker struct {
	bound time.Duration
	log   *slog.Logger

	open    atomic.Bool
	opens   atomic.Int64
	refused atomic.Int64

	mu        sync.Mutex
	failures  int           // in a row
	successes uint64        // all
	opened    chan struct{} // closed while the breaker is open
	probing   bool
	since     time.Time // when it opened or closed
	nextProbe time.Time
	pause     time.Duration
	turned    int64 // refused when it opened
}

func (b *breaker) init(bound time.Duration, log *slog.Logger) {
	b.bound, b.log, b.opened = bound, log, make(chan struct{})
}

// lookup is one look at the database. err is to be read after done is closed.
type lookup struct {
	ctx    context.Context // ends with the bound, or when the look-up has
	done   chan struct{}
	err    error
	opened <-chan struct{} // closed when there is no use in waiting any more; nil for the probe
	before uint64          // successes when it began
}

func (l *lookup) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// do makes a look-up and waits for it.
func (b *breaker) do(ctx context.Context, work func(context.Context) error) error {
	l, err := b.begin(ctx, work)
	if err != nil {
		return err
	}
	return b.wait(ctx, l)
}

// begin starts a look-up that runs on if the caller leaves, and ends by itself. It returns an error
// if none may be made now.
func (b *breaker) begin(ctx context.Context, work func(context.Context) error) (*lookup, error) {
	l, err := b.enter()
	if err != nil {
		return nil, err
	}
	var cancel context.CancelFunc
	l.ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), b.bound)
	stop := context.AfterFunc(l.ctx, func() { b.leave(l, errTooSlow) }) // also where a driver does not heed the bound
	go func() {
		l.err = work(l.ctx)
		if stop() {
			b.leave(l, l.err)
		}
		close(l.done)
		cancel()
	}()
	return l, nil
}

// wait returns when a look-up has ended, or when it is not worth waiting for.
func (b *breaker) wait(ctx context.Context, l *lookup) error {
	var enough <-chan time.Time
	if l.opened == nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-l.done:
		return l.err
	case <-l.opened:
	case <-enough:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ctx.Done():
		if l.ended() {
			return l.err
		}
		if !b.open.Load() {
			return errTooSlow
		}
	}
	b.refused.Add(1)
	return errOpen
}

func (b *breaker) enter() (*lookup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &lookup{done: make(chan struct{}), opened: b.opened, before: b.successes}
	if !b.open.Load() {
		return l, nil
	}
	if b.probing || time.Now().Before(b.nextProbe) {
		b.refused.Add(1)
		return nil, errOpen
	}
	b.probing, l.opened = true, nil
	return l, nil
}

// leave notes how a look-up went.
func (b *breaker) leave(l *lookup, err error) {
	if say := b.note(l, err); say != nil {
		say() // without the lock: a log may be slow
	}
}

// note records how a look-up went, and returns a function that logs it if there is anything to log.
func (b *breaker) note(l *lookup, err error) (say func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	probe := l.opened == nil
	if probe {
		b.probing = false
	}
	failed := err != nil && store.IsTransient(err) || errors.Is(err, errTooSlow)
	switch {
	case !failed: // an answer, if only that something is wrong with the question
		b.successes++
		b.failures = 0
		if probe {
			return b.close()
		}
	case probe:
		b.nextProbe = time.Now().Add(b.pause)
	case b.open.Load(): // of the look-ups that were under way when it opened none counts again
	default:
		if b.failures++; errors.Is(err, errTooSlow) && b.successes == l.before {
			b.failures = tolerated
		}
		if b.failures >= tolerated {
			return b.trip(err)
		}
	}
	return nil
}

// trip opens the breaker. A database that fails soon after it answered is left alone for longer
// each time.
func (b *breaker) trip(cause error) (say func()) {
	now := time.Now()
	if b.pause = min(2*b.pause, longPause); b.pause == 0 || now.Sub(b.since) >= calm {
		b.pause = firstPause
	}
	b.since, b.nextProbe = now, now.Add(b.pause)
	close(b.opened)
	b.open.Store(true)
	b.opens.Add(1)
	b.turned = b.refused.Load()
	pause := b.pause
	return func() {
		b.log.Error("the database does not answer: requests that need it are refused with 503 until it does", "error", cause, "next_look", pause)
	}
}

func (b *breaker) close() (say func()) {
	now := time.Now()
	after, refused := now.Sub(b.since).Round(time.Millisecond), b.refused.Load()-b.turned
	b.since, b.opened = now, make(chan struct{})
	b.open.Store(false)
	return func() { b.log.Info("the database answers again", "after", after, "requests_refused", refused) }
}
