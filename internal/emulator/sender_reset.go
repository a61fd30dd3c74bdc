package emulator

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"
)

// round is the time from one reset to the next.
type round struct {
	context context.Context // of its requests
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func (s *sender) newRound() *round {
	ctx, cancel := context.WithCancel(s.context)
	return &round{context: ctx, cancel: cancel}
}

// forget discards all messages, the faults and what is known about endpoints that failed. Attempts
// under way are neither recorded nor repeated.
func (s *sender) forget() (ended *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended, s.round = s.round, s.newRound()
	s.log, s.order, s.due = map[string]*message{}, nil, nil
	s.faults, s.outage = Faults{}, time.Time{}
	for _, p := range s.endpoints {
		p.disabled, p.first, p.failing = false, time.Time{}, time.Time{}
	}
	s.rest()
	return ended
}

// hurry forgets settled messages, and makes all others due now.
func (s *sender) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = slices.DeleteFunc(s.order, func(id string) bool {
		settled := s.log[id].state != "pending"
		if settled {
			delete(s.log, id)
		}
		return settled
	})
	now := s.clock.now()
	for _, a := range s.due {
		a.due = now
	}
	heap.Init(&s.due)
	for _, p := range s.endpoints {
		p.disabled, p.first, p.failing = false, time.Time{}, time.Time{}
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// lastWords is how long requests under way have to end after messages were discarded.
const lastWords = time.Second

// finish waits for the requests of a round, so that none arrives later, and breaks off those that
// take longer than a second. A receiver in this process may ignore that.
func (r *round) finish(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	r.cancel()
}
