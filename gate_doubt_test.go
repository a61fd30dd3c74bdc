package clerksync_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// queue puts an object into the verify queue, as another process does, and waits until the gate
// knows.
func (p *proven) queue(kind clerk.Kind, id string) {
	p.Helper()
	err := p.db.Update(p.Context(), func(tx *store.Tx) error {
		return tx.QueueVerify(p.Context(), []row.VerifyItem{{Key: row.Key{Kind: kind, ID: id}, Reason: "tie"}})
	})
	if err != nil {
		p.Fatal(err)
	}
	p.moved.Add(int64(time.Second))
}

// A proof from before the doubt granted for a quarter of an hour. What is in doubt is asked for.
func TestDoubtThatArisesAfterAProofIsAskedFor(t *testing.T) {
	t.Parallel()
	manage := auth.Permission("org:sys_domains:manage")
	for name, tc := range map[string]struct {
		change func(p *proven) (clerk.Kind, string) // at Clerk, with its event lost; what comes into doubt
		rule   auth.Rule
		status int
	}{
		"a user who lost a role": {func(p *proven) (clerk.Kind, string) {
			p.clerk.SetRole(p.user, "solo")
			return clerk.KindUser, p.user
		}, auth.MinRole("growth"), http.StatusForbidden},
		"a member who became another's": {func(p *proven) (clerk.Kind, string) {
			m := p.membership()
			p.clerk.Call("PATCH", "/v1/organizations/"+p.organization+"/memberships/"+p.user, map[string]string{"role": "org:member"}, nil)
			return clerk.KindMembership, m.ClerkMembershipID
		}, manage, http.StatusUnauthorized}, // the read speaks against the token
		"a role that lost a permission": {func(p *proven) (clerk.Kind, string) {
			role := p.roleID("org:admin")
			p.clerk.Call("DELETE", "/v1/organization_roles/"+role+"/permissions/"+p.permissionID("org:sys_domains:manage"), nil, nil)
			return clerk.KindRole, role
		}, manage, http.StatusForbidden},
	} {
		for _, ready := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", while walks vouch", false: ", after a proof"}[ready], func(t *testing.T) {
				t.Parallel()
				p := newProven(t, 0, nil)
				if !ready {
					p.moved.Store(int64(27 * time.Hour))
				}
				p.passes(p.token, auth.MinRole("growth"))
				p.passes(p.token, manage)
				kind, id := tc.change(p)
				p.passes(p.token, tc.rule) // nothing told of it
				p.queue(kind, id)
				if w, _ := p.try(p.token, tc.rule, nil); w.Code != tc.status {
					t.Errorf("answered %d, want %d", w.Code, tc.status)
				}
				if left, err := p.db.VerifyQueue(t.Context(), 10); err != nil || len(left) > 0 {
					t.Errorf("left in doubt: %v, %v", left, err)
				}
			})
		}
	}
}

// While Clerk cannot be asked, what is in doubt grants nothing, however young the proof from before
// the doubt is.
func TestDoubtWithoutClerkGrantsNothing(t *testing.T) {
	t.Parallel()
	p := newProven(t, 0, nil)
	p.moved.Store(int64(27 * time.Hour))
	p.passes(p.token, auth.MinRole("growth"))
	p.passes(p.token, auth.Permission("org:sys_domains:manage"))
	permission := p.permissionID("org:sys_domains:manage")
	var away clerktest.Faults
	away.API.ServerError = 1
	p.clerk.SetFaults(away)
	p.queue(clerk.KindUser, p.user)
	p.refused(p.token, auth.MinRole("growth"), http.StatusForbidden, "forbidden")
	p.passes(p.token, auth.Permission("org:sys_domains:manage")) // this is not in doubt
	p.queue(clerk.KindPermission, permission)
	p.refused(p.token, auth.Permission("org:sys_domains:manage"), http.StatusForbidden, "forbidden")
}

