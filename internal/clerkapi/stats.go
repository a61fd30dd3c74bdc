package clerkapi

import "time"

// Stats is what the client has done and how much it may do, for status pages and metrics.
type Stats struct {
	Requests uint64 // sent, retries included
	Retries  uint64
	TooMany  uint64 // answers 429
	Failures uint64 // requests that got no answer of Clerk's
	Shared   uint64 // calls that joined another's request
	Waits    uint64 // of callers for the budget
	Waited   time.Duration

	Limit   int           // requests of the instance in ten seconds, as Clerk grants them
	Budget  int           // ours of these
	Allowed int           // of the budget at present: less after a 429
	Used    int           // of the budget in the last ten seconds
	Paused  time.Duration // that Clerk still wants to hear nothing

	Breaker      BreakerState
	BreakerOpens uint64
}

// Stats counts from the start of the client.
func (c *Client) Stats() Stats {
	s := Stats{
		Requests: c.requests.Load(), Retries: c.retries.Load(), Failures: c.failures.Load(), Shared: c.shared.Load(),
		Limit: c.config.Limit, Breaker: c.breaker.state(),
	}
	c.breaker.mu.Lock()
	s.BreakerOpens = c.breaker.opens
	c.breaker.mu.Unlock()
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.forget(now)
	s.Budget, s.Allowed, s.Used = b.size, b.allowed(now), len(b.grants)
	s.TooMany, s.Waits, s.Waited = b.refusals, b.waits, b.waited
	s.Paused = max(0, b.paused.Sub(now))
	return s
}

// Share is the part of the budget that the last ten seconds used, from 0 to 1.
func (s Stats) Share() float64 { return float64(s.Used) / float64(max(1, s.Budget)) }
