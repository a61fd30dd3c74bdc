package machine

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// addressRate and addressBurst are how many unknown tokens one address may send. Programs have
	// one token or a few.
	addressRate  = 10 // in a second
	addressBurst = 20
	maxAddresses = 10_000
	ipv6Network  = 64 // bits: one client has that many addresses
)

// addresses bounds the unknown tokens of each address. Requests without an address share one limit.
type addresses struct {
	mu       sync.Mutex
	limiters *recent[netip.Addr, *rate.Limiter]
}

func newAddresses() *addresses {
	return &addresses{limiters: newRecent[netip.Addr, *rate.Limiter](maxAddresses)}
}

func (a *addresses) limiter(address netip.Addr) *rate.Limiter {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		network, _ := address.Prefix(ipv6Network)
		address = network.Addr()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l, found := a.limiters.get(address)
	if !found {
		l = rate.NewLimiter(addressRate, addressBurst)
		a.limiters.put(address, l)
	}
	return l
}

// wait returns how long until an address may send one more unknown token; 0 means now.
func (a *addresses) wait(address netip.Addr, now time.Time) time.Duration {
	return waitFor(a.limiter(address), now)
}

// charge counts an unknown token, or returns how long to wait.
func (a *addresses) charge(address netip.Addr, now time.Time) time.Duration {
	if l := a.limiter(address); !l.AllowN(now, 1) {
		return max(time.Millisecond, waitFor(l, now))
	}
	return 0
}

func waitFor(l *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - l.TokensAt(now)
	return time.Duration(max(0, missing) / float64(l.Limit()) * float64(time.Second))
}

// perMinute grants so many calls in any minute.
type perMinute struct {
	mu    sync.Mutex
	calls []time.Time // a ring: the last calls
	next  int         // the oldest of them
}

func newPerMinute(calls int) *perMinute { return &perMinute{calls: make([]time.Time, calls)} }

// charge grants a call, or returns how long to wait.
func (p *perMinute) charge(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.calls) == 0 {
		return time.Minute
	}
	if oldest := p.calls[p.next]; !oldest.IsZero() && now.Sub(oldest) < time.Minute {
		return min(time.Minute, max(time.Millisecond, time.Minute-now.Sub(oldest)))
	}
	p.calls[p.next] = now
	p.next = (p.next + 1) % len(p.calls)
	return 0
}

// giveBack takes back the last grant, because no call came of it.
func (p *perMinute) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = (p.next + len(p.calls) - 1) % len(p.calls)
	p.calls[p.next] = time.Time{}
}
