package mirror

import "errors"

// Errors for errors.Is. Package clerksync has them, too.
var (
	// ErrNotFound means that there is no such live row.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous means that more than one live row has this e-mail address or slug at the moment.
	ErrAmbiguous = errors.New("ambiguous: more than one live row has it")
	// ErrInvalidCursor means that a text is not a cursor of this list.
	ErrInvalidCursor = errors.New("not a cursor of this list")
	// ErrNoSecretKey means that no secret key is configured with which Clerk could be read.
	ErrNoSecretKey = errors.New("no Clerk secret key is configured")
	// ErrNoDatabase means that there is no database file to read, or an empty one.
	ErrNoDatabase = errors.New("there is no database yet")
)
