package emulator_test

import (
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// Each request over HTTP is told of, with the reason if it is refused, and without its query.
func TestRequestsAreTold(t *testing.T) {
	t.Parallel()
	e := newClerk(t, emulator.Options{}).Emulator
	var mu sync.Mutex
	var told []emulator.Request
	e.OnRequest(func(r emulator.Request) {
		mu.Lock()
		defer mu.Unlock()
		r.At, r.Took = r.At.Truncate(0), 0
		told = append(told, r)
	})
	server := httptest.NewServer(e)
	defer server.Close()
	get(t, server, "/.well-known/jwks.json?__clerk_db_jwt=secret", "Origin", "http://localhost:3000")
	get(t, server, "/v1/users")
	get(t, server, "/npm/@clerk/clerk-js@6/dist/clerk.browser.js")
	if err := e.Call(t.Context(), "GET", "/v1/users", nil, nil); err != nil { // within the process
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []emulator.Request{
		{Method: "GET", Path: "/.well-known/jwks.json", Status: 200, From: "http://localhost:3000"},
		{Method: "GET", Path: "/v1/users", Status: 401, Reason: "The Authorization header is missing."},
		{Method: "GET", Path: "/npm/@clerk/clerk-js@6/dist/clerk.browser.js", Status: 404, Reason: "@clerk/clerk-js is not installed where the emulator looks for it. " +
			"Run npm install --save-dev @clerk/clerk-js in the folder of the app, and start the emulator there or with --node-modules.\n"},
	}
	if !slices.EqualFunc(told, want, func(a, b emulator.Request) bool { b.At = a.At; return a == b }) {
		t.Errorf("told %+v", told)
	}
}
