package clerksync

import (
	"errors"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Errors that callers act on, for errors.Is.
var (
	// ErrNotFound means that there is no such live row. It may exist at Clerk. The error says what was looked for.
	ErrNotFound = mirror.ErrNotFound
	// ErrAmbiguous means that an e-mail address or slug belongs to more than one live row for the moment.
	ErrAmbiguous = mirror.ErrAmbiguous
	// ErrNoBody means that a delivery cannot be replayed, since its body was not kept.
	ErrNoBody = ingest.ErrNoBody
	// ErrNotDead means that a delivery is not a dead letter, so that it cannot be dismissed.
	ErrNotDead = store.ErrNotDead
	// ErrOtherInstance means that the configured keys, or the configured instance, belong to another Clerk instance than the
	// one that the database mirrors. A mirror of two instances would be wrong about both.
	ErrOtherInstance = reconcile.ErrOtherInstance
	// ErrInvalidCursor means that a text is not a cursor of the list that it was given to.
	ErrInvalidCursor = mirror.ErrInvalidCursor
	// ErrWrongObject means that a JSON text is not the Clerk object that it should be.
	ErrWrongObject = errors.New("not the Clerk object that was expected")
)

// ErrorCode returns the stable code of an error of this package, "internal_error" for others.
func ErrorCode(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrAmbiguous):
		return "ambiguous"
	case errors.Is(err, ErrNoBody):
		return "no_body"
	case errors.Is(err, ErrNotDead):
		return "not_dead"
	case errors.Is(err, ErrInvalidCursor):
		return "invalid_cursor"
	case errors.Is(err, ErrWrongObject):
		return "wrong_object"
	default:
		return "internal_error"
	}
}
