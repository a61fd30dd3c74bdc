package forwardauth

import (
	"errors"
	"strings"
)

// Audience is the place at which an identity is used. [VerifyIdentity] refuses an identity at
// another host than it was made for, and on a path that does not belong to the route that let the
// request pass.
type Audience struct {
	// Host is the host that clients use, with its port unless that is 80 or 443. Take it from your
	// configuration, not from a header that clients choose.
	Host string

	// Path is the path of the request as the client wrote it, such as r.RequestURI. The query is
	// ignored.
	Path string
}

// audienceScheme is the scheme of the claim aud, a URI of host and route such as
// clerksync-upstream://app.example.com/reports/**.
const audienceScheme = "clerksync-upstream://"

const maxHost = 255

// audienceOf returns the claim aud of a host and the path of a route. It returns "" for a host that
// is not valid.
func audienceOf(host, route string) string {
	host = bareHost(host)
	if host == "" {
		return ""
	}
	if route == "" { // without a policy all paths are alike
		route = "/" + anyRest
	}
	return audienceScheme + host + route
}

// covers returns an error unless the claim aud covers the place at which the identity is used.
func (a Audience) covers(claim string) error {
	place, found := strings.CutPrefix(claim, audienceScheme)
	slash := strings.IndexByte(place, '/')
	if !found || slash < 0 {
		return errors.New("forwardauth: the identity is meant for others")
	}
	if host := bareHost(a.Host); host == "" || host != place[:slash] {
		return errors.New("forwardauth: the identity is meant for another host")
	}
	route, fault, _ := parsePattern(place[slash:])
	if fault != "" {
		return errors.New("forwardauth: the identity is malformed")
	}
	path, fault := parsePath(a.Path)
	if fault != "" {
		return errors.New("forwardauth: " + fault)
	}
	if !route.matches(path.decoded, exactly) {
		return errors.New("forwardauth: the identity is meant for another route")
	}
	return nil
}

// bareHost returns a host in lower case without default port, or "" if it is not valid.
func bareHost(host string) string {
	host = strings.ToLower(host)
	for _, port := range []string{":443", ":80"} {
		if bare, found := strings.CutSuffix(host, port); found {
			host = bare
			break
		}
	}
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:[]", r))
	}
	if len(host) > maxHost || strings.ContainsFunc(host, odd) {
		return ""
	}
	return host
}
