package clerksync

import (
	"context"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/mirror"
)

// Operators adds, lists and revokes named operators, and says which operator makes a request. Each
// operator has a token (cso_…) of its own. The database has only its digest.
type Operators struct{ operators *access.Operators }

// Operators returns the service of named operators.
func (m *Mirror) Operators() Operators { return Operators{m.gate.Operators()} }

// NewOperator describes an operator to be added.
type NewOperator struct {
	// Name has 1 to 64 lower-case letters, digits, dots, hyphens and underscores, and begins with a
	// letter or digit.
	Name string
	// ReadOnly makes an operator who may look at everything and change nothing.
	ReadOnly bool
	// ValidFor is how long the token works: 90 days if it is 0, at least a minute, at most five
	// years.
	ValidFor time.Duration
	// By is who adds the operator, for the audit.
	By mirror.By
}

// Add adds an operator and returns it with its token. The token cannot be shown again. The error is
// [ErrInvalidOperator], [ErrOperatorExists] or [ErrTooManyOperators] if nothing can be added.
func (s Operators) Add(ctx context.Context, n NewOperator) (mirror.Operator, string, error) {
	return s.operators.Add(ctx, access.NewOperator(n))
}

// List lists the operators by name. There are 100 at most, expired ones included.
func (s Operators) List(ctx context.Context) ([]mirror.Operator, error) { return s.operators.List(ctx) }

// Revoke removes an operator. by is who does so, for the audit. This process refuses the token at
// once, other processes within a second. The error is [ErrNotFound] if there is no operator of the
// name.
func (s Operators) Revoke(ctx context.Context, name string, by mirror.By) error {
	return s.operators.Revoke(ctx, name, by)
}

// Authorize returns the operator who makes a request: a named one, or the unnamed one with the
// configured token, if one is configured. A read-only operator is refused with 403 unless the
// method of the request is GET or HEAD. Every error is a [*DeniedError].
//
// While the database cannot be read, named operators are refused with 503. The configured token
// still works.
func (s Operators) Authorize(r *http.Request, configured string) (mirror.Operator, error) {
	o, err := s.operators.Check(r, configured, false)
	return o, publicError(err)
}

// AuthorizeRead is Authorize for a route that changes nothing, whatever the method of the request.
func (s Operators) AuthorizeRead(r *http.Request, configured string) (mirror.Operator, error) {
	o, err := s.operators.Check(r, configured, true)
	return o, publicError(err)
}

// Require returns a middleware that asks for the token of an operator, as Authorize does, and puts
// the operator into the context of the request.
func (s Operators) Require(configured string) func(http.Handler) http.Handler {
	return operatorGuard{operators: s.operators, token: configured}.before
}

// OperatorFromContext returns the operator who makes a request. ok is false outside
// [Operators.Require], and for requests that need no token.
func OperatorFromContext(ctx context.Context) (operator mirror.Operator, ok bool) {
	return access.OperatorOf(ctx)
}

// Codes of a [DeniedError] of operators.
const (
	// CodeOperatorTokenUnset means that no token is configured, and the request has none of a named
	// operator.
	CodeOperatorTokenUnset = access.CodeOperatorTokenUnset
	// CodeOperatorTokenExpired means that the token of a named operator has expired.
	CodeOperatorTokenExpired = access.CodeOperatorTokenExpired
	// CodeOperatorReadOnly means that a read-only operator asks for a change.
	CodeOperatorReadOnly = access.CodeOperatorReadOnly
)
