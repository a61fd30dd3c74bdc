package clerksync_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// apiKey makes an API key at Clerk.
func (g *gate) apiKey(subject string, scopes ...string) (secret, id string) {
	g.Helper()
	var made struct{ ID, Secret string }
	g.clerk.Call("POST", "/v1/api_keys", map[string]any{"name": "key " + rand.Text(), "subject": subject, "scopes": scopes}, &made)
	return made.Secret, made.ID
}

// The whole way of an API key: Clerk verifies it once, the mirror says what its user may do, and it
// ends with the user.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t)
	ada, bob := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"}), g.clerk.CreateUser(clerktest.User{Email: "bob@example.com"})
	organization := g.clerk.CreateOrganization("Engines", ada)
	g.clerk.Settle()
	rule := auth.All(auth.Accept(auth.APIKey), auth.Scope("deals:read"))
	own, ownID := g.apiKey(ada, "deals:read")
	without, _ := g.apiKey(ada)
	shared, _ := g.apiKey(organization, "deals:read")
	other, _ := g.apiKey(bob, "deals:read")
	g.passes(own, auth.All(rule, auth.MinRole("growth")))
	g.passes(shared, rule)
	g.passes(other, rule)
	g.refused(without, rule, http.StatusForbidden, "forbidden")
	g.refused(other, auth.All(rule, auth.MinRole("growth")), http.StatusForbidden, "forbidden")
	g.refused(own, nil, http.StatusUnauthorized, "invalid_token")
	g.refused("ak_2dE4fG1hI6jK8lM0nO1pQ3rS5tU7vW9xY0zA2bC4dE6f", rule, http.StatusUnauthorized, "invalid_token")
	g.refused(ownID, rule, http.StatusUnauthorized, "invalid_token")

	unseen, _ := g.apiKey(bob, "deals:read")
	g.clerk.SetFaults(clerktest.Faults{API: clerktest.APIFaults{ServerError: 1}})
	g.passes(own, rule) // it is remembered
	w, problem := g.try(unseen, rule, nil)
	if w.Code != http.StatusServiceUnavailable || problem["code"] != "verification_unavailable" || w.Header().Get("Retry-After") == "" {
		t.Errorf("during an outage: %d %v", w.Code, problem)
	}
	g.clerk.SetFaults(clerktest.Faults{})
	g.passes(unseen, rule)

	g.clerk.Ban(bob)
	g.clerk.DeleteOrganization(organization)
	g.clerk.Settle()
	g.refused(other, rule, http.StatusUnauthorized, "user_inactive")
	g.refused(shared, rule, http.StatusUnauthorized, "organization_inactive")
	g.passes(own, rule)
}

// A mirror without a secret key cannot ask about opaque tokens, and does not call them invalid.
func TestAPIKeysNeedASecretKey(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t, func(c *clerksync.Config) { c.SecretKey = "" })
	w, problem := g.try("ak_2dE4fG1hI6jK8lM0nO1pQ3rS5tU7vW9xY0zA2bC4dE6f", auth.Accept(auth.APIKey), nil)
	if w.Code != http.StatusServiceUnavailable || problem["code"] != "verification_unavailable" || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, problem)
	}
}

// What is revoked here is refused with the next request, JWTs too, and is revoked at Clerk where
// Clerk can do that. Another mirror of the database follows within a second.
func TestRevokeKeys(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	path := filepath.Join(t.TempDir(), "clerk.db")
	g, other := newMachineGateAt(t, clerk, path), newMachineGateAt(t, clerk, path)
	user := clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	clerk.Settle()
	key, keyID := g.apiKey(user)
	second, secondID := g.apiKey(user)
	jwt := g.accessToken(map[string]any{"sub": user, "jti": "jti_a"})
	another := g.accessToken(map[string]any{"sub": user, "jti": "jti_b"})
	rule := auth.Accept(auth.APIKey, auth.OAuth)
	pass := func(tokens ...string) {
		t.Helper()
		for _, token := range tokens {
			g.passes(token, rule)
			other.passes(token, rule)
		}
	}
	refused := func(tokens ...string) {
		t.Helper()
		began := time.Now()
		for _, token := range tokens {
			g.refused(token, rule, http.StatusUnauthorized, "invalid_token")
			for w, _ := other.try(token, rule, nil); w.Code != http.StatusUnauthorized; w, _ = other.try(token, rule, nil) {
				if time.Since(began) > time.Second {
					t.Fatal("the other mirror still accepts it")
				}
			}
		}
	}
	pass(key, second, jwt, another)
	by := mirror.By{Actor: "eve"}
	for id, where := range map[string]mirror.Where{keyID: mirror.AtClerk, "jti_a": mirror.Here} {
		if written, err := g.m.Keys().Revoke(t.Context(), id, by); err != nil || written.Where != where || written.Cursor == "" {
			t.Fatalf("%s: %+v, %v", id, written, err)
		}
	}
	refused(key, jwt)
	pass(second, another)
	keys, err := g.m.Keys().List(t.Context(), user)
	states := map[string]mirror.KeyState{}
	for _, k := range keys {
		states[k.ID] = k.State
	}
	if err != nil || len(keys) != 2 || states[keyID] != mirror.KeyRevoked || states[secondID] != mirror.KeyActive {
		t.Errorf("%+v, %v", keys, err)
	}
	if n, written, err := g.m.Keys().RevokeAll(t.Context(), user, by); n != 1 || written.Where != mirror.AtClerk || err != nil {
		t.Errorf("%d, %+v, %v", n, written, err)
	}
	refused(second, another)
	entries, err := g.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditKeyRevoked, Actor: "eve"})
	if err != nil || len(entries.Items) != 3 || entries.Items[0].ClerkUserID != user || entries.Items[0].Failure != "" {
		t.Errorf("%+v, %v", entries.Items, err)
	}
}

// A key stays refused here although Clerk cannot be asked, and the error and the audit say so.
func TestRevokeKeysDuringAnOutage(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t)
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	g.clerk.Settle()
	key, keyID := g.apiKey(user)
	g.passes(key, auth.Accept(auth.APIKey))
	g.clerk.SetFaults(clerktest.Faults{API: clerktest.APIFaults{ServerError: 1}})
	if written, err := g.m.Keys().Revoke(t.Context(), keyID, mirror.By{}); !errors.Is(err, clerksync.ErrClerkUnavailable) || written.Where != mirror.Here {
		t.Errorf("%+v, %v", written, err)
	}
	g.refused(key, auth.Accept(auth.APIKey), http.StatusUnauthorized, "invalid_token")
	entries, err := g.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditKeyRevoked})
	if err != nil || len(entries.Items) != 2 || !strings.Contains(entries.Items[0].Failure, "refused here") {
		t.Errorf("%+v, %v", entries.Items, err)
	}
	if _, err := g.m.Keys().Revoke(t.Context(), "", mirror.By{}); !errors.Is(err, clerksync.ErrNotFound) {
		t.Error(err)
	}
}
