package access

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// Caller is who makes a request: what the token proves, and what is stored about the caller.
type Caller struct {
	Claims *auth.Claims
	Facts  live.Facts
}

// Authorize decides about a request. A nil rule allows every caller who is signed in. Every error
// is a [*Denial].
func (g *Gate) Authorize(r *http.Request, rule auth.Rule) (Caller, error) {
	caller, err := g.identify(r)
	if err != nil || rule == nil {
		return caller, err
	}
	decision, err := g.decide(r.Context(), &caller, rule)
	if err == nil && !decision.Allowed {
		err = g.forbidden(decision)
	}
	if err != nil {
		return Caller{}, ofUser(err, caller.Claims.Subject)
	}
	return caller, nil
}

// identify returns who makes a request.
func (g *Gate) identify(r *http.Request) (Caller, error) {
	claims, err := g.verify(r)
	if err != nil {
		return Caller{}, err
	}
	caller, refusal, err := g.resolveCaller(r.Context(), claims)
	switch {
	case refusal != nil && !refusal.NotMirrored:
		g.audit.contradiction(r, claims, refusal)
	case err == nil && claims.Actor != nil:
		g.audit.impersonated(r, claims)
	}
	return caller, ofUser(err, claims.Subject)
}

// CheckToken returns an error unless a request has a valid token. It reads nothing that is stored
// about the caller.
func (g *Gate) CheckToken(r *http.Request) error {
	_, err := g.verify(r)
	return err
}

// verify finds and verifies the token of a request.
func (g *Gate) verify(r *http.Request) (*auth.Claims, error) {
	token, source := g.tokenReader.Token(r)
	if source == auth.NoToken {
		return nil, unauthenticated()
	}
	if source == auth.FromCookie {
		if err := g.sameOrigin(r); err != nil {
			return nil, err
		}
	}
	if g.config.Tokens == nil {
		return nil, keysUnavailable(errNoKeys)
	}
	claims, err := g.config.Tokens.VerifyFrom(r.Context(), source, token)
	if source == auth.FromCookie && auth.Expired(err) {
		claims, err = g.config.Tokens.VerifyRenewed(r.Context(), g.tokenReader.Cookies(r))
	}
	if err != nil {
		return nil, invalidToken(err)
	}
	if err := g.foreignKeys(); err != nil {
		return nil, unavailable(err)
	}
	return claims, nil
}

// foreignKeys returns an error where the keys that verify tokens are those of another instance
// than the database's.
func (g *Gate) foreignKeys() error {
	if other := g.config.Instance.ForeignTokenKeys(); other != "" {
		return reconcile.OtherInstanceError(g.config.DB.Settings().Instance, other)
	}
	return nil
}

// resolveCaller compares a verified token with what is stored. It reads a user who is not
// mirrored yet from Clerk. Where stored facts refuse the token, the refusal comes next to the
// error.
func (g *Gate) resolveCaller(ctx context.Context, claims *auth.Claims) (Caller, *live.Refusal, error) {
	facts, err := g.facts(ctx, claims)
	if err != nil {
		return Caller{}, nil, unavailable(err)
	}
	refusal := live.Check(claims, facts, g.config.Now())
	unseen := refusal != nil && refusal.NotMirrored || refusal == nil && facts.User.Row.Stub
	if unseen && !g.config.DisableJIT && g.onDemand.fetchUser(ctx, claims.Subject, facts.User.Queued) {
		if facts, err = g.facts(ctx, claims); err != nil {
			return Caller{}, nil, unavailable(err)
		}
		refusal = live.Check(claims, facts, g.config.Now())
	}
	if refusal != nil {
		g.denials.count(refusal.Code)
		return Caller{}, refusal, refused(refusal)
	}
	return Caller{Claims: claims, Facts: facts}, nil, nil
}

// facts returns what is stored about the caller, the session and the place in the active
// organization.
func (g *Gate) facts(ctx context.Context, claims *auth.Claims) (live.Facts, error) {
	organization := ""
	if claims.Organization != nil {
		organization = claims.Organization.ID
	}
	return g.cache.Facts(ctx, claims.Subject, claims.SessionID, organization)
}

// sameOrigin checks that the page which sent a cookie along is ours, where a request may change
// something. Browsers send a proof with each such request: Sec-Fetch-Site, or in older ones the
// Origin alone. That Origin must be an authorized party as it is written, with its scheme: the
// host alone does not show whether the page was loaded over plain http.
func (g *Gate) sameOrigin(r *http.Request) error {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	origins := r.Header["Origin"]
	switch {
	case safe:
		return nil
	case r.Header.Get("Sec-Fetch-Site") != "":
		if g.crossOrigin.Check(r) == nil {
			return nil
		}
	case len(origins) == 1 && slices.Contains(g.config.AuthorizedParties, origins[0]):
		return nil
	}
	return &Denial{
		Status: http.StatusForbidden, Code: CodeCrossOrigin,
		Detail: "A session cookie does not count for this request: it may come from another page. Send the token in the Authorization header",
	}
}

// AsDenial returns the denial in an error's chain, if there is one.
func AsDenial(err error) (*Denial, bool) { return errors.AsType[*Denial](err) }
