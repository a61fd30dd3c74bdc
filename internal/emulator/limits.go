package emulator

import (
	"maps"
	"math"
	"net/http"
	"strings"
	"time"
)

// limits counts requests in windows: of the instance, of each written object, of invitations.
type limits struct {
	windows map[string]window
}

type window struct {
	until time.Time
	count int
}

const (
	limitWindow      = 10 * time.Second
	invitationWindow = time.Hour
	writeLimit       = 10 // writes to one user, organization or membership
	maxWindows       = 10_000
)

// invitationLimits has how many requests of a route the API accepts in an hour.
func invitationLimits() map[string]int {
	return map[string]int{
		"POST /v1/invitations": 100, "POST /v1/invitations/bulk": 25,
		"POST /v1/organizations/{id}/invitations": 250, "POST /v1/organizations/{id}/invitations/bulk": 50,
	}
}

func (l *limits) take(c *call, rate int, now time.Time) error {
	if rate == 0 || c.unlimited() {
		return nil
	}
	if err := l.count("", rate, limitWindow, now); err != nil {
		return err
	}
	if most, limited := invitationLimits()[c.r.Pattern]; limited {
		return l.count(c.r.Pattern, most, invitationWindow, now)
	}
	if object := c.written(); object != "" {
		return l.count(object, writeLimit, limitWindow, now)
	}
	return nil
}

// unlimited reports whether a request does not count towards the limit of the instance. Clerk's
// staff says so of the verification of API keys and M2M tokens, which Clerk serves elsewhere.
func (c *call) unlimited() bool {
	switch strings.TrimPrefix(c.r.URL.Path, "/v1") {
	case "/jwks", "/api_keys/verify", "/m2m_tokens/verify":
		return true
	}
	return false
}

// written returns the user, organization or membership that a request changes.
func (c *call) written() string {
	_, path, _ := strings.Cut(c.r.Pattern, "/v1")
	switch {
	case c.r.Method == http.MethodGet:
		return ""
	case strings.HasPrefix(path, "/organizations/{id}/memberships/{user_id}"):
		return c.id() + " " + c.r.PathValue("user_id")
	case strings.HasPrefix(path, "/users/{id}"), path == "/organizations/{id}", path == "/organizations/{id}/metadata":
		return c.id()
	}
	return ""
}

func (l *limits) count(name string, most int, length time.Duration, now time.Time) error {
	past := func(_ string, w window) bool { return !now.Before(w.until) }
	if l.windows == nil {
		l.windows = map[string]window{}
	} else if len(l.windows) > maxWindows {
		maps.DeleteFunc(l.windows, past)
	}
	w := l.windows[name]
	if past(name, w) {
		w = window{until: now.Add(length)}
	}
	w.count++
	l.windows[name] = w
	if w.count > most {
		return tooMany(int(math.Ceil(w.until.Sub(now).Seconds())))
	}
	return nil
}

func tooMany(wait int) *APIError {
	e := fail(http.StatusTooManyRequests, "too_many_requests", "Too many requests", "Too many requests, please try again later.")
	e.retryAfter = wait
	return e
}
