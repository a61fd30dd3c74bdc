package forwardauth

import (
	"fmt"
	"net/http"
	"slices"
)

// Proxy is a kind of proxy. It decides in which form a check tells the original request; every other
// form is refused, because a client can send its headers through a proxy that does not know them.
type Proxy string

// The kinds of proxies. [ProxyAny] takes each form but that of ingress-nginx, and refuses a check in
// which two of them differ. docs/forward-auth.md lists the headers of each.
const (
	ProxyAny          Proxy = ""
	ProxyNginx        Proxy = "nginx"
	ProxyCaddy        Proxy = "caddy"
	ProxyTraefik      Proxy = "traefik"
	ProxyEnvoy        Proxy = "envoy"
	ProxyIngressNginx Proxy = "ingress-nginx"
)

// Proxies returns the kinds of proxies that can be configured.
func Proxies() []Proxy {
	return []Proxy{ProxyNginx, ProxyCaddy, ProxyTraefik, ProxyEnvoy, ProxyIngressNginx}
}

// The headers in which proxies tell the original request, as net/http spells them.
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

// sends reports whether the proxy tells the original request in the header of this canonical name.
func (p Proxy) sends(name string) bool {
	var names []string
	switch p {
	case ProxyNginx:
		names = []string{originalMethod, originalURI}
	case ProxyCaddy, ProxyTraefik:
		names = []string{forwardedMethod, forwardedURI}
	case ProxyIngressNginx:
		names = []string{originalMethod, originalURL, originalURI}
	case ProxyEnvoy: // it tells all in the path and the method of the check
	case ProxyAny:
		names = []string{originalMethod, originalURI, forwardedMethod, forwardedURI}
	}
	return slices.Contains(names, http.CanonicalHeaderKey(name))
}
