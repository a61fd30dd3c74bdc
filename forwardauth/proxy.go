package forwardauth

import (
	"fmt"
	"net/http"
	"slices"
)

// Proxy is a kind of proxy. It determines the headers in which the original request is expected.
// Every other form is refused, because a client can send its headers through a proxy that does not
// know them.
type Proxy string

// The kinds of proxies. docs/forward-auth.md lists the headers of each.
const (
	ProxyAny          Proxy = ""              // every form but that of ingress-nginx; refuses contradictions
	ProxyNginx        Proxy = "nginx"         // auth_request
	ProxyCaddy        Proxy = "caddy"         // forward_auth
	ProxyTraefik      Proxy = "traefik"       // ForwardAuth
	ProxyEnvoy        Proxy = "envoy"         // ext_authz over HTTP
	ProxyIngressNginx Proxy = "ingress-nginx" // the annotation auth-url
)

// Proxies returns all kinds of proxies but [ProxyAny].
func Proxies() []Proxy {
	return []Proxy{ProxyNginx, ProxyCaddy, ProxyTraefik, ProxyEnvoy, ProxyIngressNginx}
}

// The headers in which proxies send the original request, as net/http spells them.
const (
	originalMethod  = "X-Original-Method"
	originalURI     = "X-Original-Uri"
	originalURL     = "X-Original-Url"
	forwardedMethod = "X-Forwarded-Method"
	forwardedURI    = "X-Forwarded-Uri"
	authRedirect    = "X-Auth-Request-Redirect"
)

// check returns an error for a kind that does not exist.
func (p Proxy) check() error {
	if p != ProxyAny && !slices.Contains(Proxies(), p) {
		return fmt.Errorf("forwardauth: the proxy is none of %q", Proxies())
	}
	return nil
}

// sends reports whether the proxy sends the original request in the header with this canonical
// name.
func (p Proxy) sends(name string) bool {
	var names []string
	switch p {
	case ProxyNginx:
		names = []string{originalMethod, originalURI}
	case ProxyCaddy, ProxyTraefik:
		names = []string{forwardedMethod, forwardedURI}
	case ProxyIngressNginx:
		names = []string{originalMethod, originalURL, originalURI}
	case ProxyEnvoy: // sends it in the path and the method of the check
	case ProxyAny:
		names = []string{originalMethod, originalURI, forwardedMethod, forwardedURI}
	}
	return slices.Contains(names, http.CanonicalHeaderKey(name))
}
