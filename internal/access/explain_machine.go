package access

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/clerksync/clerksync/auth"
)

// machineClaimsOf returns the claims of an API key, an OAuth access token or an M2M token, nil
// where they cannot be known: the token is forged, or only Clerk could read it. Clerk is not asked,
// for that is paid for.
func (g *Gate) machineClaimsOf(ctx context.Context, q Question, x *Explanation) (*auth.Claims, error) {
	kind, accepted := auth.KindOf(q.Token), auth.Accepted(q.Rule)
	claims, err := g.knownMachine(ctx, q.Token)
	c := auth.Condition{Name: "token", Facts: []auth.Fact{
		tokenFact("kind", kind.String()), {Name: "accepted kinds", Value: accepted.String(), Known: true, Source: auth.SourceConfiguration},
	}}
	switch {
	case err != nil:
		d := invalidToken(err)
		if _, unknown := errors.AsType[*auth.UnavailableError](err); unknown {
			d = unverifiable(err)
			x.Notes = append(x.Notes, "Only Clerk knows this token, and it was not asked, because each verification is paid for. A running server asks it.")
		}
		c.Code, c.Reason = d.Code, d.Reason
		c.Facts = append(c.Facts, tokenFact("cause", err.Error()))
	case !accepted.Has(kind):
		c.Code, c.Reason = auth.CodeInvalidToken, auth.ReasonKind
		x.Notes = append(x.Notes, "A route accepts session tokens only, unless its rule says accept: ["+kind.String()+"].")
	default:
		c.Allowed = true
	}
	if claims != nil {
		c.Facts = append(c.Facts, machineFacts(claims)...)
	}
	x.add(c)
	return claims, nil
}

// knownMachine verifies a machine token without asking Clerk.
func (g *Gate) knownMachine(ctx context.Context, token string) (*auth.Claims, error) {
	if g.config.Known == nil {
		return nil, &auth.UnavailableError{Err: errNoMachines}
	}
	claims, err := g.config.Known.Verify(ctx, auth.KindsOf(auth.APIKey, auth.OAuth, auth.M2M), token, netip.Addr{})
	if err == nil {
		err = g.foreignKeys()
	}
	if err == nil {
		var revoked bool
		if revoked, err = g.config.Revocations.Revoked(ctx, claims); err == nil && revoked {
			err = errRevoked
		}
	}
	return claims, err
}

func tokenFact(name, value string) auth.Fact {
	return auth.Fact{Name: name, Value: value, Known: value != "", Source: auth.SourceToken}
}

// machineFacts returns what a token says about who calls.
func machineFacts(c *auth.Claims) (facts []auth.Fact) {
	for _, f := range []auth.Fact{
		tokenFact("subject", c.Subject), tokenFact("key", c.KeyID), tokenFact("made by", c.CreatedBy), tokenFact("client", c.ClientID),
		tokenFact("scopes", strings.Join(c.Scopes, ",")),
	} {
		if f.Known {
			facts = append(facts, f)
		}
	}
	return facts
}
