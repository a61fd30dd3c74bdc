// Package tests shows how to test a service with clerktest: an emulated Clerk in the process of the
// test, with tokens, webhooks that get lost, and no account and no network.
package tests

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

func TestDealsNeedGrowth(t *testing.T) {
	clerk, m := newMirror(t)
	solo := clerk.CreateUser(clerktest.User{Email: "solo@example.com", Role: "solo"})
	growth := clerk.CreateUser(clerktest.User{Email: "growth@example.com", Role: "growth"})

	for user, want := range map[string]int{solo: http.StatusForbidden, growth: http.StatusOK} {
		if got := getDeals(m, clerk.Token(user)); got != want {
			t.Errorf("GET /api/deals by %s: %d, want %d", user, got, want)
		}
	}
}

func TestBanEndsAccess(t *testing.T) {
	clerk, m := newMirror(t)
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	token := clerk.Token(ada) // valid for a minute
	clerk.Ban(ada)
	clerktest.AssertConverged(t, clerk, m) // it waits until all webhooks are delivered
	if got := getDeals(m, token); got != http.StatusUnauthorized {
		t.Errorf("GET /api/deals by a banned user: %d", got)
	}
}

func TestLostWebhooksAreRepaired(t *testing.T) {
	clerk, m := newMirror(t)
	clerk.SetFaults(clerktest.Faults{Drop: 1}) // no webhook arrives
	clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	report, err := m.Sync().Reconcile(t.Context(), mirror.ReconcileOptions{}) // Run does it at intervals
	if err != nil {
		t.Fatal(err)
	}
	if report.Repaired == 0 {
		t.Errorf("nothing was repaired: %+v", report)
	}
	clerktest.AssertConverged(t, clerk, m)
}

// newMirror returns an emulated Clerk and a mirror that receives its webhooks. Both end with the
// test.
func newMirror(t *testing.T) (*clerktest.Clerk, *clerksync.Mirror) {
	clerk := clerktest.New(t)
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	clerk.SendTo(m.WebhookHandler())
	return clerk, m
}

// getDeals makes a request to the service under test and returns the status.
func getDeals(m *clerksync.Mirror, token string) int {
	service := m.Require(auth.MinRole("growth"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/api/deals", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	return w.Code
}
