package access

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// Caller is who makes a request: what the token proves, and what is stored about the caller. A
// machine has no stored user.
type Caller struct {
	Claims *auth.Claims
	Facts  live.Facts
}

// Authorize decides about a request. A nil rule allows every user who is signed in. Every error is
// a [*Denial].
func (g *Gate) Authorize(r *http.Request, rule auth.Rule) (Caller, error) {
	caller, err := g.identify(r, auth.Accepted(rule))
	if err != nil || rule == nil {
		return caller, err
	}
	decision, err := g.decide(r.Context(), &caller, rule)
	if err == nil && !decision.Allowed {
		err = g.forbidden(decision)
	}
	if err != nil {
		return Caller{}, ofUser(err, live.Person(caller.Claims))
	}
	return caller, nil
}

// identify returns who makes a request with a token of one of the accepted kinds.
func (g *Gate) identify(r *http.Request, accepted auth.Kinds) (Caller, error) {
	claims, err := g.verify(r, accepted)
	if err != nil {
		return Caller{}, err
	}
	caller, refusal, err := g.resolveCaller(r.Context(), claims)
	if err == nil && claims.Kind != auth.Session {
		refusal, err = g.proveStanding(r.Context(), &caller)
	}
	switch {
	case refusal != nil && !refusal.NotMirrored:
		g.audit.contradiction(r, claims, refusal)
	case err == nil && claims.Actor != nil:
		g.audit.impersonated(r, claims)
	}
	return caller, ofUser(err, live.Person(claims))
}

// CheckToken returns an error unless a request has a valid session token. It reads nothing that is
// stored about the caller.
func (g *Gate) CheckToken(r *http.Request) error {
	_, err := g.verify(r, auth.KindsOf(auth.Session))
	return err
}

// verify finds and verifies the token of a request. Cookies hold session tokens only.
func (g *Gate) verify(r *http.Request, accepted auth.Kinds) (*auth.Claims, error) {
	token, source := g.tokenReader.Token(r)
	if source == auth.NoToken || source == auth.FromCookie && !accepted.Has(auth.Session) {
		return nil, unauthenticated()
	}
	if source == auth.FromHeader && accepted.HasMachines() {
		if kind := auth.KindOf(token); kind != auth.Session {
			return g.verifyMachine(r, accepted, kind, token)
		}
	}
	if !accepted.Has(auth.Session) {
		return nil, wrongKind(auth.Session, accepted)
	}
	claims, err := g.verifySession(r, source, token)
	if err != nil && source == auth.FromHeader {
		if kind := auth.KindOf(token); kind != auth.Session {
			return nil, wrongKind(kind, accepted)
		}
	}
	return claims, err
}

// verifySession verifies a session token.
func (g *Gate) verifySession(r *http.Request, source auth.TokenSource, token string) (*auth.Claims, error) {
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

// maxUnseen is how many objects may be missing of one caller: the user, the organization and the
// membership.
const maxUnseen = 3

// resolveCaller compares a verified token with what is stored. It reads a user who is not
// mirrored yet from Clerk. Where stored facts refuse the token, the refusal comes next to the
// error.
func (g *Gate) resolveCaller(ctx context.Context, claims *auth.Claims) (Caller, *live.Refusal, error) {
	facts, err := g.facts(ctx, claims)
	if err != nil {
		return Caller{}, nil, unavailable(err)
	}
	refusal := g.check(claims, facts)
	for range maxUnseen {
		unseen := refusal != nil && refusal.NotMirrored || refusal == nil && facts.User != nil && facts.User.Row.Stub
		if !unseen || g.config.DisableJIT || !g.fetchUnseen(ctx, claims, facts, refusal) {
			break
		}
		if facts, err = g.facts(ctx, claims); err != nil {
			return Caller{}, nil, unavailable(err)
		}
		refusal = g.check(claims, facts)
	}
	if refusal != nil {
		g.denials.count(refusal.Code)
		return Caller{}, refusal, refused(refusal)
	}
	return Caller{Claims: claims, Facts: facts}, nil, nil
}

// check compares claims with the stored facts.
func (g *Gate) check(claims *auth.Claims, facts live.Facts) *live.Refusal {
	if claims.Kind != auth.Session {
		return live.CheckMachine(facts, g.config.Now())
	}
	return live.Check(claims, facts, g.config.Now())
}

// fetchUnseen reads from Clerk what is not mirrored yet: the user, or the organization or the
// membership without which a machine token does not count. It reports whether it is stored now.
func (g *Gate) fetchUnseen(ctx context.Context, claims *auth.Claims, facts live.Facts, refusal *live.Refusal) bool {
	person := live.Person(claims)
	if refusal == nil || refusal.Fact == "user" {
		return g.onDemand.fetchUser(ctx, person, facts.User.Queued)
	}
	if g.config.API == nil || claims.Organization == nil {
		return false
	}
	fact := live.Fact{Kind: clerk.KindOrganization, ID: claims.Organization.ID}
	if refusal.Fact == "membership" {
		fact = live.Fact{Kind: clerk.KindMembership, User: person, Organization: claims.Organization.ID}
	}
	return g.onDemand.fetchMissing(ctx, need{fact: fact})
}

// facts returns what is stored about the caller, the session and the place in the active
// organization.
func (g *Gate) facts(ctx context.Context, claims *auth.Claims) (facts live.Facts, err error) {
	organization := ""
	if claims.Organization != nil {
		organization = claims.Organization.ID
	}
	if person := live.Person(claims); person != "" {
		facts, err = g.cache.Facts(ctx, person, claims.SessionID, organization)
	}
	if err == nil && claims.Kind != auth.Session && organization != "" {
		facts.Organization, err = g.cache.Organization(ctx, organization)
	}
	return facts, err
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
