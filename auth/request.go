package auth

import (
	"crypto/sha1" //nolint:gosec // Clerk names its cookies so; nothing is protected by it
	"encoding/base64"
	"net/http"
	"strings"
)

// BearerToken returns the token of the request's Authorization header (RFC 6750 section 2.1). The header must be there
// exactly once, with the scheme Bearer in any case and one token; anything else, another scheme too, is no token.
// The token is not verified.
func BearerToken(r *http.Request) (token string, ok bool) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	// three quick scans: ContainsAny would look at each of a thousand bytes by itself
	odd := strings.IndexByte(token, ' ') >= 0 || strings.IndexByte(token, '\t') >= 0 || strings.IndexByte(token, ',') >= 0
	if !strings.EqualFold(scheme, "Bearer") || token == "" || odd {
		return "", false
	}
	return token, true
}

// TokenSource is the place in a request where a token was found.
type TokenSource uint8

// The places of a token.
const (
	NoToken TokenSource = iota // there is none
	FromHeader
	FromCookie
)

func (f TokenSource) String() string {
	switch f {
	case NoToken:
		return "nowhere"
	case FromHeader:
		return "header"
	default:
		return "cookie"
	}
}

const sessionCookie = "__session"

// TokenReader finds the session token in a request. The zero value knows the header and the cookie __session; see
// [NewTokenReader].
type TokenReader struct {
	suffixed []string // names of cookies to look for before __session
}

// NewTokenReader returns a reader that knows the cookies of this instance. Clerk gives them a suffix derived from the
// publishable key, so that instances on one host do not overwrite each other's. The key exists with and without base64
// padding, which makes two suffixes: that of the key as given comes first. An empty key is none.
func NewTokenReader(publishableKey string) TokenReader {
	if publishableKey == "" {
		return TokenReader{}
	}
	names := []string{sessionCookie + "_" + CookieSuffix(publishableKey)}
	bare := strings.TrimRight(publishableKey, "=")
	other := bare
	if other == publishableKey {
		encoded := bare[strings.LastIndexByte(bare, '_')+1:]
		other += "==="[:(4-len(encoded)%4)%4]
	}
	if other != publishableKey {
		names = append(names, sessionCookie+"_"+CookieSuffix(other))
	}
	return TokenReader{names}
}

// CookieSuffix is what Clerk appends to the names of an instance's cookies, after an underscore.
func CookieSuffix(publishableKey string) string {
	sum := sha1.Sum([]byte(publishableKey)) //nolint:gosec // see the import
	return base64.URLEncoding.EncodeToString(sum[:])[:8]
}

// Token returns the session token of a request and where it was. The token is not verified; give both to
// [Verifier.VerifyFrom]. The first place that has one counts, whatever the others hold:
//
//  1. Authorization: Bearer, as [BearerToken] reads it. A header with this scheme that is not one token, or beside
//     another one, is no token, and cookies are not looked at: who tries to say who they are must not be somebody else.
//     Other schemes are ignored.
//  2. The cookie __session_<suffix>, if the instance's publishable key is known.
//  3. The cookie __session.
//
// A cookie that occurs twice with different values is no token: one of the two was set for another path or domain, and
// it is unknown which. If the token of a cookie turns out to be expired, [Verifier.VerifyRenewed] verifies the others.
func (t TokenReader) Token(r *http.Request) (token string, from TokenSource) {
	if token, ok := BearerToken(r); ok {
		return token, FromHeader
	}
	for _, value := range r.Header["Authorization"] {
		if value = strings.TrimLeft(value, " \t"); len(value) >= 6 && strings.EqualFold(value[:6], "Bearer") {
			return "", NoToken
		}
	}
	lines := r.Header["Cookie"]
	for i := range len(t.suffixed) + 1 {
		switch value, ambiguous := cookie(lines, t.name(i)); {
		case ambiguous:
			return "", NoToken
		case value != "":
			return value, FromCookie
		}
	}
	return "", NoToken
}

// name returns the i-th name of a cookie to look for.
func (t TokenReader) name(i int) string {
	if i < len(t.suffixed) {
		return t.suffixed[i]
	}
	return sessionCookie
}

// cookie returns the value of a cookie (RFC 6265 section 4.2.1), without the quotes that may stand around it, "" if it is
// not there or empty.
func cookie(lines []string, name string) (value string, ambiguous bool) {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			key, text, _ := strings.Cut(strings.Trim(part, " \t"), "=")
			if key != name {
				continue
			}
			if text = unquoted(text); text == "" {
				continue
			}
			if value != "" && value != text {
				return "", true
			}
			value = text
		}
	}
	return value, false
}

// unquoted removes a pair of quotes around a cookie's value. One quote alone is part of it, and no token.
func unquoted(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}
