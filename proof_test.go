package clerksync_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
)

// asked is a mirror that hears no webhooks, and counts what it reads from Clerk.
func asked(t *testing.T, change func(*clerksync.Config)) (*gate, *sync.Map) {
	t.Helper()
	return askedAt(t, filepath.Join(t.TempDir(), "clerk.db"), change)
}

func askedAt(t *testing.T, path string, change func(*clerksync.Config)) (*gate, *sync.Map) {
	t.Helper()
	c := clerktest.New(t)
	var reads sync.Map // path -> *atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := reads.LoadOrStore(r.URL.Path, &atomic.Int64{})
		n.(*atomic.Int64).Add(1)
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return openGateAt(t, c, path, func(config *clerksync.Config) { config.APIURL = front.URL }, change), &reads
}

func count(reads *sync.Map, path string) int64 {
	n, ok := reads.Load(path)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// A user whose webhook is still on its way is read once from Clerk, however many requests come at
// the same time.
func TestUnknownUserIsReadOnce(t *testing.T) {
	t.Parallel()
	g, reads := asked(t, nil)
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	token := g.clerk.Token(user)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { g.passes(token, nil) })
	}
	all.Wait()
	g.passes(token, nil)
	if n := count(reads, "/v1/users/"+user); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
	if u, err := g.m.Users().ByClerkID(t.Context(), user); err != nil || u.FirstName != "Ada" {
		t.Errorf("stored: %+v, %v", u, err)
	}
}

// Whom Clerk does not know is not asked for again and again, until an event brings the user.
func TestUserWhomClerkDoesNotKnow(t *testing.T) {
	t.Parallel()
	g, reads := asked(t, nil)
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	token := g.clerk.Token(user)
	g.clerk.DeleteUser(user)
	for range 5 {
		g.refused(token, nil, http.StatusUnauthorized, "user_not_registered")
	}
	if n := count(reads, "/v1/users/"+user); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
	_, err := g.m.Users().Apply(t.Context(), []byte(`{"object":"user","id":"`+user+`","updated_at":1}`))
	if err != nil {
		t.Fatal(err)
	}
	g.passes(token, nil)
}

func TestUnknownUserIsNotReadWhereNobodyMayAsk(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*clerksync.Config){
		"switched off":     func(c *clerksync.Config) { c.DisableOnDemandUsers = true },
		"no secret key":    func(c *clerksync.Config) { c.SecretKey = "" },
		"Clerk is away":    func(c *clerksync.Config) { c.APIURL = "http://127.0.0.1:1" },
		"the key is wrong": func(c *clerksync.Config) { c.SecretKey = "sk_test_wrong" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, _ := asked(t, change)
			token := g.clerk.Token(g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"}))
			g.refused(token, nil, http.StatusUnauthorized, "user_not_registered")
		})
	}
}

// Item A7 and correctness.md section 9: what is stored grants only after it was read from Clerk,
// once for a while.
func TestStoredFactsGrantOnceProven(t *testing.T) {
	t.Parallel()
	g, reads := asked(t, func(c *clerksync.Config) { c.PlanFeatures = map[string][]string{"pro": {"reports"}} })
	g.clerk.SendTo(g.m.WebhookHandler())
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	organization := g.clerk.CreateOrganization("Engines", user)
	g.clerk.Call("POST", "/_emulator/subscriptions", map[string]any{"payer": user, "plan": "pro"}, nil)
	v1 := g.clerk.TokenFor(clerktest.TokenOptions{UserID: user, OrganizationID: organization, Version: 1}) // it tells no plans
	g.clerk.Settle()
	for range 3 {
		g.passes(v1, auth.MinRole("growth"))
		g.passes(v1, auth.Permission("org:sys_domains:manage"))
		g.passes(v1, auth.Plan("user:pro"))
		g.passes(v1, auth.Feature("user:reports"))
		g.passes(v1, auth.All(auth.MinRole("growth"), auth.Permission("org:sys_domains:manage"), auth.Plan("pro")))
		g.refused(v1, auth.Plan("org:pro"), http.StatusForbidden, "feature_locked")
		g.refused(v1, auth.MinRole("enterprise"), http.StatusForbidden, "forbidden")
	}
	for _, path := range []string{
		"/v1/users/" + user, "/v1/organizations/" + organization + "/memberships", "/v1/users/" + user + "/billing/subscription",
		"/v1/organizations/" + organization + "/billing/subscription",
	} {
		if n := count(reads, path); n != 1 {
			t.Errorf("%s was read %d times, want once", path, n)
		}
	}
}

// The mirror believes in an old role; the read that was to prove it shows the new one.
func TestProofShowsWhatWasMissed(t *testing.T) {
	t.Parallel()
	g, _ := asked(t, nil)
	g.clerk.SendTo(g.m.WebhookHandler())
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "admin"})
	token := g.clerk.Token(user)
	g.clerk.Settle()
	g.clerk.SetFaults(clerktest.Faults{Drop: 1})
	g.clerk.SetRole(user, "solo")
	g.refused(token, auth.MinRole("growth"), http.StatusForbidden, "forbidden")

	g.clerk.SetFaults(clerktest.Faults{})
	other := g.clerk.CreateUser(clerktest.User{Email: "grace@example.com", Role: "admin"})
	banned := g.clerk.Token(other)
	g.clerk.Settle()
	g.clerk.SetFaults(clerktest.Faults{Drop: 1})
	g.clerk.Ban(other)
	g.passes(banned, nil) // nothing needed a proof, and nothing told of the ban
	g.refused(banned, auth.MinRole("growth"), http.StatusUnauthorized, "user_inactive")
	g.refused(banned, nil, http.StatusUnauthorized, "user_inactive")
}

// While Clerk is out of reach, what needs a proof is refused, and nothing else.
func TestNoProofWithoutClerk(t *testing.T) {
	t.Parallel()
	g, _ := asked(t, func(c *clerksync.Config) { c.APIURL = "http://127.0.0.1:1" })
	g.clerk.SendTo(g.m.WebhookHandler())
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "admin"})
	token := g.clerk.Token(user)
	g.clerk.Settle()
	g.passes(token, nil)
	g.refused(token, auth.MinRole("growth"), http.StatusForbidden, "forbidden")
}

// While Clerk does not answer, one request in a while finds that out; the others are not held up.
func TestSilentClerkHoldsUpOneRequest(t *testing.T) {
	t.Parallel()
	var heard atomic.Int64
	silent := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(front.Close)
	t.Cleanup(func() { close(silent) })
	g, _ := asked(t, func(c *clerksync.Config) { c.APIURL = front.URL })
	for i := range 5 {
		g.refused(g.clerk.Token(g.clerk.CreateUser(clerktest.User{Username: fmt.Sprintf("user%d", i)})), nil, http.StatusUnauthorized, "user_not_registered")
	}
	if n := heard.Load(); n == 0 || n > 2 {
		t.Errorf("Clerk was asked %d times for five people", n)
	}
}
