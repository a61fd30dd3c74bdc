package clerkapi

import "time"

// Stats says what the client has done and how much it may do, for status pages and metrics.
type Stats struct {
	Requests uint64 // sent, retries included
	Retries  uint64
	TooMany  uint64 // answers 429
	Failures uint64 // requests that Clerk did not answer
	Shared   uint64 // calls that shared the request of another call
	Waits    uint64 // of callers for the budget
	Waited   time.Duration

	Limit   int           // requests of the instance that Clerk allows in ten seconds
	Budget  int           // this client's part of the limit
	Allowed int           // part of the budget that may be used now; less after a 429
	Used    int           // requests in the last ten seconds
	Paused  time.Duration // how long Clerk still wants no requests

	Breaker      BreakerState
	BreakerOpens uint64
	Outage       Outage
}

// Stats returns the counts since the client was made.
func (c *Client) Stats() Stats {
	s := Stats{
		Requests: c.requests.Load(), Retries: c.retries.Load(), Failures: c.failures.Load(), Shared: c.shared.Load(),
		Limit: c.config.Limit, Breaker: c.breaker.state(), Outage: c.outage.current(),
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

// Share returns the part of the budget that the last ten seconds used, from 0 to 1.
func (s Stats) Share() float64 { return float64(s.Used) / float64(max(1, s.Budget)) }
