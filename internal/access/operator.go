package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/mirror"
)

// Codes of denials of operators.
const (
	CodeOperatorTokenUnset   = "operator_token_unset"
	CodeOperatorTokenExpired = "operator_token_expired"
	CodeOperatorReadOnly     = "operator_read_only"
)

// Check returns the operator who makes a request: a named one, by a token that is stored, or the
// unnamed one, by the configured token. An operator that may only look is refused if the method of
// the request is one that changes something; reads says that this route changes nothing, whatever
// the method. Every error is a [*Denial].
//
// While the database cannot be read, named operators are refused with 503, because their token may
// have been revoked. The configured token needs no database.
func (o *Operators) Check(r *http.Request, configured string, reads bool) (mirror.Operator, error) {
	given, _ := auth.BearerToken(r)
	operator, err := o.operatorOf(r.Context(), given, configured)
	if err == nil && operator.ReadOnly && !reads && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return mirror.Operator{}, ReadOnlyOperator()
	}
	return operator, err
}

// operatorOf returns the operator with a token.
func (o *Operators) operatorOf(ctx context.Context, given, configured string) (mirror.Operator, error) {
	if configured != "" && sameToken(given, configured) {
		return mirror.Operator{}, nil
	}
	if !isOperatorToken(given) {
		if configured == "" {
			return mirror.Operator{}, &Denial{
				Status: http.StatusForbidden, Code: CodeOperatorTokenUnset,
				Detail: "No operator token is configured: set CLERKSYNC_OPERATOR_TOKEN, or OperatorOptions.Token in a library, " +
					"or use the token of a named operator",
			}
		}
		return mirror.Operator{}, tokenRequired("The operator token is required")
	}
	named, known, err := o.named(ctx, sha256.Sum256([]byte(given)))
	switch {
	case err != nil:
		return mirror.Operator{}, unreadable(err)
	case !known:
		return mirror.Operator{}, tokenRequired("There is no such operator token, or it was revoked")
	}
	now := o.config.Now()
	if !now.Before(named.ExpiresAt) {
		return mirror.Operator{}, &Denial{
			Status: http.StatusUnauthorized, Code: CodeOperatorTokenExpired,
			Detail: "The operator token has expired: ask for a new one",
		}
	}
	o.used(named, now)
	return named.Operator, nil
}

// ReadOnlyOperator returns the denial of a read-only operator who asks for a change.
func ReadOnlyOperator() *Denial {
	return &Denial{Status: http.StatusForbidden, Code: CodeOperatorReadOnly, Detail: "A read-only operator cannot change anything"}
}

func tokenRequired(detail string) *Denial {
	return &Denial{Status: http.StatusUnauthorized, Code: auth.CodeAuthenticationRequired, Detail: detail}
}

// sameToken compares two tokens in a time that depends on neither of them. The digests have the
// same length, so that not even the length of the configured token can be measured.
func sameToken(given, configured string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(configured))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// tokenPrefix begins the tokens of named operators, so that people and scanners recognize them.
const tokenPrefix = "cso_"

// tokenBytes is the number of random bytes of a token. No one can guess one of 2^256, so a fast
// digest protects a token as well as a slow one.
const tokenBytes = 32

// isOperatorToken reports whether a text has the form of a named operator's token. Other texts
// never cause a read of the database.
func isOperatorToken(text string) bool {
	encoded, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return false
	}
	random, err := tokenEncoding.DecodeString(encoded)
	return err == nil && len(random) == tokenBytes
}

type operatorKey struct{}

// ServeAs serves a request that an operator makes, with the operator in its context. The request of
// the caller gets the pattern that matched, which the access log names.
func ServeAs(o mirror.Operator, next http.Handler, w http.ResponseWriter, r *http.Request) {
	inner := r.WithContext(context.WithValue(r.Context(), operatorKey{}, o))
	defer func() { r.Pattern = inner.Pattern }()
	next.ServeHTTP(w, inner)
}

// OperatorOf returns the operator who makes the request of a context.
func OperatorOf(ctx context.Context) (mirror.Operator, bool) {
	o, ok := ctx.Value(operatorKey{}).(mirror.Operator)
	return o, ok
}
