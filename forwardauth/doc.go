// Package forwardauth decides for a reverse proxy whether a request may pass. It works with nginx
// auth_request, Caddy forward_auth, Traefik ForwardAuth, Envoy ext_authz over HTTP, and
// ingress-nginx auth-url.
//
// A [Policy] maps paths and methods to rules. A [Handler] reads the original request from the
// headers of the proxy, authenticates it with a mirror, and answers 200, 401 or 403:
//
//	policy, err := forwardauth.ParsePolicy([]byte(`{"routes": [
//		{"path": "/health", "public": true},
//		{"path": "/reports/**", "require": {"min_role": "growth"}}
//	]}`))
//	handler, err := forwardauth.New(mirror, forwardauth.Config{
//		Policy:         policy,
//		Proxy:          forwardauth.ProxyNginx,
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
//	})
//	server.Handler = handler.Middleware(mux)
//
// An answer with 200 names the user in the headers that [Headers] lists. Each of them is always
// there, and empty if there is nothing to say. So a proxy that copies them overwrites what a client
// sent under these names. An upstream that gets the signed header checks it with [VerifyIdentity].
//
// The handler refuses everything that is not clear: a peer that is not a configured proxy, headers
// that contradict each other, a path that two servers could read differently, and a path without a
// route.
//
// The contract and a recipe for each proxy are in docs/forward-auth.md.
package forwardauth
