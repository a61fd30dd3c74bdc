// Package api serves the JSON API for programs. Its first route is the change feed:
//
//	GET /api/changes   changes by JSON and long poll, or as a stream of server-sent events
//
// The handler can be mounted in any router:
//
//	mux.Handle("/api/changes", api.New(mirror, api.Options{OperatorToken: token}))
//
// Operators call it with a token. Users can call it if [Options.Rule] allows them; without a rule
// none can.
//
// The contract is in docs/http-api.md and in openapi.yaml.
package api