func (p *proven) membership() mirror.Membership {
	p.Helper()
	m, err := p.db.Membership(p.Context(), p.user, p.organization)
	if err != nil {
		p.Fatal(err)
	}
	return m
}

func (p *proven) roleID(key string) string {
	p.Helper()
	return p.idOf("/v1/organization_roles", key)
}

func (p *proven) permissionID(key string) string {
	p.Helper()
	return p.idOf("/v1/organization_permissions", key)
}

func (p *proven) idOf(list, key string) string {
	p.Helper()
	var all struct {
		Data []struct{ ID, Key string }
	}
	p.clerk.Call("GET", list+"?limit=100", nil, &all)
	for _, one := range all.Data {
		if one.Key == key {
			return one.ID
		}
	}
	p.Fatalf("%s has no %s", list, key)
	return ""
}

// Plans that were read from Clerk granted for a quarter of an hour after the event of their end,
// and refused for as long after an upgrade.
func TestPlansAreReadAgainAfterAChange(t *testing.T) {
	t.Parallel()
	for _, payer := range []string{"user", "org"} {
		t.Run(payer, func(t *testing.T) {
			t.Parallel()
			g, _ := asked(t, nil)
			g.clerk.SendTo(g.m.WebhookHandler())
			user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
			organization := g.clerk.CreateOrganization("Engines", user)
			pays := map[string]string{"user": user, "org": organization}[payer]
			subscribe := func(plan string) {
				g.clerk.Call("POST", "/_emulator/subscriptions", map[string]any{"payer": pays, "plan": plan}, nil)
				g.clerk.Settle()
			}
			subscribe("pro")
			token := g.clerk.TokenFor(clerktest.TokenOptions{UserID: user, OrganizationID: organization, Version: 1}) // it tells no plans
			pro, team := auth.Plan(payer+":pro"), auth.Plan(payer+":team")
			g.passes(token, pro)
			g.refused(token, team, http.StatusForbidden, "feature_locked")
			subscribe("team")
			g.refused(token, pro, http.StatusForbidden, "feature_locked")
			g.passes(token, team)
		})
	}
}

// A read of plans that was sent before their change was stored comes to its end after it: neither
// those who waited for it nor those who come later are granted what it brought.
func TestPlansReadBeforeAChangeGrantNothingAfterIt(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := false
		if strings.HasSuffix(r.URL.Path, "/billing/subscription") {
			first.Do(func() { held = true })
		}
		if !held {
			c.ServeHTTP(w, r)
			return
		}
		old := httptest.NewRecorder() // what was so when the request came
		c.ServeHTTP(old, r)
		close(arrived)
		<-release
		maps.Copy(w.Header(), old.Header())
		w.WriteHeader(old.Code)
		_, _ = w.Write(old.Body.Bytes())
	}))
	t.Cleanup(front.Close)
	g := openGate(t, c, func(config *clerksync.Config) { config.APIURL = front.URL })
	c.SendTo(g.m.WebhookHandler())
	user := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	c.Call("POST", "/_emulator/subscriptions", map[string]any{"payer": user, "plan": "pro"}, nil)
	token := c.TokenFor(clerktest.TokenOptions{UserID: user, Version: 1})
	c.Settle()

	var requests sync.WaitGroup
	requests.Go(func() { g.refused(token, auth.Plan("user:pro"), http.StatusForbidden, "feature_locked") }) // it reads twice
	<-arrived
	c.Call("POST", "/_emulator/subscriptions", map[string]any{"payer": user, "plan": "team"}, nil)
	c.Settle() // the change is stored, and acknowledged
	began := make(chan struct{})
	requests.Go(func() {
		close(began)
		g.refused(token, auth.Plan("user:pro"), http.StatusForbidden, "feature_locked")
	})
	<-began
	close(release)
	requests.Wait()
	g.refused(token, auth.Plan("user:pro"), http.StatusForbidden, "feature_locked")
	g.passes(token, auth.Plan("user:team"))
}
