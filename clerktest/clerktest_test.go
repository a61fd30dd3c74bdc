package clerktest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/sqlite"
)

func newMirror(t *testing.T, c *clerktest.Clerk) *clerksync.Mirror {
	t.Helper()
	m := unsubscribed(t, c)
	c.SendTo(m.WebhookHandler())
	return m
}

// unsubscribed returns a mirror that receives no webhooks yet.
func unsubscribed(t *testing.T, c *clerktest.Clerk) *clerksync.Mirror {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, c.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func useEverything(c *clerktest.Clerk) {
	ada := c.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "growth", PrivateMetadata: map[string]any{"n": 1.5}})
	grace := c.CreateUser(clerktest.User{Email: "grace@example.com", Phone: "+15555550100", ExternalID: "cust_1"})
	gone := c.CreateUser(clerktest.User{Username: "gone"})
	session := c.SignIn(ada)
	c.SignIn(grace)
	c.SignIn(gone)
	org := c.CreateOrganization("Analytical Engines", ada)
	c.AddMember(org, grace, "org:member")
	c.AddMember(org, gone, "org:member")
	other := c.CreateOrganization("Cobol", grace)
	c.AddMember(other, ada, "org:member")
	c.UpdateUser(ada, map[string]any{"last_name": "Lovelace"})
	c.SetRole(grace, "admin")
	c.Revoke(session)
	c.DeleteUser(gone)
	c.RemoveMember(other, ada)
	c.DeleteOrganization(other)
	c.Ban(grace)
	c.Call("POST", "/v1/organization_roles", map[string]any{"name": "Editor", "key": "editor", "permissions": []string{"org:sys_domains:read"}}, nil)
	c.Call("PATCH", "/v1/organizations/"+org+"/memberships/"+grace, map[string]any{"role": "org:editor"}, nil)
	c.SignOut(ada)
}

func TestMirrorConverges(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		faults  clerktest.Faults
		options []clerktest.Option
	}{
		"on a perfect network": {},
		"without child events": {options: []clerktest.Option{clerktest.WithoutChildEvents()}},
		"with duplicates":      {faults: clerktest.Faults{Duplicate: 1}},
		"out of order":         {faults: clerktest.Faults{Reorder: 1, ReorderWindow: 50 * time.Millisecond}},
		"late":                 {faults: clerktest.Faults{Delay: 0.5, DelayMax: 48 * time.Hour}},
		"with lost attempts":   {faults: clerktest.Faults{Fail: 0.5}},
		"with lost answers":    {faults: clerktest.Faults{Unheard: 0.5}},
		"with forged copies":   {faults: clerktest.Faults{WrongSignature: 1, WrongInstance: 1}},
		"after an outage":      {faults: clerktest.Faults{Outage: 10 * time.Hour}},
		"with all of it": {faults: clerktest.Faults{
			Duplicate: 0.3, Reorder: 0.5, Delay: 0.3, Fail: 0.3, Unheard: 0.2, WrongSignature: 0.2, WrongInstance: 0.2,
			Burst: 20 * time.Millisecond,
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clerktest.New(t, append(tc.options, clerktest.WithSeed(7))...)
			m := newMirror(t, c)
			c.SetFaults(tc.faults)
			useEverything(c)
			clerktest.AssertConverged(t, c, m)
		})
	}
}

// recorder is a test that may fail without failing the test that uses it.
type recorder struct {
	testing.TB
	errors []string
	logs   []string
}

func (r *recorder) Errorf(format string, _ ...any) { r.errors = append(r.errors, format) }
func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}
func (r *recorder) Helper() {}

func TestAssertConvergedReportsLostEvents(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	m := newMirror(t, c)
	c.SetFaults(clerktest.Faults{Drop: 1})
	c.CreateUser(clerktest.User{Email: "ada@example.com"})
	r := &recorder{TB: t}
	clerktest.AssertConverged(r, c, m)
	if len(r.errors) != 1 {
		t.Errorf("%d differences reported, want 1: the user whose event was dropped", len(r.errors))
	}
}

// An application may hand over all of its routes: webhooks come to the usual one.
func TestSendToTakesARouter(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	m := unsubscribed(t, c)
	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())
	c.SendTo(mux)
	c.CreateUser(clerktest.User{Email: "ada@example.com"})
	clerktest.AssertConverged(t, c, m)
}

