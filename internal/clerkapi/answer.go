package clerkapi

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Answer says when an answer of Clerk was true, so that it can be ordered among events.
type Answer struct {
	Date    clerk.Time    // Clerk's clock when it answered, in whole seconds; 0 if the answer had no Date
	Elapsed time.Duration // from sending the request to the start of the answer, by our monotonic clock
	Fence   row.ReadFence // as it was before the request was sent
}

// ObservedAt returns the earliest time at which Clerk can have read what it answered: not before
// the request was sent, so later than everything that was applied by then, and at most Elapsed
// before Date. It does not depend on our clock.
func (a Answer) ObservedAt() clerk.Time {
	if a.Date == 0 {
		return a.Fence.ObservedAt
	}
	seconds := (a.Elapsed + time.Second - 1) / time.Second
	return max(a.Fence.ObservedAt, a.Date-clerk.Time(seconds*1000))
}
