package clerkapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The reasons for which a call can fail. Every error is an [*Error] that wraps one of these, except
// errors of the caller's own context, read fence or page function.
var (
	// ErrNotFound means that Clerk itself answered that there is no such object.
	ErrNotFound = errors.New("not found at Clerk")
	// ErrNoParent means that the organization of the object was not found. It proves nothing about
	// the object, and is not an ErrNotFound.
	ErrNoParent = errors.New("the organization was not found at Clerk")
	// ErrBudget means that the budget is used up, or paused by Clerk, for longer than the caller
	// waits.
	ErrBudget = errors.New("request budget used up")
	// ErrUnauthorized means that Clerk does not accept the secret key.
	ErrUnauthorized = errors.New("secret key refused")
	// ErrUnavailable means that nothing was learned: the network failed, Clerk has an outage, or
	// the answer is not Clerk's.
	ErrUnavailable = errors.New("backend API unavailable")
	// ErrRefused means that Clerk understood the request and refused it, for example because
	// organizations are disabled.
	ErrRefused = errors.New("request refused")
	// ErrInvalid means that the call itself is wrong. No request was sent.
	ErrInvalid = errors.New("invalid call")
)

// OrganizationsDisabled reports whether an error is the exact answer with which Clerk says that
// organizations are not enabled for the instance. Any other refusal proves nothing.
func OrganizationsDisabled(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && errors.Is(failed, ErrRefused) && failed.Status == http.StatusForbidden &&
		failed.Code == "organization_not_enabled_in_instance"
}

// Error says why a call failed. Its text quotes neither secrets nor what Clerk wrote about a
// person.
type Error struct {
	Reason     error  // one of the errors above
	Op         string // what was tried: "read user user_x"
	Status     int    // of the last answer; 0 if there was none
	Code       string // Clerk's error code, if any
	Message    string // what Clerk wrote, if anything; it may name a person, and is not part of Error
	TraceID    string // Clerk's, for its support team
	Attempts   int    // requests that were sent
	Remedy     string // what a person can do; "" if only waiting helps
	RetryAfter time.Duration
	Unknown    bool // a request that changes something may have been carried out
	Cause      error
}

// Error returns the error in one line.
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
	if e.Unknown {
		b.WriteString("; Clerk may have done it")
	}
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap returns the reason and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Cause}
}

const (
	remedyKey     = "set CLERK_SECRET_KEY to a valid key of this instance (Clerk's dashboard, API keys)"
	remedyForeign = "check CLERK_API_URL and any proxy between here and Clerk: the answer is not from the Backend API"
	remedyOutage  = "see status.clerk.com and check the network; reads continue by themselves once Clerk answers"
	remedyBudget  = "raise CLERKSYNC_API_BUDGET if this happens often"
	remedyPaused  = "the instance exceeds Clerk's rate limit; find out what else uses its secret key"
	remedyPlan    = "the instance's plan at Clerk does not include this"
	remedySize    = "use smaller pages"
	remedyRefused = "see the code in Clerk's documentation; the feature may be disabled for this instance"

	remedyWriteLimit = "Clerk accepts ten changes of one object in ten seconds, and limits all requests of the instance: try again in a moment"
)

func invalid(op, problem string) *Error {
	return &Error{Reason: ErrInvalid, Op: op, Cause: errors.New(problem)}
}

// secrets returns the secret keys.
func (c *Client) secrets() []string {
	if machineKey := c.machineKey.Load(); machineKey != nil {
		return []string{c.key(), (*machineKey)()}
	}
	return []string{c.key()}
}

// hasSecret reports whether a text contains a secret key.
func (c *Client) hasSecret(text string) bool {
	return slices.ContainsFunc(c.secrets(), func(secret string) bool { return strings.Contains(text, secret) })
}

// scrub removes the secret keys from an error: a transport or a server may have put them there.
func (c *Client) scrub(err error) error {
	if err == nil || !c.hasSecret(err.Error()) {
		return err
	}
	text := err.Error()
	for _, secret := range c.secrets() {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return errors.New(text)
}

// longestMessage is the length of the longest message that is kept, in bytes.
const longestMessage = 500

// sentence returns what a server wrote for people, in one line, or "" if it cannot be shown.
func (c *Client) sentence(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) > longestMessage || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || c.hasSecret(s) {
		return ""
	}
	return s
}

// word returns a code or an id that a server sent, or "" if it does not look like one.
func (c *Client) word(s string) string {
	if len(s) > 100 || strings.ContainsFunc(s, notInID) || c.hasSecret(s) {
		return ""
	}
	return s
}
