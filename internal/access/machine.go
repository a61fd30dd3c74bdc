package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/live"
)

// verifyMachine verifies an API key, an OAuth access token or an M2M token, whose form says which
// kind it is.
func (g *Gate) verifyMachine(r *http.Request, accepted auth.Kinds, kind auth.Kind, token string) (*auth.Claims, error) {
	if !accepted.Has(kind) {
		return nil, wrongKind(kind, accepted)
	}
	if g.config.Machines == nil {
		return nil, unverifiable(errNoMachines)
	}
	claims, err := g.config.Machines.Verify(r.Context(), accepted, token, g.config.Proxies.ClientIP(r))
	if err != nil {
		if _, unavailable := errors.AsType[*auth.UnavailableError](err); unavailable {
			return nil, unverifiable(err)
		}
		return nil, invalidToken(err)
	}
	if err := g.foreignKeys(); err != nil {
		return nil, unavailable(err)
	}
	if err := g.cache.Fresh(r.Context()); err != nil { // a machine has no facts that would make sure of it
		return nil, unavailable(err)
	}
	revoked, err := g.config.Revocations.Revoked(r.Context(), claims)
	switch {
	case err != nil:
		return nil, unavailable(err)
	case revoked:
		return nil, invalidToken(errRevoked)
	}
	return claims, nil
}

// proveStanding reads what a machine token depends on from Clerk, where what is stored of it is not
// proven: unlike a session token, this one does not prove that the user may still come. While Clerk
// cannot be asked, and where Unready is Deny, the token does not count.
func (g *Gate) proveStanding(ctx context.Context, c *Caller) (*live.Refusal, error) {
	needs := standingNeeds(c, g.cache.Ready())
	switch {
	case len(needs) > 0 && g.config.Unready == Deny:
		return nil, unverifiable(errNotReady)
	case g.config.Unready != Ask || g.config.API == nil:
		return nil, nil
	}
	read := false
	for _, n := range needs {
		if g.onDemand.cached(n) {
			continue
		}
		err := g.onDemand.fetch(ctx, n)
		if errors.Is(err, clerkapi.ErrNotFound) || errors.Is(err, clerkapi.ErrNoParent) {
			refusal := live.Unknown(n.fact.Kind)
			return refusal, refused(refusal)
		}
		if err != nil {
			return nil, unverifiable(err)
		}
		read = true
	}
	if !read {
		return nil, nil
	}
	again, refusal, err := g.resolveCaller(ctx, c.Claims)
	*c = again
	return refusal, err
}

// standingNeeds returns what must be proven before a machine token counts: the user, and the
// membership in the organization, or else the organization.
func standingNeeds(c *Caller, ready live.Ready) []need {
	needs := membershipNeeds(userNeeds(nil, ready, c.Claims, c.Facts.User), ready, c.Claims, c.Facts.Membership)
	needs = slices.DeleteFunc(needs, func(n need) bool { return n.fact.Kind != clerk.KindUser && n.fact.Kind != clerk.KindMembership })
	if o := c.Claims.Organization; o != nil && c.Facts.Membership == nil && !ready.Membership {
		needs = append(needs, need{fact: live.Fact{Kind: clerk.KindOrganization, ID: o.ID}})
	}
	return needs
}

// OAuth returns the issuer of OAuth access tokens, "" if none can be verified, and the resources
// for which they must be made.
func (g *Gate) OAuth() (issuer string, resources []string) {
	if g.config.Machines == nil {
		return "", nil
	}
	return g.config.Machines.Issuer(), g.config.Machines.Resources()
}

var errNoMachines = errors.New("machine tokens need a secret key, or token keys and an issuer")

var errNotReady = errors.New("the mirror is not ready, and nothing else proves who is behind the token (CLERKSYNC_UNREADY=deny)")

var errRevoked = &auth.Error{Code: auth.CodeInvalidToken, Reason: auth.ReasonRevoked, Detail: "The token was revoked"}

// wrongKind is the denial of a token of a kind that the route does not accept.
func wrongKind(kind auth.Kind, accepted auth.Kinds) *Denial {
	return &Denial{
		Status: http.StatusUnauthorized, Code: auth.CodeInvalidToken, Reason: auth.ReasonKind,
		Detail: "This kind of token is not accepted here", Err: fmt.Errorf("a token of the kind %s; accepted are: %s", kind, accepted),
	}
}

// unverifiable is the denial while Clerk cannot be asked about a token. It is 503, since the token
// may be good.
func unverifiable(cause error) *Denial {
	d := &Denial{Status: http.StatusServiceUnavailable, Code: CodeUnverifiable, Detail: "The token cannot be verified at the moment", Err: cause}
	if e, ok := errors.AsType[*auth.UnavailableError](cause); ok {
		d.RetryAfter = e.RetryAfter
	}
	return d
}
