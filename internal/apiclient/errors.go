package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clerksync/clerksync/mirror"
)

// Error is an answer that is not a success.
type Error struct {
	Status    int
	Code      string // of the problem, such as not_found; empty if the answer is not a problem of clerksync
	Detail    string // for people
	RequestID string
	// Foreign reports that the answer is not one of the API: another server answers, or another
	// listener of clerksync.
	Foreign    bool
	RetryAfter time.Duration   // how long the server asks to wait, 0 if it does not
	Problem    json.RawMessage // the whole problem, nil if the answer is none
	Local      bool            // no server is behind it
	Cause      error           // of a fault of a local handler, nil if it is not known
	clerkSays  string          // why Clerk refused a change, empty if it did not say
}

// Error says what the answer says: what happened, and below it what to do, as far as it says that.
func (e *Error) Error() string {
	if !e.fault() && e.Detail != "" {
		parts := strings.Split(e.Detail, "; ") // what happened; what to do
		parts[0] = uncapitalized(parts[0])
		for i := range parts[1:] {
			parts[i+1] = capitalized(parts[i+1])
		}
		if e.clerkSays != "" {
			parts = slices.Insert(parts, 1, "Clerk says: "+e.clerkSays)
		}
		return strings.Join(parts, "\n")
	}
	var parts []string
	if !e.Local || e.Detail == "" {
		parts = append(parts, fmt.Sprintf("the server answers %d %s", e.Status, http.StatusText(e.Status)))
	}
	if e.Detail != "" {
		parts = append(parts, uncapitalized(e.Detail))
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return strings.Join(parts, ": ")
}

// fault reports whether the answer is about a fault of the server whose cause it does not say.
func (e *Error) fault() bool {
	return e.Status >= http.StatusInternalServerError && slices.Contains([]string{"", "storage_unavailable", "internal_error"}, e.Code)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// uncapitalized returns a sentence as a part of another one.
func uncapitalized(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if second, _ := utf8.DecodeRuneInString(text[size:]); size == 0 || unicode.IsUpper(second) {
		return text // an abbreviation
	}
	return string(unicode.ToLower(first)) + text[size:]
}

func capitalized(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// Is reports whether the error means the same as an error of the mirror.
func (e *Error) Is(target error) bool {
	return !e.Foreign && e.Code != "" && codes()[e.Code] == target
}

// codes are the errors of the mirror by the codes that the API answers with.
func codes() map[string]error {
	return map[string]error{
		"not_found": mirror.ErrNotFound, "ambiguous": mirror.ErrAmbiguous, "invalid_cursor": mirror.ErrInvalidCursor,
		"not_dead": mirror.ErrNotDead, "changes_removed": mirror.ErrChangesRemoved, "no_body": mirror.ErrNoBody, "no_secret_key": mirror.ErrNoSecretKey,
		"operator_exists": mirror.ErrOperatorExists, "invalid_operator": mirror.ErrInvalidOperator, "consumer_running": mirror.ErrConsumerRunning,
		"invalid_job": mirror.ErrInvalidJob, "job_ended": mirror.ErrJobEnded, "job_expired": mirror.ErrJobExpired,
		"writes_disabled": mirror.ErrWritesDisabled, "invalid_role": mirror.ErrInvalidRole, "outcome_unknown": mirror.ErrOutcomeUnknown,
		"invalid_override": mirror.ErrInvalidOverride,
	}
}

// Permanent reports whether another attempt would be answered in the same way.
func (e *Error) Permanent() bool {
	return e.Status != http.StatusTooManyRequests && e.Status < http.StatusInternalServerError
}

// noSuchRoute is the detail of the 404 for a path that a listener of clerksync does not have.
const noSuchRoute = "There is nothing at this path"

// errorOf returns the error of an answer that is not a success.
func (c *Client) errorOf(response *http.Response, body []byte) error {
	e := &Error{Status: response.StatusCode, Foreign: true, Local: c.cause != nil}
	if seconds, err := time.ParseDuration(response.Header.Get("Retry-After") + "s"); err == nil {
		e.RetryAfter = seconds
	}
	var problem struct {
		Code, Detail, Reason string
		RequestID            string `json:"request_id"`
		Oldest, Head         mirror.FeedCursor
		Clerk                struct{ Message string }
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, &problem) != nil {
		return e
	}
	if problem.Code == "cursor_gone" {
		after := mirror.FeedCursor(response.Request.URL.Query().Get("after"))
		return &mirror.CursorGoneError{Cursor: after, Reason: problem.Reason, Oldest: problem.Oldest, Head: problem.Head}
	}
	e.Code, e.Detail, e.RequestID, e.Problem = problem.Code, problem.Detail, problem.RequestID, body
	e.Foreign = e.Status == http.StatusNotFound && e.Detail == noSuchRoute
	e.clerkSays = problem.Clerk.Message
	if c.cause != nil && e.fault() {
		e.Cause = c.cause()
	}
	return e
}

// UnreachableError means that no answer came.
type UnreachableError struct {
	Server string // the URL, without a password
	Writes bool   // the request was to change something
	Err    error
}

// Error says what is wrong with the connection.
func (e *UnreachableError) Error() string {
	return "the server at " + e.Server + " cannot be reached: " + e.cause()
}

// Unknown reports that the request may have been served although no answer came.
func (e *UnreachableError) Unknown() bool {
	return e.Writes && !errors.Is(e.Err, syscall.ECONNREFUSED) && !errors.As(e.Err, new(*net.DNSError))
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

func (e *UnreachableError) cause() string {
	var unknownHost *net.DNSError
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return "nothing listens at this address"
	case errors.Is(e.Err, context.DeadlineExceeded):
		return "no answer came in time"
	case errors.As(e.Err, &unknownHost):
		return "the name of the host has no address"
	case strings.Contains(e.Err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS: use http://"
	case strings.Contains(e.Err.Error(), "malformed HTTP response"):
		return "it does not speak HTTP; perhaps use https://"
	}
	return e.Err.Error()
}

// unreachable returns the error of a request without an answer.
func (c *Client) unreachable(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok { // which repeats the URL with its query
		err = wrapped.Err
	}
	return &UnreachableError{Server: c.base.Redacted(), Writes: method != http.MethodGet, Err: err}
}
