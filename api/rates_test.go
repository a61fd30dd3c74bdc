package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/clerksync/clerksync/internal/web"
)

// unlimited returns rates that never refuse.
func unlimited() *rates {
	r := newRates(0)
	for c := range classes {
		r.crowd[c] = rate.NewLimiter(rate.Inf, 1)
	}
	r.most = 0
	return r
}

// A client has a burst, and then a limit a second; others have their own.
func TestRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRates(0)
		spend := func(c class, client string) (n int) {
			for r.allow(c, client) == nil {
				n++
			}
			return n
		}
		for c := range classes {
			limit := rateLimits[c]
			if got := spend(c, "ada"); got != limit.burst {
				t.Errorf("class %d: %d requests at once, want %d", c, got, limit.burst)
			}
			time.Sleep(3 * time.Second)
			if got := spend(c, "ada"); got != int(3*limit.perSecond) {
				t.Errorf("class %d: %d requests after three seconds, want %v", c, got, 3*limit.perSecond)
			}
		}
		if got := spend(writing, "bob"); got != rateLimits[writing].burst {
			t.Errorf("another client makes %d requests", got)
		}
		p, ok := r.allow(writing, "bob").(*web.Problem) //nolint:errorlint // it is never wrapped
		if !ok || p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "1" {
			t.Errorf("%+v", p)
		}
	})
}

// However many clients there are, the memory is bounded: those that have their burst again are
// forgotten, and if there are still too many, new ones share one limit.
func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRates(0)
		r.most = 100
		for i := range 10 * r.most {
			_ = r.allow(writing, fmt.Sprint("a", i))
		}
		if len(r.clients[writing]) != r.most {
			t.Errorf("%d clients are remembered", len(r.clients[writing]))
		}
		allowed := 0
		for i := range 10 * r.most {
			if r.allow(writing, fmt.Sprint("b", i)) == nil {
				allowed++
			}
		}
		if allowed > rateLimits[writing].burst {
			t.Errorf("%d requests of new clients at once", allowed)
		}
		time.Sleep(time.Minute)
		for range rateLimits[writing].burst {
			if err := r.allow(writing, "late"); err != nil {
				t.Fatalf("a client that comes later: %v", err)
			}
		}
		if len(r.clients[writing]) != 1 {
			t.Errorf("%d clients are remembered after a minute", len(r.clients[writing]))
		}
	})
}

// Too many requests without a good token are answered with 429; a good token still works. The
// client of a trusted proxy has its own limits, and cannot choose its address.
func TestRatesOfRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: adminRule(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	from := func(peer, forwarded string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = peer + ":1234"
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
		}
	}
	last := func(n int, token string, change func(*http.Request)) (a answer) {
		for range n {
			a = s.ask("/api/users", token, change)
		}
		return a
	}
	failures := rateLimits[failing].burst + 10
	if a := last(failures, "guess", from("192.0.2.1", "")); a.status != http.StatusTooManyRequests || a.fault.Code != "too_many_requests" ||
		a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	for name, c := range map[string]struct {
		token  string
		change func(*http.Request)
		status int
	}{
		"a good token from there":            {operatorToken, from("192.0.2.1", ""), 200},
		"another address":                    {"guess", from("192.0.2.2", ""), 401},
		"an address that the client chooses": {"guess", from("192.0.2.1", "198.51.100.7"), 429},
	} {
		if a := s.ask("/api/users", c.token, c.change); a.status != c.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := last(failures, "guess", from("10.0.0.1", "198.51.100.1, 203.0.113.9")); a.status != http.StatusTooManyRequests {
		t.Errorf("behind a proxy: %d", a.status)
	}
	if a := s.ask("/api/users", "guess", from("10.0.0.1", "203.0.113.9, 198.51.100.1")); a.status != http.StatusUnauthorized {
		t.Errorf("another client of the proxy: %d", a.status)
	}
	if a := last(failures, "guess", from("[2001:db8::1]", "")); a.status != http.StatusTooManyRequests {
		t.Errorf("IPv6: %d", a.status)
	}
	if a := s.ask("/api/users", "guess", from("[2001:db8::2]", "")); a.status != http.StatusTooManyRequests {
		t.Errorf("the same network: %d", a.status)
	}
	if a := s.ask("/api/users", "guess", from("[2001:db8:1::1]", "")); a.status != http.StatusUnauthorized {
		t.Errorf("another network: %d", a.status)
	}
	if a := last((rateLimits[reading].burst+defaultMaxStreamsPerClient)*2, operatorToken, from("192.0.2.9", "")); a.status != http.StatusTooManyRequests {
		t.Errorf("many requests of an operator: %d", a.status)
	}
	if a := s.ask("/api/users", operatorToken, from("192.0.2.10", "")); a.status != http.StatusOK {
		t.Errorf("the same operator elsewhere: %d", a.status)
	}
}
