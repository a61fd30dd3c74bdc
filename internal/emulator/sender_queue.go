package emulator

import (
	"container/heap"
	"context"
	"fmt"
	"time"
)

// schedule passes due attempts to the workers, in order.
func (s *sender) schedule() {
	defer close(s.ready)
	for {
		moved := s.clock.advanced() // before pop, so that no advance is missed
		a, wait := s.pop()
		if a != nil {
			select {
			case s.ready <- a:
				continue
			case <-s.context.Done():
				return
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.context.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.changed:
		case <-moved:
		}
		timer.Stop()
	}
}

// pop returns the next due attempt, or how long to wait for one.
func (s *sender) pop() (*attempt, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.due) > 0 && s.due[0].endpoint.disabled && !s.due[0].due.After(s.clock.now()) {
		if a := heap.Pop(&s.due).(*attempt); a.extra == "" {
			a.message.end("disabled")
		}
	}
	if len(s.due) == 0 {
		s.rest()
		return nil, time.Hour
	}
	if wait := s.due[0].due.Sub(s.clock.now()); wait > 0 {
		s.rest()
		return nil, wait
	}
	s.running++
	a := heap.Pop(&s.due).(*attempt)
	a.round = s.round
	a.round.running.Add(1)
	return a, 0
}

// rest wakes the callers of settle if nothing is due or under way.
func (s *sender) rest() {
	if s.running == 0 && (len(s.due) == 0 || s.due[0].due.After(s.clock.now())) {
		close(s.idle)
		s.idle = make(chan struct{})
	}
}

func (s *sender) settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		done := s.running == 0 && (len(s.due) == 0 || s.due[0].due.After(s.clock.now()))
		idle := s.idle
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("wait for deliveries: %w", ctx.Err())
		}
	}
}

func (s *sender) next() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return time.Time{}, false
	}
	return s.due[0].due, true
}

func (s *sender) work() {
	for a := range s.ready {
		result := s.try(a)
		s.settled(a, result)
	}
}

// queue is a heap by due time, then by the order of planning.
type queue []*attempt

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].sequence < q[j].sequence
	}
	return q[i].due.Before(q[j].due)
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*attempt)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
