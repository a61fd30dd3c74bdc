package testkit

import (
	"context"
	"time"
)

// Now returns the time by our clock.
func (e *Env) Now() time.Time { return time.Now().Add(e.Waited()) }

// AdvanceClock moves our clock and Clerk's.
func (e *Env) AdvanceClock(d time.Duration) {
	e.AdvanceOurClock(d)
	e.Clerk.Advance(d)
}

// AdvanceOurClock moves our clock only, by a negative duration backwards.
func (e *Env) AdvanceOurClock(d time.Duration) { e.advanced.Add(int64(d)) }

// Waited returns how far our clock was moved, by the test or because the reconciler waited.
func (e *Env) Waited() time.Duration { return time.Duration(e.advanced.Load()) }

// sleep is how the reconciler waits: at once, by our clock.
func (e *Env) sleep(_ context.Context, d time.Duration) error {
	e.AdvanceOurClock(d)
	return nil
}
