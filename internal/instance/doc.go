// Package instance knows which Clerk instance everything belongs to: the database, the keys that
// verify tokens, the secret key and the events. A mirror of two instances would be wrong about
// both, so a [Guard] refuses keys of another instance, and status and warnings name the others.
//
// The database remembers its instance. Until it does, the configured instance counts, then that
// of the keys.
package instance
