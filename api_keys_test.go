package clerksync_test

import (
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
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
