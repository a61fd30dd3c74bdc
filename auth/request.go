package auth

import (
	"crypto/sha1" //nolint:gosec // Clerk names its cookies so; nothing is protected by it
	"encoding/base64"
	"net/http"
	"strings"
)

// BearerToken returns the token of the request's Authorization header (RFC 6750 section 2.1). It
// does not verify the token. ok is true only if the header occurs once and holds the scheme Bearer,
// in any case, and one token.
func BearerToken(r *http.Request) (token string, ok bool) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	// Three calls of IndexByte are faster than ContainsAny, which looks at each byte by itself.
	odd := strings.IndexByte(token, ' ') >= 0 || strings.IndexByte(token, '\t') >= 0 || strings.IndexByte(token, ',') >= 0
	if !strings.EqualFold(scheme, "Bearer") || token == "" || odd {
		return "", false
	}
	return token, true
}

// TokenSource is the part of a request in which a token was found.
type TokenSource uint8

// The sources of a token.
const (
	NoToken    TokenSource = iota // the request has no token
	FromHeader                    // the Authorization header
	FromCookie                    // a session cookie
)

// String returns "header", "cookie" or "nowhere".
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

// TokenReader finds the session token in a request. The zero value reads the Authorization header
// and the cookie __session. A reader of [NewTokenReader] also reads the cookies of one instance.
type TokenReader struct {
	suffixed []string // names of cookies to read before __session
}

// NewTokenReader returns a reader for the cookies of the instance with this publishable key. Clerk
// adds a suffix to their names that it derives from the key, so that instances on one host do not
// overwrite each other's cookies. Publishable keys exist with and without base64 padding, so there
// are two suffixes. The reader prefers that of the key as given. An empty key gives the zero
// TokenReader.
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

// CookieSuffix returns what Clerk appends, after an underscore, to the names of an instance's
// cookies: the first 8 characters of the base64url encoding of the publishable key's SHA-1.
func CookieSuffix(publishableKey string) string {
	sum := sha1.Sum([]byte(publishableKey)) //nolint:gosec // see the import
	return base64.URLEncoding.EncodeToString(sum[:])[:8]
}

// Token returns the session token of a request and its source. It does not verify the token: give
// both results to [Verifier.VerifyFrom]. The first of these that is there counts:
//
//  1. Authorization: Bearer, as [BearerToken] reads it. If the header has this scheme but is
//     malformed or occurs twice, Token returns no token and ignores the cookies. A client that
//     tries to identify itself must not be taken for another user. Token ignores other schemes.
//  2. The cookie __session_<suffix>, if the reader knows the publishable key.
//  3. The cookie __session.
//
// If a cookie occurs twice with different values, Token returns no token: one of the two was set
// for another path or domain, and it is unknown which. If the token of a cookie has expired, try
// the other cookies with [Verifier.VerifyRenewed].
func (t TokenReader) Token(r *http.Request) (token string, source TokenSource) {
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

// name returns the name of the i-th cookie to read.
func (t TokenReader) name(i int) string {
	if i < len(t.suffixed) {
		return t.suffixed[i]
	}
	return sessionCookie
}

// cookie returns the value of a cookie (RFC 6265 section 4.2.1) without quotes around it, or "" if
// the cookie is absent or empty.
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

// unquoted removes a pair of quotes around a cookie's value. It keeps a single quote, with which
// the value is not a token.
func unquoted(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}
