package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// original is the request that the proxy asks about.
type original struct {
	method string
	target string // as the client wrote it, query included
	host   string
}

// family is a pair of headers in which proxies tell the original request.
type family struct{ method, target string }

func families() [2]family {
	return [...]family{
		{"X-Original-Method", "X-Original-Uri"},   // nginx, by its configuration
		{"X-Forwarded-Method", "X-Forwarded-Uri"}, // Caddy, Traefik
	}
}

// readOriginal takes the original request from what a trusted proxy sent. Envoy appends the original target to the path
// of the check and keeps the method; all others send a family of headers. Whatever contradicts something else is an
// error: one of the two was the client's. RFC 7239 Forwarded is not looked at.
func readOriginal(r *http.Request) (o original, err error) {
	o.host = r.Host
	if beneath, found := strings.CutPrefix(r.RequestURI, Path+"/"); found {
		o.method, o.target = r.Method, "/"+beneath
	} else if o.host, err = forwardedHost(r); err != nil {
		return o, err
	}
	for _, f := range families() {
		method, hasMethod, err := single(r.Header, f.method)
		if err != nil {
			return o, err
		}
		target, hasTarget, err := single(r.Header, f.target)
		switch {
		case err != nil:
			return o, err
		case !hasMethod && !hasTarget:
			continue
		case hasMethod != hasTarget:
			return o, fmt.Errorf("one of the headers %s and %s is there without the other", f.method, f.target)
		case o.target != "" && (o.method != method || o.target != target):
			return o, fmt.Errorf("%s and %s contradict what else is told of the original request", f.method, f.target)
		}
		o.method, o.target = method, target
	}
	if o.target == "" {
		return o, errors.New("the proxy does not tell the original request: see docs/forward-auth.md for its headers")
	}
	return o, nil
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

// disguised tells headers by which some frameworks serve another path or method than the request has: what is decided
// here would not be what they do.
func disguised(h http.Header, method string) error {
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		for _, value := range h[name] {
			if value != "" && value != method {
				return fmt.Errorf("the header %s asks for another method", name)
			}
		}
	}
	for _, name := range []string{"X-Original-Url", "X-Rewrite-Url"} {
		for _, value := range h[name] {
			if value != "" {
				return fmt.Errorf("the header %s asks for another path", name)
			}
		}
	}
	return nil
}

// request is the original one, as far as it is known, for who decides about it.
func (o original) request(r *http.Request, pattern string) *http.Request {
	clone := r.WithContext(r.Context()) // shallow: the headers are the client's already, and nobody changes them
	clone.Method, clone.Host, clone.RequestURI, clone.Pattern = o.method, o.host, o.target, pattern
	clone.Body, clone.ContentLength = http.NoBody, 0
	path, _, _ := strings.Cut(o.target, "?")
	clone.URL = &url.URL{Path: path}
	if parsed, err := url.ParseRequestURI(path); err == nil {
		clone.URL = parsed
	}
	if len(r.Header["Sec-Websocket-Key"]) > 0 || len(r.Header["Upgrade"]) > 0 {
		// A socket that another site's page opens would act with the cookie that its browser sends along, though its
		// method is GET. So it needs the proof of the same origin that is asked of methods that are not safe.
		clone.Method = http.MethodPost
	}
	return clone
}
