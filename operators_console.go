package clerksync

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/mirror"
)

// ConsoleSession is a browser that an operator signed in to the console.
type ConsoleSession struct {
	// Operator is who is signed in. The zero value is the unnamed operator.
	Operator mirror.Operator
	// CreatedAt is when the browser was signed in.
	CreatedAt time.Time
	// ExpiresAt is when it is signed out, at the latest.
	ExpiresAt time.Time
}

// ConsoleSessions signs browsers in to the console and out again. Package console uses it. Sessions
// are rows of the database: every process that shares the database knows them.
type ConsoleSessions struct{ operators *access.Operators }

// Console returns the service of the browsers that are signed in to the console.
func (s Operators) Console() ConsoleSessions { return ConsoleSessions(s) }

// SignIn starts a session for the operator with a token: a named one, or the unnamed one with the
// configured token. by says from where, for the audit. secret is what a cookie keeps; the database
// has only its digest. Every error is a [*DeniedError].
func (s ConsoleSessions) SignIn(ctx context.Context, token, configured string, by mirror.By) (session ConsoleSession, secret string, err error) {
	started, secret, err := s.operators.SignIn(ctx, token, configured, by)
	return ConsoleSession(started), secret, publicError(err)
}

// Link makes a text that signs one browser in, within ten minutes: as the operator of the name, or
// as the unnamed operator if name is empty. by is who makes it, for the audit. The error is
// [ErrNotFound] if there is no operator of the name.
func (s ConsoleSessions) Link(ctx context.Context, name string, by mirror.By) (link string, err error) {
	return s.operators.ConsoleLink(ctx, name, by)
}

// UseLink starts a session with a link, as SignIn does with a token.
func (s ConsoleSessions) UseLink(ctx context.Context, link, configured string, by mirror.By) (session ConsoleSession, secret string, err error) {
	started, secret, err := s.operators.UseConsoleLink(ctx, link, configured, by)
	return ConsoleSession(started), secret, publicError(err)
}

// BySecret returns the session whose cookie keeps a secret. It ends when the browser signs out,
// after twelve hours, when the operator is revoked or expires, and when another token is
// configured. Every error is a [*DeniedError].
func (s ConsoleSessions) BySecret(ctx context.Context, secret, configured string) (ConsoleSession, error) {
	session, err := s.operators.ConsoleSession(ctx, secret, configured)
	return ConsoleSession(session), publicError(err)
}

// SignOut ends a session. Every process refuses it at once.
func (s ConsoleSessions) SignOut(ctx context.Context, secret string) error {
	return s.operators.SignOut(ctx, secret)
}

// CodeConsoleSignedOut is the code of a [DeniedError] for a browser that is not signed in to the
// console.
const CodeConsoleSignedOut = access.CodeConsoleSignedOut
