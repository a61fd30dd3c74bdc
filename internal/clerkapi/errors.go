package clerkapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What a call can fail with; every error but that of the caller's own context, horizon or page function is an [*Error]
// that wraps one of these.
var (
	// ErrNotFound says that Clerk itself answered that there is no such object.
	ErrNotFound = errors.New("not found at Clerk")
	// ErrNoParent says that the organization in which the object was looked for is not there. It proves nothing about
	// the object, and is no ErrNotFound.
	ErrNoParent = errors.New("the organization was not found at Clerk")
	// ErrBudget says that the budget is used up, or paused by Clerk, for longer than the caller would wait.
	ErrBudget = errors.New("request budget used up")
	// ErrUnauthorized says that Clerk does not take the secret key.
	ErrUnauthorized = errors.New("secret key refused")
	// ErrUnavailable says that nothing was learnt: network, outage, or an answer that is not Clerk's.
	ErrUnavailable = errors.New("backend API unavailable")
	// ErrRefused says that Clerk understood and refused, such as organizations that are switched off.
	ErrRefused = errors.New("request refused")
	// ErrInvalid says that the call itself is wrong; nothing was sent.
	ErrInvalid = errors.New("invalid call")
)

// OrganizationsDisabled reports whether an error is the exact answer by which Clerk says that organizations are not
// enabled for the instance. Any other refusal proves nothing.
func OrganizationsDisabled(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && errors.Is(failed, ErrRefused) && failed.Status == http.StatusForbidden &&
		failed.Code == "organization_not_enabled_in_instance"
}

// Error is why a call failed. It quotes neither secrets nor what Clerk wrote about a person.
type Error struct {
	Reason     error  // one of those above
	Op         string // what was tried: "read user user_x"
	Status     int    // of the last answer, 0: there was none
	Code       string // Clerk's, "" where there is none
	TraceID    string // Clerk's, for its support
	Attempts   int    // requests that were sent
	Remedy     string // what a person can do, "" where nothing helps but time
	RetryAfter time.Duration
	Cause      error
}

// Error is one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clerk: %s: %v", e.Op, e.Reason)
	var facts []string
	if e.Status != 0 {
		facts = append(facts, fmt.Sprintf("status %d", e.Status))
	}
	if e.Code != "" {
		facts = append(facts, "code "+e.Code)
	}
	if e.TraceID != "" {
		facts = append(facts, "trace "+e.TraceID)
	}
	if e.Attempts > 1 {
		facts = append(facts, fmt.Sprintf("%d attempts", e.Attempts))
	}
	if len(facts) > 0 {
		b.WriteString(" (" + strings.Join(facts, ", ") + ")")
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap gives the reason and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Cause}
}

const (
	remedyKey     = "set CLERK_SECRET_KEY to a valid key of this instance (Clerk's dashboard, API keys)"
	remedyForeign = "check CLERK_API_URL and what stands between here and Clerk: the answer is not the Backend API's"
	remedyOutage  = "see status.clerk.com and the network; reads go on by themselves once Clerk answers"
	remedyBudget  = "raise CLERKSYNC_API_BUDGET if this happens often"
	remedyPaused  = "Clerk has too many requests of this instance; find out what else uses its key"
	remedySize    = "use smaller pages"
	remedyRefused = "see the code in Clerk's documentation; the feature may be switched off for this instance"
)

func invalid(op, problem string) *Error {
	return &Error{Reason: ErrInvalid, Op: op, Cause: errors.New(problem)}
}

// scrub takes the secret key out of an error: a transport or a server may have put it there.
func (c *Client) scrub(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); strings.Contains(text, c.key()) {
		return errors.New(strings.ReplaceAll(text, c.key(), "[redacted]"))
	}
	return err
}

// word is a code or an id that a server sent, if it looks like one.
func (c *Client) word(s string) string {
	odd := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if len(s) > 100 || strings.ContainsFunc(s, odd) || strings.Contains(s, c.key()) {
		return ""
	}
	return s
}
