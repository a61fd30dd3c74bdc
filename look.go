package clerksync

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// lookTime is how long a look at the database may take before it counts as unanswered.
const lookTime = time.Second

// look finds out something about the database for everybody who asks. One look runs at a time, and all who ask meanwhile
// share it. It has its own deadline: a caller who hangs up does not cancel it for the others, and a database that does
// not answer keeps no caller waiting for longer than the limit after the look began.
type look[T any] struct {
	every time.Duration // how long a result serves
	limit time.Duration // how long a look may take; 0 is lookTime
	now   func() time.Time
	find  func(context.Context) T

	mu     sync.Mutex
	found  T
	at     time.Time // when it was found; zero: never
	flight *lookFlight
}

// lookFlight is a look under way.
type lookFlight struct {
	done     chan struct{}
	deadline time.Time
}

// put keeps what somebody else has just found out.
func (l *look[T]) put(found T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found, l.at = found, l.now()
}

// get returns the last result, or the next one if that is too old. ok is false when the database did not answer in time;
// then the result is that of the last look that ended, or the zero value.
func (l *look[T]) get(ctx context.Context) (found T, ok bool) {
	l.mu.Lock()
	if age := l.now().Sub(l.at); l.flight == nil && !l.at.IsZero() && age >= 0 && age < l.every {
		defer l.mu.Unlock()
		return l.found, true
	}
	if l.flight == nil {
		l.flight = &lookFlight{done: make(chan struct{}), deadline: time.Now().Add(cmp.Or(l.limit, lookTime))}
		go l.run(l.flight)
	}
	f := l.flight
	l.mu.Unlock()

	patience := time.NewTimer(time.Until(f.deadline))
	defer patience.Stop()
	select {
	case <-f.done:
		ok = true
	case <-patience.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found, ok
}

func (l *look[T]) run(f *lookFlight) {
	ctx, cancel := context.WithDeadline(context.Background(), f.deadline)
	defer cancel()
	found := l.find(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found, l.at, l.flight = found, l.now(), nil
	close(f.done)
}
