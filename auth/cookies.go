package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

// Cookies returns the tokens of the instance's session cookies, in the order in which [TokenReader.Token] prefers them.
// It returns nil if a cookie occurs twice with different values.
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

// Expired reports whether an error of a [Verifier] says that the token was good until it expired.
func Expired(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Reason == ReasonExpired
}

// VerifyRenewed verifies the tokens of [TokenReader.Cookies] where the first one is expired: Clerk's client renews one of
// the two cookies before the other. The first valid token counts. Every token before it must be one that this instance
// issued to one of the authorized parties, for the same user, and that did nothing but expire. Refusals are not counted
// in [Verifier.Stats]: that of the first token was.
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

// verifyExpired returns the claims of a token of a cookie that would be accepted if it had not expired.
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
