package api

import (
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/clerksync/clerksync/internal/web"
)

// class is a class of requests that has a limit of its own.
type class int

const (
	reading class = iota // by a client who was admitted
	writing
	failing // without a token that counts; by address
	classes
)

// rateLimits are how many requests a second a client makes of each class, and at once. Bulk work is
// a job, so these are far more than people and programs need.
var rateLimits = [classes]struct {
	perSecond rate.Limit
	burst     int
}{
	reading: {100, 400}, // and at once as many as a client may have streams
	writing: {10, 60},
	failing: {5, 30},
}

const (
	// maxClients is how many clients are remembered. More of them at the same time share one limit.
	maxClients = 10_000
	// forgetEvery is how often clients are forgotten that have their whole burst again.
	forgetEvery = time.Second
)

// rates bounds how many requests a client makes.
type rates struct {
	most    int // clients of a class that are remembered
	streams int // of a client

	mu        sync.Mutex
	clients   [classes]map[string]*rate.Limiter
	crowd     [classes]*rate.Limiter // of clients for which there is no room
	forgotten time.Time              // when clients were last forgotten
}

// newRates returns rates for clients that have up to so many streams, which they may open at once.
func newRates(streams int) *rates {
	r := &rates{most: maxClients, streams: max(0, streams)}
	for c := range classes {
		r.clients[c], r.crowd[c] = map[string]*rate.Limiter{}, r.newLimiter(c)
	}
	return r
}

func (r *rates) newLimiter(c class) *rate.Limiter {
	limit := rateLimits[c]
	if c == reading {
		limit.burst += r.streams
	}
	return rate.NewLimiter(limit.perSecond, limit.burst)
}

// allow returns an error if a client makes too many requests of a class.
func (r *rates) allow(c class, client string) error {
	now := time.Now()
	limiter := r.limiter(c, client, now)
	if limiter.AllowN(now, 1) {
		return nil
	}
	wait := (1 - limiter.TokensAt(now)) / float64(limiter.Limit())
	return &web.Problem{
		Status: http.StatusTooManyRequests, Code: "too_many_requests", Detail: "This client makes too many requests. Wait as long as Retry-After says",
		Header: http.Header{"Retry-After": {strconv.Itoa(max(1, int(math.Ceil(wait))))}},
	}
}

// refused returns the answer to a request that is not admitted. Too many of them from one
// address are answered with 429. They never keep out a request with a good token: behind a proxy
// that is not trusted, all clients have one address, and no one can guess a token.
func (r *rates) refused(address netip.Addr, err error) error {
	p, ok := errors.AsType[*web.Problem](err)
	if !ok || p.Status != http.StatusUnauthorized && p.Status != http.StatusForbidden {
		return err
	}
	if limited := r.allow(failing, address.String()); limited != nil {
		return limited
	}
	return err
}

func (r *rates) limiter(c class, client string, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.clients[c][client]; ok {
		return l
	}
	if len(r.clients[c]) >= r.most {
		r.forget(now)
	}
	if len(r.clients[c]) >= r.most {
		return r.crowd[c]
	}
	l := r.newLimiter(c)
	r.clients[c][client] = l
	return l
}

// forget forgets the clients that have their whole burst again, for which a new limiter is the
// same.
func (r *rates) forget(now time.Time) {
	if now.Sub(r.forgotten) < forgetEvery {
		return
	}
	r.forgotten = now
	for c := range classes {
		for client, l := range r.clients[c] {
			if l.TokensAt(now) >= float64(l.Burst()) {
				delete(r.clients[c], client)
			}
		}
	}
}
