package emulator

import (
	"math"
	"net/http"
	"time"
)

// limits are Clerk's: so many requests to the instance, to one object that is written, and to a few endpoints.
type limits struct {
	windows map[string]*window
}

// window counts since it was opened.
type window struct {
	end   time.Time
	count int
}

const (
	limitWindow = 10 * time.Second
	writeLimit  = 10 // writes in a window to one user, organization or membership
	maxWindows  = 10_000
)

// hourly are the endpoints with a limit of their own.
func hourly(pattern string) (limit int, ok bool) {
	limit, ok = map[string]int{
		"POST /v1/invitations":                         100,
		"POST /v1/invitations/bulk":                    25,
		"POST /v1/organizations/{id}/invitations":      250,
		"POST /v1/organizations/{id}/invitations/bulk": 50,
	}[pattern]
	return limit, ok
}

// take counts a request, or refuses it with the seconds after which it may come again.
func (l *limits) take(c *call, rate int, now time.Time) error {
	if rate == 0 || c.r.URL.Path == "/v1/jwks" {
		return nil
	}
	if err := l.count("", rate, limitWindow, now); err != nil {
		return err
	}
	if limit, ok := hourly(c.r.Pattern); ok {
		return l.count(c.r.Pattern, limit, time.Hour, now)
	}
	if id := c.id(); id != "" && c.r.Method != http.MethodGet {
		return l.count(id+"/"+c.r.PathValue("user_id"), writeLimit, limitWindow, now)
	}
	return nil
}

func (l *limits) count(what string, limit int, lasts time.Duration, now time.Time) error {
	w := l.windows[what]
	if w == nil || !now.Before(w.end) {
		l.sweep(now)
		w = &window{end: now.Add(lasts)}
		l.windows[what] = w
	}
	if w.count++; w.count > limit {
		return tooMany(int(math.Ceil(w.end.Sub(now).Seconds())))
	}
	return nil
}

// sweep forgets windows that are over, once there are many.
func (l *limits) sweep(now time.Time) {
	if l.windows == nil {
		l.windows = map[string]*window{}
	}
	if len(l.windows) < maxWindows {
		return
	}
	for what, w := range l.windows {
		if !now.Before(w.end) {
			delete(l.windows, what)
		}
	}
}

func tooMany(wait int) *APIError {
	e := fail(http.StatusTooManyRequests, "too_many_requests", "Too many requests", "Too many requests, please try again later.")
	e.retryAfter = wait
	return e
}
