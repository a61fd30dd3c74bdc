package access

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/clerksync/clerksync/auth"
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

// OAuth returns the issuer of OAuth access tokens, "" if none can be verified, and the resources
// for which they must be made.
func (g *Gate) OAuth() (issuer string, resources []string) {
	if g.config.Machines == nil {
		return "", nil
	}
	return g.config.Machines.Issuer(), g.config.Machines.Resources()
}

var errNoMachines = errors.New("machine tokens need a secret key, or token keys and an issuer")

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
