package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// original is the request that the proxy asks about.
type original struct {
	method string
	target string // as the client wrote it, query included
	host   string
	// overrides are the methods that the query asks for, next to the method itself; see queryMethods.
	overrides []string
}

// readOriginal returns the original request in the form of the configured proxy. Everything that
// contradicts something else is an error, because the client can have sent one of the two. RFC 7239
// Forwarded is never read.
func readOriginal(r *http.Request, p Proxy) (o original, err error) {
	beneath, isEnvoy := strings.CutPrefix(r.RequestURI, Path+"/")
	switch {
	case isEnvoy && p != ProxyAny && p != ProxyEnvoy:
		return o, fmt.Errorf("the check has a path beneath %s, which is Envoy's form and not that of %s", Path, p)
	case !isEnvoy && p == ProxyEnvoy:
		return o, fmt.Errorf("the check has no path beneath %s, where Envoy puts the original one", Path)
	case isEnvoy:
		o = original{method: r.Method, target: "/" + beneath, host: r.Host}
	case p == ProxyIngressNginx:
		o, err = fromURL(r.Header)
	default:
		o.host, err = forwardedHost(r)
	}
	if err == nil && p != ProxyIngressNginx {
		err = o.addFamilies(r.Header)
	}
	if err == nil && o.target == "" {
		err = errors.New("the proxy does not tell the original request: see docs/forward-auth.md for its headers")
	}
	if err == nil {
		err = checkHeaders(r.Header, p, o.method)
	}
	o.overrides = queryMethods(o.target)
	return o, err
}

// family is a pair of headers in which proxies tell the original request.
type family struct{ method, target string }

func families() [2]family {
	return [...]family{
		{originalMethod, originalURI},   // nginx, by its configuration
		{forwardedMethod, forwardedURI}, // Caddy, Traefik
	}
}

// addFamilies reads the original request from each family of headers that is there. All must agree
// with each other and with what is known already.
func (o *original) addFamilies(h http.Header) error {
	for _, f := range families() {
		method, hasMethod, err1 := single(h, f.method)
		target, hasTarget, err2 := single(h, f.target)
		switch {
		case err1 != nil || err2 != nil:
			return errors.Join(err1, err2)
		case !hasMethod && !hasTarget:
			continue
		case hasMethod != hasTarget:
			return fmt.Errorf("one of the headers %s and %s is there without the other", f.method, f.target)
		case o.target != "" && (o.method != method || o.target != target):
			return fmt.Errorf("%s and %s contradict what else is told of the original request", f.method, f.target)
		}
		o.method, o.target = method, target
	}
	return nil
}

// fromURL reads the original request as ingress-nginx sends it: the method, and a full URL in which
// the host and the target are those that the client sent. ingress-nginx repeats the target in other
// headers, which must agree.
func fromURL(h http.Header) (o original, err error) {
	text, _, err1 := single(h, originalURL)
	method, _, err2 := single(h, originalMethod)
	if err := errors.Join(err1, err2); err != nil {
		return o, err
	}
	if text == "" || method == "" {
		return o, fmt.Errorf("the headers %s and %s are not both there", originalURL, originalMethod)
	}
	o.method = method
	if o.host, o.target, err = splitURL(text); err != nil {
		return o, err
	}
	for _, name := range []string{originalURI, authRedirect} {
		target, found, err := single(h, name)
		if err == nil && found && (target[0] == '/' || name == originalURI) && target != o.target {
			err = fmt.Errorf("%s and %s contradict each other", name, originalURL)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// splitURL takes an absolute URL apart and leaves the target as it is. It accepts plain hosts only: a
// host with a user, a question mark or the like would move the place where the target begins.
func splitURL(text string) (host, target string, err error) {
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "http://")
	}
	host, _, slash := strings.Cut(rest, "/")
	if !ok || !slash || host == "" || strings.ContainsFunc(host, notHost) {
		return "", "", fmt.Errorf("%s is no URL with a plain host and a path", originalURL)
	}
	return host, rest[len(host):], nil
}

func notHost(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._:[]", r)
}

// forwardedHost is the host that the client asked for.
func forwardedHost(r *http.Request) (string, error) {
	host, found, err := single(r.Header, "X-Forwarded-Host")
	if found && err == nil {
		return host, nil
	}
	return r.Host, err
}

// single is the value of a header that may be there once. An empty one counts as absent: proxies send it to blank out
// what a client sent.
func single(h http.Header, name string) (value string, found bool, err error) {
	values := h[http.CanonicalHeaderKey(name)]
	if len(values) > 1 {
		return "", false, fmt.Errorf("the header %s is there more than once", name)
	}
	if len(values) == 0 || values[0] == "" {
		return "", false, nil
	}
	return values[0], true, nil
}

// request is the original one, as far as it is known, for who decides about it.
func (o *original) request(r *http.Request, pattern string) *http.Request {
	clone := r.WithContext(r.Context()) // shallow: the headers are the client's already, and nobody changes them
	clone.Method, clone.Host, clone.RequestURI, clone.Pattern = o.method, o.host, o.target, pattern
	clone.Body, clone.ContentLength = http.NoBody, 0
	path, _, _ := strings.Cut(o.target, "?")
	clone.URL = &url.URL{Path: path}
	if parsed, err := url.ParseRequestURI(path); err == nil {
		clone.URL = parsed
	}
	if opensSocket(r.Header) || len(o.overrides) > 0 {
		// A socket that another site's page opens would act with the cookie that its browser sends along, though its
		// method is GET. So it needs the proof of the same origin that is asked of methods that are not safe. The
		// same goes for a GET that a framework may take for another method.
		clone.Method = http.MethodPost
	}
	return clone
}

// opensSocket reports whether the client opens a WebSocket. Proxies drop Upgrade, and over HTTP/2 there is no
// Sec-WebSocket-Key (RFC 8441), so every header by which browsers tell it counts.
func opensSocket(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			return true
		}
	}
	return len(h["Upgrade"]) > 0 || slices.Contains(h["Sec-Fetch-Mode"], "websocket")
}
