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

// CallerFromContext is who makes the request; ok is false outside of [Mirror.Middleware] and [Mirror.Require], and
// for anonymous requests.
func CallerFromContext(ctx context.Context) (caller *Caller, ok bool) {
	caller, ok = ctx.Value(callerKey{}).(*Caller)
	return caller, ok
}

// UserFromContext is the stored user of the request's verified token. ok is false outside
// [Mirror.Middleware] and [Mirror.Require], and for anonymous requests.
func UserFromContext(ctx context.Context) (user mirror.User, ok bool) {
	if c, ok := CallerFromContext(ctx); ok {
		return c.User, true
	}
	return mirror.User{}, false
}

// ClaimsFromContext is what the request's verified token says.
func ClaimsFromContext(ctx context.Context) (*auth.Claims, bool) {
	if c, ok := CallerFromContext(ctx); ok {
		return c.Claims, true
	}
	return nil, false
}

// SessionFromContext is the stored session of the request's token; ok is false also when
// the mirror has not seen the session yet, which the token proves all the same.
func SessionFromContext(ctx context.Context) (session mirror.Session, ok bool) {
	if c, ok := CallerFromContext(ctx); ok && c.Session != nil {
		return *c.Session, true
	}
	return mirror.Session{}, false
}

// Middleware lets anonymous requests pass, and puts the caller of a valid token into the
// context. A token that is there and not valid is answered with 401: a client that says
// who it is must not be served as somebody else.
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

// Require lets a request pass when its token is valid, its user is stored and active, and
// all rules allow it: 401 when the identity fails, 403 when a rule does. Without rules
// any signed-in user passes. A rule that can allow no one, such as one for a role that is not on the ladder, is a panic at
// start: it is a slip of the pen.
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
