package clerksync

import (
	"errors"

	"github.com/clerksync/clerksync/mirror"
)

// Errors for errors.Is.
var (
	// ErrNotFound means that there is no such live row. The object may exist at Clerk. The message
	// of the error names what was not found.
	ErrNotFound = mirror.ErrNotFound
	// ErrAmbiguous means that more than one live row has this e-mail address or slug at the moment.
	ErrAmbiguous = mirror.ErrAmbiguous
	// ErrNoBody means that a delivery cannot be replayed, because its body is no longer stored.
	ErrNoBody = mirror.ErrNoBody
	// ErrNotDead means that a delivery cannot be dismissed, because it is not a dead letter.
	ErrNotDead = mirror.ErrNotDead
	// ErrChangesRemoved means that it is not known what a delivery changed, because the changes of
	// that time are older than Config.ChangesRetention.
	ErrChangesRemoved = mirror.ErrChangesRemoved
	// ErrOtherInstance means that the configured keys, or Config.InstanceID, belong to another
	// Clerk instance than the one that the database mirrors. A database can mirror only one
	// instance.
	ErrOtherInstance = mirror.ErrOtherInstance
	// ErrInvalidCursor means that a text is not a cursor of this list.
	ErrInvalidCursor = mirror.ErrInvalidCursor
	// ErrNotReached means that the database does not have the change of a cursor yet.
	ErrNotReached = mirror.ErrNotReached
	// ErrInvalidFilter means that a filter names something that does not exist, such as a kind.
	ErrInvalidFilter = mirror.ErrInvalidFilter
	// ErrOperatorExists means that there is an operator of the name already.
	ErrOperatorExists = mirror.ErrOperatorExists
	// ErrTooManyOperators means that no operator can be added until one is revoked.
	ErrTooManyOperators = mirror.ErrTooManyOperators
	// ErrInvalidOperator means that a name or the life of a token is not acceptable.
	ErrInvalidOperator = mirror.ErrInvalidOperator
	// ErrInvalidOverride means that a field or a value cannot be overridden.
	ErrInvalidOverride = mirror.ErrInvalidOverride
	// ErrConsumerRunning means that a consumer cannot be deleted, because a process runs it.
	ErrConsumerRunning = mirror.ErrConsumerRunning
	// ErrInvalidJob means that a job cannot be planned as it was requested. The message says why.
	ErrInvalidJob = mirror.ErrInvalidJob
	// ErrTooManyJobs means that no job can be started until one has ended.
	ErrTooManyJobs = mirror.ErrTooManyJobs
	// ErrJobExpired means that a plan is too old to be started.
	ErrJobExpired = mirror.ErrJobExpired
	// ErrJobEnded means that a job cannot be started or cancelled, because it has ended.
	ErrJobEnded = mirror.ErrJobEnded
	// ErrInsideOnChange means that Config.OnChange called a method of the mirror that would wait
	// for the transaction in which OnChange runs.
	ErrInsideOnChange = mirror.ErrInsideOnChange
	// ErrWritesDisabled means that Config.DisableWrites forbids changes.
	ErrWritesDisabled = mirror.ErrWritesDisabled
	// ErrInvalidRole means that a role is not on the role ladder.
	ErrInvalidRole = mirror.ErrInvalidRole
	// ErrClerkRefused means that Clerk understood a change and refused it.
	ErrClerkRefused = mirror.ErrClerkRefused
	// ErrClerkBusy means that a change would exceed a rate limit of Clerk, or Config.APIBudget.
	// Nothing was changed.
	ErrClerkBusy = mirror.ErrClerkBusy
	// ErrClerkUnavailable means that Clerk did not answer, or that the answer was not Clerk's.
	ErrClerkUnavailable = mirror.ErrClerkUnavailable
	// ErrSecretKeyRefused means that Clerk does not accept the secret key.
	ErrSecretKeyRefused = mirror.ErrSecretKeyRefused
	// ErrOutcomeUnknown means that Clerk may have made a change, although no answer says so. The
	// object is read again from Clerk within seconds.
	ErrOutcomeUnknown = mirror.ErrOutcomeUnknown
	// ErrNotStored means that Clerk has made a change which could not be stored here. Clerk's event
	// or the next read of the object brings it.
	ErrNotStored = mirror.ErrNotStored
	// ErrWrongObject means that a JSON text is not the expected Clerk object.
	ErrWrongObject = errors.New("not the Clerk object that was expected")
)

// ErrorCode returns a stable code for an error of this package, such as "not_found". It returns ""
// for nil, and "internal_error" for other errors.
func ErrorCode(err error) string {
	if err == nil {
		return ""
	}
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok && gone != nil {
		return "cursor_gone"
	}
	for _, known := range errorCodes() {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	if _, ok := errors.AsType[*mirror.OnChangeError](err); ok {
		return "hook_failed"
	}
	return "internal_error"
}

type errorCode struct {
	err  error
	code string
}

// errorCodes lists the errors with their codes. The first that an error wraps counts.
func errorCodes() []errorCode {
	return []errorCode{
		{ErrNotStored, "not_stored"},
		{ErrOutcomeUnknown, "outcome_unknown"},
		{ErrNotFound, "not_found"},
		{ErrAmbiguous, "ambiguous"},
		{ErrNoBody, "no_body"},
		{ErrNotDead, "not_dead"},
		{ErrChangesRemoved, "changes_removed"},
		{ErrInvalidCursor, "invalid_cursor"},
		{ErrNotReached, "not_reached"},
		{ErrInvalidFilter, "invalid_filter"},
		{ErrConsumerRunning, "consumer_running"},
		{ErrOperatorExists, "operator_exists"},
		{ErrTooManyOperators, "too_many_operators"},
		{ErrInvalidOperator, "invalid_operator"},
		{ErrInvalidOverride, "invalid_override"},
		{ErrInvalidJob, "invalid_job"},
		{ErrTooManyJobs, "too_many_jobs"},
		{ErrJobExpired, "job_expired"},
		{ErrJobEnded, "job_ended"},
		{ErrNoSecretKey, "no_secret_key"},
		{ErrWritesDisabled, "writes_disabled"},
		{ErrInvalidRole, "invalid_role"},
		{ErrClerkRefused, "clerk_refused"},
		{ErrClerkBusy, "clerk_busy"},
		{ErrClerkUnavailable, "clerk_unavailable"},
		{ErrSecretKeyRefused, "secret_key_refused"},
		{ErrOtherInstance, "other_instance"},
		{ErrWrongObject, "wrong_object"},
		{ErrInsideOnChange, "inside_on_change"},
	}
}
