package status

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// readTimeout bounds one read of the database, unless it has a limit of its own.
const readTimeout = time.Second

// shared is a read of the database that all who ask at a time share. A read has its own deadline:
// a client that hangs up does not cancel it for the others, and a database that does not respond
// keeps no client waiting longer than the limit after the read began.
type shared[T any] struct {
	maxAge time.Duration // how long a result is used
	limit  time.Duration // how long a read may take; 0 is readTimeout
	now    func() time.Time
	read   func(context.Context) T

	mu     sync.Mutex
	result T
	at     time.Time // when the result was read; zero: never
	call   *sharedCall
}

// sharedCall is a read under way.
type sharedCall struct {
	done     chan struct{}
	deadline time.Time
}

// put sets a result that was read elsewhere at a time, unless a newer one is known.
func (s *shared[T]) put(result T, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(s.at) {
		s.result, s.at = result, at
	}
}

// recent returns the last result and when it was read, also one that is too old: the next one is
// then read in the background. It waits for that one, for a while, if the last one is older than
// oldest or there is none.
func (s *shared[T]) recent(ctx context.Context, oldest, wait time.Duration) (result T, at time.Time) {
	s.mu.Lock()
	result, at = s.result, s.at
	age := s.now().Sub(at)
	if !at.IsZero() && age < s.maxAge {
		s.mu.Unlock()
		return result, at
	}
	call := s.begin()
	s.mu.Unlock()
	if !at.IsZero() && age < oldest {
		return result, at
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-call.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result, s.at
}

// begin begins a read, unless one is under way. The caller holds the lock.
func (s *shared[T]) begin() *sharedCall {
	if s.call == nil {
		s.call = &sharedCall{done: make(chan struct{}), deadline: time.Now().Add(cmp.Or(s.limit, readTimeout))}
		go s.run(s.call)
	}
	return s.call
}

// get returns the last result, or the next one if that is too old. ok is false when the database
// did not respond in time; then the result is that of the last read that ended, or the zero
// value.
func (s *shared[T]) get(ctx context.Context) (result T, ok bool) {
	s.mu.Lock()
	if age := s.now().Sub(s.at); s.call == nil && !s.at.IsZero() && age >= 0 && age < s.maxAge {
		defer s.mu.Unlock()
		return s.result, true
	}
	call := s.begin()
	s.mu.Unlock()

	timer := time.NewTimer(time.Until(call.deadline))
	defer timer.Stop()
	select {
	case <-call.done:
		ok = true
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result, ok
}

func (s *shared[T]) run(call *sharedCall) {
	ctx, cancel := context.WithDeadline(context.Background(), call.deadline)
	defer cancel()
	result := s.read(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result, s.at, s.call = result, s.now(), nil
	close(call.done)
}
