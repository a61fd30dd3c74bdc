package emulator

import (
	"net/http"
	"time"
)

// limits counts requests in windows of ten seconds, of the instance and of each object that is written.
type limits struct {
	start  time.Time
	total  int
	writes map[string]int
}

const (
	limitWindow = 10 * time.Second
	writeLimit  = 10 // writes to one user, organization or membership
)

func (l *limits) take(c *call, rate int, now time.Time) error {
	if rate == 0 || c.r.URL.Path == "/v1/jwks" {
		return nil
	}
	if now.Sub(l.start) >= limitWindow || now.Before(l.start) {
		*l = limits{start: now, writes: map[string]int{}}
	}
	wait := int(limitWindow.Seconds()-now.Sub(l.start).Seconds()) + 1
	if l.total++; l.total > rate {
		return tooMany(wait)
	}
	if id := c.id(); id != "" && c.r.Method != http.MethodGet {
		if l.writes[id]++; l.writes[id] > writeLimit {
			return tooMany(wait)
		}
	}
	return nil
}

func tooMany(wait int) *APIError {
	e := fail(http.StatusTooManyRequests, "too_many_requests", "Too many requests", "Too many requests, please try again later.")
	e.retryAfter = wait
	return e
}
