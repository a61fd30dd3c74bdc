package clerkapi

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	maxFailures = 5 // failures in a row before the breaker opens
	minOpen     = 5 * time.Second
	maxOpen     = time.Minute
	probePoll   = time.Second // how often callers look again while a probe is under way
)

// breaker holds requests back during an outage: after failures in a row none is sent for a while,
// then a single one, the probe.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	opens    uint64
	until    time.Time // no request before this; zero means closed
	openFor  time.Duration
	probing  bool
}

type outcome uint8

const (
	inconclusive outcome = iota // not sent, or cancelled by the caller
	success                     // Clerk answered, whatever the answer was
	failure
)

// enter returns 0 if a request may be sent, otherwise how long to wait before the next call. Every
// request that was let in must call leave, and pass on whether it is the probe.
func (b *breaker) enter() (wait time.Duration, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch wait := time.Until(b.until); {
	case b.until.IsZero():
		return 0, false
	case wait > 0:
		return wait, false
	case b.probing:
		return probePoll, false
	}
	b.probing = true
	return 0, true
}

// leave records the outcome of a request, and reports whether that opened or closed the breaker.
func (b *breaker) leave(o outcome, probe bool) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch o {
	case success:
		closed = !b.until.IsZero()
		b.failures, b.until, b.openFor = 0, time.Time{}, 0
	case failure:
		b.failures++
		opened = b.until.IsZero()
		// requests that were under way when it opened do not count again
		if late := !opened && !probe; late || b.failures < maxFailures {
			return false, false
		}
		b.openFor = min(maxOpen, max(minOpen, 2*b.openFor))
		b.until = time.Now().Add(b.openFor - rand.N(b.openFor/5)) //nolint:gosec // spreads instances, guards nothing
		b.opens++
	case inconclusive:
	}
	return opened, closed
}

// BreakerState says whether requests are sent at all.
type BreakerState string

// The states of the breaker.
const (
	BreakerClosed  BreakerState = "closed"    // requests are sent
	BreakerOpen    BreakerState = "open"      // an outage: nothing is sent
	BreakerProbing BreakerState = "half-open" // the next request is the probe
)

func (b *breaker) state() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return BreakerClosed
	case time.Now().Before(b.until):
		return BreakerOpen
	}
	return BreakerProbing
}
