// Package api serves the JSON API for programs:
//
//	GET /api/changes                      changes by JSON and long poll, or as a stream
//	GET /api/users                        users: a list with filters, and a search
//	GET /api/users/{id}                   a user with sessions and memberships
//	GET /api/users/{id}/memberships       the memberships of a user
//	GET /api/users/{id}/timeline          what happened to a user
//	POST, DELETE /api/users/{id}/…        role, ban, lock, sessions, erasure
//	GET /api/organizations                organizations: a list, and a search
//	GET /api/organizations/{id}           an organization with members
//	GET /api/organizations/{id}/members   the members of an organization
//	GET /api/sessions                     sessions
//	GET /api/deliveries                   webhook deliveries
//	GET /api/deliveries/{id}              a delivery, and its body if it is asked for
//	GET /api/audit                        the audit
//	GET /api/drift                        differences from Clerk that were found
//	GET /api/sync                         how fresh the mirror is, and whether that is proven
//	GET /api/overview, /api/activity      the same at a glance; what came in each minute
//	GET /api/sync/walks                   readings of whole lists at Clerk
//	GET, POST /api/explain                why a user is allowed or denied
//	/api/invitations, /api/overrides      invitations; values that hold here instead of Clerk's
//	/api/jobs                             work on many objects: plan, start, progress, cancel
//	/api/operators                        named operators
//	/api/consumers                        consumers of the change feed
//	/api/webhook-endpoints                endpoints of outgoing webhooks
//	POST /mcp                             read-only tools for AI assistants
//	GET /llms.txt                         these routes, described for AI assistants
//
// The handler can be mounted in any router:
//
//	routes := api.New(mirror, api.Options{OperatorToken: token})
//	mux.Handle("/api/", routes)
//	mux.Handle("/mcp", routes)
//
// Operators call it with a token. Users can call it if [Options.Rule] allows them; without a rule
// none can. A request is admitted in guard.go, and table.go has all routes.
//
// The contract is in docs/http-api.md and in openapi.yaml.
package api
