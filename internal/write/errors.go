package write

import (
	"errors"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/mirror"
)

// publicError returns what Clerk, or the way to Clerk, says about a change as an error of the API.
func publicError(err error) error {
	failed, ok := errors.AsType[*clerkapi.Error](err)
	if !ok {
		return err
	}
	reason := mirror.ErrClerkUnavailable
	switch {
	case errors.Is(failed, clerkapi.ErrNotFound), errors.Is(failed, clerkapi.ErrInvalid): // no object has a malformed id
		reason = mirror.ErrNotFound
	case errors.Is(failed, clerkapi.ErrBudget):
		reason = mirror.ErrClerkBusy
	case errors.Is(failed, clerkapi.ErrUnauthorized):
		reason = mirror.ErrSecretKeyRefused
	case errors.Is(failed, clerkapi.ErrRefused):
		reason = mirror.ErrClerkRefused
	}
	return &mirror.ClerkError{
		Reason: reason, Operation: failed.Op, Status: failed.Status, Code: failed.Code, Message: failed.Message, TraceID: failed.TraceID,
		Remedy: failed.Remedy, RetryAfter: failed.RetryAfter, OutcomeUnknown: failed.Unknown, Cause: failed.Cause,
	}
}

func isUnknown(err error) bool { return errors.Is(err, mirror.ErrOutcomeUnknown) }

func isNotFound(err error) bool { return errors.Is(err, clerkapi.ErrNotFound) }
