package mirror

import "errors"

// Errors for errors.Is. Package clerksync has them, too.
var (
	// ErrNotFound means that there is no such live row.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous means that an e-mail address or slug belongs to more than one live row for the
	// moment.
	ErrAmbiguous = errors.New("ambiguous: more than one live row has it")
	// ErrInvalidCursor means that a text is not a cursor of the list that it was given to.
	ErrInvalidCursor = errors.New("not a cursor of this list")
	// ErrNoDatabase means that there is no database file to read, or an empty one.
	ErrNoDatabase = errors.New("there is no database yet")
)
