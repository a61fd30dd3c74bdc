package clerksync

import (
	"context"
	"errors"
	"net/http"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

type callerKey struct{}

func withCaller(r *http.Request, c *Caller) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
}

// CallerFromContext returns the caller of the request. ok is false outside [Mirror.Middleware] and
// [Mirror.Require], and for anonymous requests.
func CallerFromContext(ctx context.Context) (caller *Caller, ok bool) {
	caller, ok = ctx.Value(callerKey{}).(*Caller)
	return caller, ok
}

// UserFromContext returns the stored user of the request's token. ok is false outside
// [Mirror.Middleware] and [Mirror.Require], for anonymous requests, and for a caller that is no
// user: a machine, or the API key of an organization.
func UserFromContext(ctx context.Context) (user mirror.User, ok bool) {
	if c, ok := CallerFromContext(ctx); ok && c.User.ID != "" {
		return c.User, true
	}
	return mirror.User{}, false
}

// ClaimsFromContext returns the claims of the request's verified token. ok is false where
// [CallerFromContext] returns false.
func ClaimsFromContext(ctx context.Context) (claims *auth.Claims, ok bool) {
	if c, ok := CallerFromContext(ctx); ok {
		return c.Claims, true
	}
	return nil, false
}

// SessionFromContext returns the stored session of the request's token. ok is also false if the
// mirror has not stored the session yet. The token is valid in that case, too.
func SessionFromContext(ctx context.Context) (session mirror.Session, ok bool) {
	if c, ok := CallerFromContext(ctx); ok && c.Session != nil {
		return *c.Session, true
	}
	return mirror.Session{}, false
}

// Middleware lets requests without a token pass. For a request with a valid token it puts the
// caller into the context. It answers 401 to a request with an invalid token, so that a client
// whose token has expired is not served as an anonymous one by mistake.
func (m *Mirror) Middleware(next http.Handler) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := m.Authorize(r, nil)
		if d, ok := errors.AsType[*DeniedError](err); ok && d.Code == auth.CodeAuthenticationRequired {
			next.ServeHTTP(w, r)
			return nil
		}
		if err != nil {
			return problem(err)
		}
		next.ServeHTTP(w, withCaller(r, caller))
		return nil
	})
}

// Require lets a request pass if its token is valid, its user is stored and active, and all rules
// allow it. It answers 401 if the caller is not signed in, and 403 if a rule denies. Without rules
// every signed-in user passes. Require panics if a rule can allow no one, such as a rule for a role
// that is not on the ladder, because that is a mistake in the program.
func (m *Mirror) Require(rules ...auth.Rule) func(http.Handler) http.Handler {
	var rule auth.Rule
	if len(rules) > 0 {
		rule = auth.All(rules...)
		if err := m.gate.ValidateRule(rule); err != nil {
			panic("clerksync: Require: " + err.Error())
		}
	}
	return func(next http.Handler) http.Handler {
		return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			caller, err := m.Authorize(r, rule)
			if err != nil {
				return problem(err)
			}
			next.ServeHTTP(w, withCaller(r, caller))
			return nil
		})
	}
}
