package clerksync

import (
	"context"
	"errors"
	"net/http"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
)

// identity is who calls: what the token proves and what the mirror stores.
type identity struct {
	claims  *auth.Claims
	user    User
	session *Session // nil when the token names none or the mirror has not seen it yet
}

type identityKey struct{}

func identityFrom(ctx context.Context) (*identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*identity)
	return id, ok
}

// UserFromContext is the stored user of the request's verified token. ok is false outside
// [Mirror.Middleware] and [Mirror.Require], and for anonymous requests.
func UserFromContext(ctx context.Context) (user User, ok bool) {
	if id, ok := identityFrom(ctx); ok {
		return id.user, true
	}
	return User{}, false
}

// ClaimsFromContext is what the request's verified token says.
func ClaimsFromContext(ctx context.Context) (*auth.Claims, bool) {
	if id, ok := identityFrom(ctx); ok {
		return id.claims, true
	}
	return nil, false
}

// SessionFromContext is the stored session of the request's token; ok is false also when
// the mirror has not seen the session yet, which the token proves all the same.
func SessionFromContext(ctx context.Context) (session Session, ok bool) {
	if id, ok := identityFrom(ctx); ok && id.session != nil {
		return *id.session, true
	}
	return Session{}, false
}

// Middleware lets anonymous requests pass, and puts the user of a valid token into the
// context. A token that is there and not valid is answered with 401: a client that says
// who it is must not be served as somebody else.
func (m *Mirror) Middleware(next http.Handler) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		id, err := m.identify(r)
		var refused *web.Problem
		if errors.As(err, &refused) && refused.Code == auth.CodeAuthenticationRequired {
			next.ServeHTTP(w, r)
			return nil
		}
		if err != nil {
			return err
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
		return nil
	})
}

// Require lets a request pass when its token is valid, its user is stored and active, and
// all rules allow it: 401 when the identity fails, 403 when a rule does. Without rules
// any signed-in user passes.
func (m *Mirror) Require(rules ...auth.Rule) func(http.Handler) http.Handler {
	allowed := auth.All(rules...)
	return func(next http.Handler) http.Handler {
		return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			id, err := m.identify(r)
			if err != nil {
				return err
			}
			if len(rules) > 0 {
				subject := &auth.Subject{Claims: id.claims, Role: id.user.Role, Ladder: m.config.Roles}
				if d := allowed.Check(subject); !d.Allowed {
					return forbidden(d)
				}
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
			return nil
		})
	}
}

func forbidden(d auth.Decision) error {
	return &web.Problem{
		Status: http.StatusForbidden, Code: d.Code, Detail: "You are not allowed to do this", Extra: map[string]any{"reason": d.Reason},
	}
}

// identify answers who calls, or why nobody does.
func (m *Mirror) identify(r *http.Request) (*identity, error) {
	token, ok := auth.BearerToken(r)
	if !ok {
		return nil, unauthorized(auth.CodeAuthenticationRequired, "Authentication required", "", nil)
	}
	if m.tokens == nil {
		return nil, unauthorized(auth.CodeInvalidToken, "Invalid authentication token", auth.ReasonKeysUnavailable, errNoKeys)
	}
	claims, err := m.tokens.Verify(r.Context(), token)
	var refused *auth.Error
	switch {
	case errors.As(err, &refused):
		return nil, unauthorized(refused.Code, refused.Detail, refused.Reason, err)
	case err != nil:
		return nil, err
	}
	id := &identity{claims: claims}
	if id.user, err = m.activeUser(r.Context(), claims.Subject); err != nil {
		return nil, err
	}
	if claims.SessionID == "" {
		return id, nil
	}
	session, err := m.db.Session(r.Context(), claims.SessionID)
	switch {
	case errors.Is(err, ErrNotFound): // not seen yet: the token proves it
		return id, nil
	case err != nil:
		return nil, unavailable(err)
	case !session.Usable() || session.ClerkUserID != claims.Subject:
		return nil, unauthorized("session_ended", "Session ended", "", nil)
	}
	id.session = &session
	return id, nil
}

var errNoKeys = errors.New("no keys are configured: set the secret key, a PEM key or a JWKS URL")

// activeUser is the stored user, if it may act.
func (m *Mirror) activeUser(ctx context.Context, clerkUserID string) (User, error) {
	user, err := m.db.UserByClerkID(ctx, clerkUserID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		deleted, err := m.db.UserDeleted(ctx, clerkUserID)
		if err != nil {
			return User{}, unavailable(err)
		}
		if deleted {
			return User{}, unauthorized("user_inactive", "User is not active", "", nil)
		}
		return User{}, unauthorized("user_not_registered", "User not registered", "", nil)
	case err != nil:
		return User{}, unavailable(err)
	case !user.IsActive, m.locked(user):
		return User{}, unauthorized("user_inactive", "User is not active", "", nil)
	}
	return user, nil
}

// locked judges by our clock when a lock ends: no event tells.
func (m *Mirror) locked(u User) bool {
	return u.Locked && (u.LockedUntil == 0 || clerk.At(m.config.Now()) < u.LockedUntil)
}

func unauthorized(code, detail, reason string, cause error) error {
	p := &web.Problem{
		Status: http.StatusUnauthorized, Code: code, Detail: detail, Err: cause,
		Header: http.Header{"Www-Authenticate": {"Bearer"}},
	}
	if reason != "" {
		p.Extra = map[string]any{"reason": reason}
	}
	return p
}

// unavailable is the answer when the mirror can not be asked: nobody is let in on a guess.
func unavailable(err error) error {
	return &web.Problem{
		Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Detail: "The user store can not be reached", Err: err,
		Header: http.Header{"Retry-After": {"1"}},
	}
}