func TestAssertConvergedSaysWhyNothingArrived(t *testing.T) {
	t.Parallel()
	fail := func(subscribe func(c *clerktest.Clerk)) []string {
		c := clerktest.New(t)
		m := unsubscribed(t, c)
		subscribe(c)
		c.CreateUser(clerktest.User{Email: "ada@example.com"})
		r := &recorder{TB: t}
		clerktest.AssertConverged(r, c, m)
		return r.logs
	}
	for want, subscribe := range map[string]func(c *clerktest.Clerk){
		"no webhook was sent; Clerk.SendTo subscribes a handler to all events from then on": func(*clerktest.Clerk) {},
		`1 of 1 webhooks were not delivered; the last response was status 404, "404 page not found"`: func(c *clerktest.Clerk) {
			c.SendTo(http.NotFoundHandler())
		},
	} {
		if logs := fail(subscribe); len(logs) != 1 || logs[0] != want {
			t.Errorf("logged %q, want %q", logs, want)
		}
	}
}

func TestTokenIsAccepted(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	m := newMirror(t, c)
	ada := c.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	ask := func(token string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/auth/me", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		m.MeHandler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	token := c.Token(ada)
	c.Settle()
	if code, body := ask(token); code != http.StatusOK || !strings.Contains(body, `"role":"growth"`) {
		t.Errorf("%d %s", code, body)
	}
	expired := -120
	if code, _ := ask(c.TokenFor(clerktest.TokenOptions{UserID: ada, ExpiresIn: &expired})); code != http.StatusUnauthorized {
		t.Errorf("an expired token got %d", code)
	}
	c.Ban(ada)
	c.Settle()
	if code, _ := ask(token); code != http.StatusUnauthorized {
		t.Errorf("a banned user got %d", code)
	}
}

// After a reset, a new mirror has what the fixtures say.
func TestFixturesReachAMirror(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t, clerktest.WithFixtures("testdata/clerk.yaml"))
	c.CreateUser(clerktest.User{Email: "eve@example.com"})
	c.Reset()
	m := newMirror(t, c)
	if _, err := m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	clerktest.AssertConverged(t, c, m)
	if o, err := m.Organizations().BySlug(t.Context(), "acme"); err != nil || o.Name != "Acme" {
		t.Errorf("Acme is %+v, %v", o, err)
	}
}

// A mirror follows a reset with events. What was deleted stays deleted in it, because Clerk never
// gives an id again.
func TestMirrorFollowsAResetWithEvents(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t, clerktest.WithFixtures("testdata/clerk.yaml"))
	m := newMirror(t, c)
	reset := func() (returned []string) {
		var answer struct{ Returned []string }
		c.Call("POST", "/_emulator/reset", map[string]any{"events": true}, &answer)
		return answer.Returned
	}
	if _, err := m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		eve := c.CreateUser(clerktest.User{Email: "eve@example.com"})
		globex := c.CreateOrganization("Globex", eve)
		c.AddMember(globex, "user_bob", "org:member")
		c.RemoveMember("org_acme", "user_bob")
		c.UpdateUser("user_ada", map[string]any{"first_name": "Augusta", "username": "augusta"})
		c.SignIn("user_ada")
		c.Ban("user_bob")
		var made struct{ ID string }
		c.Call("POST", "/v1/organization_permissions", map[string]any{"name": "Write", "key": "org:deals:write"}, &made)
		c.Call("POST", "/v1/organization_roles", map[string]any{"name": "Boss", "key": "org:boss", "permissions": []string{made.ID}}, nil)
		c.Call("PATCH", "/v1/organizations/org_acme/memberships/user_ada", map[string]any{"role": "org:boss"}, nil)
		c.Call("POST", "/v1/organizations/org_acme/invitations", map[string]any{"email_address": "x@example.com", "role": "org:member"}, nil)
		c.Call("POST", "/v1/organizations/org_acme/domains", map[string]any{"name": "acme.test"}, nil)
		c.Advance(time.Hour)
		c.SetFaults(clerktest.Faults{Fail: 1}) // so some of that is under way
		c.UpdateUser("user_bob", map[string]any{"first_name": "Robert"})
		c.DeleteUser(eve)
		if returned := reset(); len(returned) != 0 {
			t.Errorf("%v are said to have been deleted", returned)
		}
		clerktest.AssertConverged(t, c, m)
		if u, err := m.Users().ByClerkID(t.Context(), "user_ada"); err != nil || u.FirstName != "Ada" || u.Role != "growth" {
			t.Errorf("Ada is %+v, %v", u, err)
		}
		c.Token("user_bob") // is not banned any more
	}

	c.DeleteUser("user_ada")
	c.DeleteOrganization("org_acme")
	c.Settle()
	returned := reset()
	slices.Sort(returned)
	if !slices.Equal(returned, []string{"org_acme", "user_ada"}) {
		t.Errorf("%v are said to have been deleted", returned)
	}
	c.Settle()
	if _, err := m.Users().ByClerkID(t.Context(), "user_ada"); err == nil {
		t.Error("the mirror shows a user that was deleted")
	}
}
