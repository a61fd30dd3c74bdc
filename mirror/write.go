package mirror

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// By says who makes a change, and from where, for the audit. The zero value is a program that does
// not say who it is.
type By struct {
	// Actor is who makes the change: the name of an operator, "operator" for the operator with the
	// configured token, or the Clerk user id of an administrator.
	Actor string
	// Address is the IP address of the client, empty if there is none.
	Address string
	// Origin is what asked for the change: a method and a route, such as
	// "POST /api/users/{id}/ban", or "command".
	Origin string
	// RequestID is the id of the HTTP request, empty for none.
	RequestID string
}

// Entry returns an audit entry of an action, with who did it and from where.
func (b By) Entry(action AuditAction) AuditEntry {
	return AuditEntry{Action: action, Actor: b.Actor, Address: b.Address, Origin: b.Origin, RequestID: b.RequestID}
}

// Where says where a change was made.
type Where string

// The places where a change is made.
const (
	// AtClerk means that Clerk made the change, and that the mirror has Clerk's answer.
	AtClerk Where = "clerk"
	// Here means that the change is in this database alone, because there is no secret key with
	// which Clerk could be asked. Clerk does not know of it.
	Here Where = "local"
)

// Written says what became of a change.
type Written struct {
	// Where is where the change was made.
	Where Where `json:"where"`
	// Cursor is the place in the change feed after the change: a reader that has reached it sees
	// the change.
	Cursor FeedCursor `json:"cursor"`
}

// Errors of changes, for errors.Is. Package clerksync has them, too.
var (
	// ErrWritesDisabled means that the configuration forbids changes.
	ErrWritesDisabled = errors.New("changes are disabled: set CLERKSYNC_WRITES to on, or Config.DisableWrites to false")
	// ErrInvalidRole means that a role is not on the role ladder.
	ErrInvalidRole = errors.New("not a role of the ladder")
	// ErrClerkRefused means that Clerk understood a change and refused it.
	ErrClerkRefused = errors.New("Clerk refused the change") //nolint:staticcheck // a name
	// ErrClerkBusy means that the change would exceed a rate limit of Clerk, or the part of it that
	// clerksync may use. Nothing was changed.
	ErrClerkBusy = errors.New("too many requests to Clerk")
	// ErrClerkUnavailable means that Clerk did not answer, or that the answer was not Clerk's.
	ErrClerkUnavailable = errors.New("Clerk cannot be reached") //nolint:staticcheck // a name
	// ErrSecretKeyRefused means that Clerk does not accept the secret key.
	ErrSecretKeyRefused = errors.New("Clerk refuses the secret key") //nolint:staticcheck // a name
	// ErrOutcomeUnknown means that Clerk may have made a change, although no answer says so. The
	// object is read again from Clerk within seconds. Making the change once more does no harm.
	ErrOutcomeUnknown = errors.New("the outcome is unknown")
	// ErrNotStored means that Clerk has made a change which could not be stored here. Clerk's event
	// or the next read of the object brings it.
	ErrNotStored = errors.New("Clerk has made the change, and it could not be stored here yet") //nolint:staticcheck // a name
)

// ClerkError says why Clerk did not make a change. It wraps [ErrNotFound], [ErrClerkRefused],
// [ErrClerkBusy], [ErrClerkUnavailable] or [ErrSecretKeyRefused], and [ErrOutcomeUnknown] if
// OutcomeUnknown is set.
type ClerkError struct {
	// Reason is one of the errors above.
	Reason error
	// Operation is what was tried, such as "ban user user_x".
	Operation string
	// Status is the HTTP status of Clerk's last answer, 0 if there was none.
	Status int
	// Code is Clerk's error code, such as "form_param_value_invalid", empty for none.
	Code string
	// Message is what Clerk wrote, empty for nothing. It may name a person, and is not part of the
	// text of the error.
	Message string
	// TraceID is for Clerk's support, empty for none.
	TraceID string
	// Remedy is what a person can do, empty if only waiting helps.
	Remedy string
	// RetryAfter is when to try again, 0 if that is not known.
	RetryAfter time.Duration
	// OutcomeUnknown reports that Clerk may have made the change.
	OutcomeUnknown bool
	// Cause is the error below, nil for none.
	Cause error
}

// Error returns the error in one line.
func (e *ClerkError) Error() string {
	var b strings.Builder
	if e.Operation != "" {
		b.WriteString(e.Operation + ": ")
	}
	b.WriteString(e.Reason.Error())
	var facts []string
	if e.Status != 0 {
		facts = append(facts, "status "+strconv.Itoa(e.Status))
	}
	if e.Code != "" {
		facts = append(facts, "code "+e.Code)
	}
	if e.TraceID != "" {
		facts = append(facts, "trace "+e.TraceID)
	}
	if len(facts) > 0 {
		b.WriteString(" (" + strings.Join(facts, ", ") + ")")
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	if e.OutcomeUnknown {
		b.WriteString("; Clerk may have made the change")
	}
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap returns the errors that the error wraps.
func (e *ClerkError) Unwrap() []error {
	wrapped := []error{e.Reason}
	if e.OutcomeUnknown {
		wrapped = append(wrapped, ErrOutcomeUnknown)
	}
	if e.Cause != nil {
		wrapped = append(wrapped, e.Cause)
	}
	return wrapped
}
