package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

// Cookies returns the tokens of the instance's session cookies, in the order in which
// [TokenReader.Token] prefers them. It returns nil if a cookie occurs twice with different values.
// Give the result to [Verifier.VerifyRenewed].
func (t TokenReader) Cookies(r *http.Request) (tokens []string) {
	lines := r.Header["Cookie"]
	for i := range len(t.suffixed) + 1 {
		value, ambiguous := cookie(lines, t.name(i))
		if ambiguous {
			return nil
		}
		if value != "" && !slices.Contains(tokens, value) {
			tokens = append(tokens, value)
		}
	}
	return tokens
}

// Expired reports whether an error of a [Verifier] has the reason [ReasonExpired].
func Expired(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Reason == ReasonExpired
}

// VerifyRenewed verifies the tokens of [TokenReader.Cookies] if the first one has expired. Clerk's
// client renews one of its two cookies before the other, so the second may hold a valid token.
//
// The first valid token counts. Every token before it must have been issued by this instance to one
// of the authorized parties, for the same user, and must have expired. [Verifier.Stats] does not
// count a refusal here, because it counted that of the first token.
func (v *Verifier) VerifyRenewed(ctx context.Context, tokens []string) (*Claims, error) {
	user := ""
	for _, token := range tokens {
		claims, err := v.verifyFrom(ctx, FromCookie, token)
		expired := Expired(err)
		if expired {
			claims, err = v.verifyExpired(ctx, token)
		}
		switch {
		case err != nil:
			return nil, invalidToken(ReasonExpired, err) // as the first one
		case user != "" && claims.Subject != user:
			return nil, invalidToken(ReasonDifferentUsers, nil)
		case !expired:
			return claims, nil
		}
		user = claims.Subject
	}
	return nil, invalidToken(ReasonExpired, nil)
}

// verifyExpired verifies everything about a cookie's token but its times, and returns its claims.
func (v *Verifier) verifyExpired(ctx context.Context, token string) (*Claims, error) {
	claims, err := v.readClaims(ctx, token)
	if err != nil {
		return nil, err
	}
	if claims.AuthorizedParty == "" {
		return nil, invalidToken(ReasonAuthorizedParty, nil)
	}
	return claims, v.checkMeaning(claims)
}
