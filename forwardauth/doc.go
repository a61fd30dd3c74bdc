// Package forwardauth answers a reverse proxy that asks whether a request may pass: nginx auth_request, Caddy
// forward_auth, Traefik ForwardAuth, Envoy ext_authz over HTTP, ingress-nginx auth-url.
//
// A [Policy] maps paths and methods to rules; a [Handler] reads the original request from the proxy's headers, asks a
// [github.com/clerksync/clerksync.Mirror] who calls, and answers 200, 401 or 403. With 200 it says who that is in the
// headers [Headers], each always there and empty where there is nothing to say, so that a proxy that copies them
// overwrites what a client sent under these names.
//
// Everything that is not understood is refused: a peer that is no configured proxy, headers that contradict each
// other, a path that two servers could read in two ways, a route that nothing names. The contract and a recipe for each
// proxy are in docs/forward-auth.md.
package forwardauth
