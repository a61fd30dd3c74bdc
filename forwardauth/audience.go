package forwardauth

import (
	"errors"
	"strings"
)

// Audience is where an identity is used. It is refused anywhere but at the host that it was made for, and on paths of the
// route that let the request pass.
type Audience struct {
	Host string // that clients ask for, with its port unless that is 80 or 443; not of a header that clients choose
	Path string // of the request as the client wrote it, such as r.RequestURI; a query is ignored
}

// audienceScheme begins the claim aud, a URI of host and route: clerksync-upstream://app.example.com/reports/**.
const audienceScheme = "clerksync-upstream://"

const maxHost = 255

// audienceOf is the claim of a host and the path of a route, "" for a host that has more than one reading.
func audienceOf(host, route string) string {
	host = bareHost(host)
	if host == "" {
		return ""
	}
	if route == "" { // there is no policy: any path is let pass alike
		route = "/" + anyRest
	}
	return audienceScheme + host + route
}

// covers returns an error unless a claim names the place where the identity is used.
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

// bareHost is a host in lower case without default port, "" for what is no host.
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
