package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// original is the request that a proxy asks about.
type original struct {
	method string
	target string // as the client wrote it, query included
	host   string
	// overrides are the methods that the query names, in addition to the method itself; see
	// queryMethods.
	overrides []string
}

// readOriginal reads the original request in the form of the configured proxy. A contradiction is
// an error, because the client may have sent one of the two headers. The header Forwarded (RFC
// 7239) is never read.
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
		err = errors.New("the proxy does not send the original request: see docs/forward-auth.md for its headers")
	}
	if err == nil {
		err = checkOverrideHeaders(r.Header, p, o.method)
	}
	o.overrides = queryMethods(o.target)
	return o, err
}

// family is a pair of headers in which proxies send the original request.
type family struct{ method, target string }

func families() [2]family {
	return [...]family{
		{originalMethod, originalURI},   // nginx, by its configuration
		{forwardedMethod, forwardedURI}, // Caddy, Traefik
	}
}

// addFamilies reads the original request from each family of headers that is there. All of them
// must agree with each other and with what was read before.
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
			return fmt.Errorf("%s and %s contradict other headers of the original request", f.method, f.target)
		}
		o.method, o.target = method, target
	}
	return nil
}

// fromURL reads the original request as ingress-nginx sends it: the method, and a URL with the host
// and the target that the client sent. ingress-nginx repeats the target in other headers, which
// must agree.
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

// splitURL splits an absolute URL and leaves the target as it is. It accepts plain hosts only: with
// a user or a question mark in the host, the target would begin somewhere else.
func splitURL(text string) (host, target string, err error) {
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "http://")
	}
	host, _, slash := strings.Cut(rest, "/")
	if !ok || !slash || host == "" || strings.ContainsFunc(host, notHost) {
		return "", "", fmt.Errorf("%s is not a URL with a plain host and a path", originalURL)
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

// forwardedHost returns the host that the client requested.
func forwardedHost(r *http.Request) (string, error) {
	host, found, err := single(r.Header, "X-Forwarded-Host")
	if found && err == nil {
		return host, nil
	}
	return r.Host, err
}

// single returns the value of a header that may occur once. An empty one counts as absent: proxies
// send it to remove what a client sent.
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

// request returns the original request, as far as it is known, for the authorizer.
func (o *original) request(r *http.Request, pattern string) *http.Request {
	clone := r.WithContext(r.Context()) // shallow: the headers are those of the client, and are not changed
	clone.Method, clone.Host, clone.RequestURI, clone.Pattern = o.method, o.host, o.target, pattern
	clone.Body, clone.ContentLength = http.NoBody, 0
	path, _, _ := strings.Cut(o.target, "?")
	clone.URL = &url.URL{Path: path}
	if parsed, err := url.ParseRequestURI(path); err == nil {
		clone.URL = parsed
	}
	if opensSocket(r.Header) || len(o.overrides) > 0 {
		// A WebSocket that a page of another site opens would act with the browser's cookie,
		// although its method is GET. So it needs the same proof of its origin as a method that is
		// not safe. The same applies to a GET that a framework may take for another method.
		clone.Method = http.MethodPost
	}
	return clone
}

// opensSocket reports whether the client opens a WebSocket. Proxies remove Upgrade, and HTTP/2 has
// no Sec-WebSocket-Key (RFC 8441). So it looks at every header that browsers send for a WebSocket.
func opensSocket(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			return true
		}
	}
	return len(h["Upgrade"]) > 0 || slices.Contains(h["Sec-Fetch-Mode"], "websocket")
}
