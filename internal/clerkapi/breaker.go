package clerkapi

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	tolerated  = 5 // failures in a row before the breaker opens
	firstBreak = 5 * time.Second
	longBreak  = time.Minute
	probePoll  = time.Second // how often those look again who wait for a probe
)

// breaker keeps requests back during an outage: after failures in a row none is sent for a while, then one alone.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	opens    uint64
	until    time.Time // no request before this; zero: closed
	lasts    time.Duration
	probing  bool
}

type outcome uint8

const (
	unknown outcome = iota // not sent, or given up by the caller
	success                // Clerk answered, whatever it was
	failure
)

// enter returns 0 if a request may be sent, else how long to wait before asking again. Who enters must leave, and say
// whether it was as the probe.
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

// leave tells how it went, and answers whether the breaker opened or closed by that.
func (b *breaker) leave(o outcome, probe bool) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch o {
	case success:
		closed = !b.until.IsZero()
		b.failures, b.until, b.lasts = 0, time.Time{}, 0
	case failure:
		b.failures++
		opened = b.until.IsZero()
		// of the requests that were under way when it opened none counts again
		if late := !opened && !probe; late || b.failures < tolerated {
			return false, false
		}
		b.lasts = min(longBreak, max(firstBreak, 2*b.lasts))
		b.until = time.Now().Add(b.lasts - rand.N(b.lasts/5)) //nolint:gosec // spreads instances, guards nothing
		b.opens++
	case unknown:
	}
	return opened, closed
}

// BreakerState is whether requests are sent at all.
type BreakerState string

// The states of the breaker.
const (
	BreakerClosed  BreakerState = "closed"    // all goes well
	BreakerOpen    BreakerState = "open"      // an outage: nothing is sent
	BreakerProbing BreakerState = "half-open" // the next request, alone, finds out
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
