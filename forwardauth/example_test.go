package forwardauth_test

import (
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/forwardauth"
)

// The most specific path decides. What no route names is refused.
func ExamplePolicy_Match() {
	policy, err := forwardauth.ParsePolicy([]byte(`{"routes": [
		{"path": "/health", "public": true},
		{"path": "/reports/**", "require": {"min_role": "growth"}},
		{"path": "/reports/drafts/**", "methods": ["GET"], "require": {"role": "admin"}}
	]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, request := range [][2]string{
		{"GET", "/reports/2026"}, {"GET", "/reports/drafts/1"}, {"POST", "/reports/drafts/1"}, {"GET", "/reports/../admin"},
	} {
		route, err := policy.Match(request[0], request[1])
		if refusal, ok := errors.AsType[*forwardauth.RefusalError](err); ok {
			fmt.Println(request[0], request[1], "refused:", refusal.Reason)
			continue
		}
		fmt.Println(request[0], request[1], route.Rule)
	}
	// Output:
	// GET /reports/2026 MinRole("growth")
	// GET /reports/drafts/1 Role("admin")
	// POST /reports/drafts/1 refused: no_route
	// GET /reports/../admin refused: unsafe_path
}

// ParsePolicy reports all mistakes together, each with a remedy.
func ExampleParsePolicy() {
	_, err := forwardauth.ParsePolicy([]byte(`{"routes": [{"path": "reports", "require": {"role": ""}}]}`))
	fmt.Println(err)
	// Output:
	// route 1: path does not begin with a slash
	// route 1: require.role can never allow: the name is empty
}
