package auth

import (
	"net/http"
	"strings"
)

// BearerToken returns the token of the request's Authorization header (RFC 6750 section 2.1). The header must be there
// exactly once, with the scheme Bearer in any case and one token; anything else, another scheme too, is no token.
// The token is not verified.
func BearerToken(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return "", false
	}
	return token, true
}
