package emulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/emulator"
	"github.com/clerksync/clerksync/sqlite"
)

func start(t *testing.T, options emulator.Options) *emulator.Clerk {
	t.Helper()
	clerk, err := emulator.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := clerk.Close(); err != nil {
			t.Error(err)
		}
	})
	return clerk
}

func mirrorOf(t *testing.T, clerk *emulator.Clerk) *clerksync.Mirror {
	t.Helper()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// createUser creates a user with an email address, and returns the id.
func createUser(t *testing.T, clerk *emulator.Clerk) string {
	t.Helper()
	var user struct{ ID string }
	if err := clerk.Call(t.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{"ada@example.com"}}, &user); err != nil {
		t.Fatal(err)
	}
	return user.ID
}

// A program needs no more than this: users reach the mirror by signed webhooks, and their tokens
// are accepted.
func TestMirrorOfAnEmulatedClerk(t *testing.T) {
	t.Parallel()
	clerk := start(t, emulator.Options{})
	m := mirrorOf(t, clerk)
	if err := clerk.SendTo(m.WebhookHandler()); err != nil {
		t.Fatal(err)
	}
	ada := createUser(t, clerk)
	var token struct{ JWT string }
	if err := clerk.Call(t.Context(), "POST", "/_emulator/tokens", map[string]any{"user_id": ada}, &token); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := clerk.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/auth/me", nil)
	r.Header.Set("Authorization", "Bearer "+token.JWT)
	w := httptest.NewRecorder()
	m.MeHandler().ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), ada) {
		t.Errorf("GET /api/auth/me: %d %s", w.Code, w.Body)
	}
}

// What no webhook brought, the mirror reads from the Backend API at Clerk.URL, by its secret key.
func TestBackendAPIOverTheNetwork(t *testing.T) {
	t.Parallel()
	clerk := start(t, emulator.Options{})
	ada := createUser(t, clerk)
	m := mirrorOf(t, clerk)
	if _, err := m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Users().ByClerkID(t.Context(), ada); err != nil {
		t.Error(err)
	}
	response, err := http.DefaultClient.Get(clerk.URL + "/v1/users") // without a key
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %d %s", response.StatusCode, body)
	}
}

func TestSendToURL(t *testing.T) {
	t.Parallel()
	clerk := start(t, emulator.Options{})
	m := mirrorOf(t, clerk)
	server := httptest.NewServer(m.WebhookHandler())
	defer server.Close()
	if err := clerk.SendToURL(server.URL); err != nil {
		t.Fatal(err)
	}
	ada := createUser(t, clerk)
	if err := clerk.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Users().ByClerkID(t.Context(), ada); err != nil {
		t.Error(err)
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	id := func(seed uint64) string { return start(t, emulator.Options{Seed: seed}).Config().InstanceID }
	if first, second := id(7), id(7); first != second {
		t.Errorf("the same seed made the instances %s and %s", first, second)
	}
	if first, second := id(0), id(0); first == second {
		t.Errorf("without a seed two instances are %s", first)
	}
}

func TestOnlyLoopbackAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		clerk, err := emulator.Start(emulator.Options{Address: address})
		if err == nil {
			_ = clerk.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("Start on %s: %v", address, err)
		}
	}
	clerk := start(t, emulator.Options{Address: "localhost:0"})
	if _, err := emulator.Start(emulator.Options{Address: strings.TrimPrefix(clerk.URL, "http://")}); err == nil {
		t.Error("two instances listen on one address")
	}
}

func TestCloseEndsTheServer(t *testing.T) {
	t.Parallel()
	clerk, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := clerk.Close(); err != nil {
			t.Error(err)
		}
	}
	if response, err := http.DefaultClient.Get(clerk.URL + "/.well-known/jwks.json"); err == nil {
		response.Body.Close()
		t.Error("the server still responds")
	}
}

func TestFixtures(t *testing.T) {
	t.Parallel()
	clerk := start(t, emulator.Options{Fixtures: "../clerktest/testdata/clerk.yaml"})
	var user struct {
		FirstName string `json:"first_name"`
	}
	for range 2 {
		if err := clerk.Call(t.Context(), "GET", "/v1/users/user_ada", nil, &user); err != nil || user.FirstName != "Ada" {
			t.Errorf("Ada is %+v, %v", user, err)
		}
		if err := errors.Join(
			clerk.Call(t.Context(), "DELETE", "/v1/users/user_ada", nil, nil), clerk.Call(t.Context(), "POST", "/_emulator/reset", nil, nil),
		); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := emulator.Start(emulator.Options{Fixtures: "emulator_test.go"}); err == nil || !strings.Contains(err.Error(), "emulator_test.go:") {
		t.Errorf("a wrong file: %v", err)
	}
}

// A person who opens the address in a browser sees what is in the instance.
func TestPagesOfAnEmulatedClerk(t *testing.T) {
	t.Parallel()
	clerk := start(t, emulator.Options{})
	createUser(t, clerk)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, clerk.URL+"/people", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), "ada@example.com") {
		t.Errorf("/people answers %d %.200s %v", response.StatusCode, body, err)
	}
}
