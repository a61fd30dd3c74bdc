package emulator_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// began returns an instance with something to return to.
func began(t *testing.T) *clerk {
	t.Helper()
	return newClerk(t, emulator.Options{Users: 3, Organizations: 2, Memberships: 4})
}

// disturb changes, deletes and makes objects of every kind.
func disturb(c *clerk) {
	c.t.Helper()
	users, orgs, roles := ids(c.list("/v1/users")), ids(c.list("/v1/organizations")), ids(c.list("/v1/organization_roles"))
	c.call("PATCH", "/v1/users/"+users[0], object{"first_name": "Changed", "username": "changed"})
	c.call("POST", "/v1/users/"+users[0]+"/ban", nil)
	c.call("DELETE", "/v1/users/"+users[1], nil)
	c.call("DELETE", "/v1/organizations/"+orgs[0], nil)
	c.call("PATCH", "/v1/organization_roles/"+roles[0], object{"name": "Changed"})
	user := c.user("new@example.com")
	org := c.organization("New", user)
	c.signIn(user, object{"organization_id": org})
	c.made("/v1/organizations/"+org+"/invitations", object{"email_address": "x@example.com", "role": "org:member"})
	c.made("/v1/organizations/"+org+"/domains", object{"name": "new.example", "verified": true})
	c.made("/v1/invitations", object{"email_address": "y@example.com"})
	c.made("/v1/jwt_templates", object{"name": "another", "claims": object{}})
	c.made("/v1/organization_permissions", object{"name": "Close", "key": "org:deals:close"})
	c.call("POST", "/_emulator/subscriptions", object{"payer": user, "plan": "pro"})
}

func TestResetReturnsToTheStart(t *testing.T) {
	t.Parallel()
	c := began(t)
	r := c.listen(fails(http.StatusInternalServerError))
	start, keys := c.view(), c.Keys("")
	for range 2 { // also after a reset
		disturb(c)
		before := ids(c.list("/v1/users"))
		c.faults(emulator.Faults{Drop: 1, API: emulator.APIFaults{ServerError: 0.5}})
		c.Advance(28 * time.Hour)
		c.settle()
		got := len(r.deliveries())

		c.call("POST", "/_emulator/reset", object{})

		if now := c.view(); !maps.Equal(start, now) {
			for path := range now {
				if now[path] != start[path] {
					t.Errorf("%s was %s and is %s", path, start[path], now[path])
				}
			}
		}
		_, waits := c.Pending()
		if waits || len(c.Deliveries()) > 0 || c.Faults() != (emulator.Faults{}) || time.Until(c.Now()).Abs() > time.Minute {
			t.Errorf("left are %d messages, waiting %v, faults %+v, the time %v", len(c.Deliveries()), waits, c.Faults(), c.Now())
		}
		state := c.call("GET", "/_emulator/state", nil)
		if n := state["counts"].(object)["sessions"]; n != 0.0 || len(state["webhooks"].([]any)) != 1 || c.Keys("") != keys {
			t.Errorf("after a reset the state is %v", state)
		}
		if slices.Contains(before, c.user("other@example.com")) {
			t.Error("a reset gave an id twice")
		}
		c.settle()
		if sent := len(r.deliveries()) - got; sent != 1 { // of the user above
			t.Errorf("%d messages were sent after the reset, want 1", sent)
		}
		c.call("POST", "/_emulator/reset", nil)
	}
}

// A state file knows the start, too: without a seed, another process would make another one.
func TestResetAfterARestartReturnsToTheSameStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	c := began(t)
	start := c.view()
	disturb(c)
	if err := c.Save(file); err != nil {
		t.Fatal(err)
	}
	d := newClerk(t, emulator.Options{Seed: 99, Users: 3, Organizations: 2, Memberships: 4})
	if err := d.Load(file); err != nil {
		t.Fatal(err)
	}
	d.key = d.Keys("").SecretKey
	d.call("POST", "/_emulator/reset", nil)
	if now := d.view(); !maps.Equal(start, now) {
		t.Errorf("the start was %v and is %v", start, now)
	}
}

// Nothing of the time before a reset arrives after it.
func TestResetDiscardsMessagesUnderWay(t *testing.T) {
	t.Parallel()
	for name, long := range map[string]time.Duration{"a receiver that answers": 300 * time.Millisecond, "one that hangs": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClerk(t, emulator.Options{Workers: 2})
				var arrived, ended atomic.Int32
				c.AddEndpoint(emulator.Target{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					arrived.Add(1)
					select {
					case <-time.After(long):
					case <-r.Context().Done():
					}
					ended.Add(1)
					w.WriteHeader(http.StatusInternalServerError)
				})}, webhookSecret)
				for _, name := range []string{"a", "b", "c", "d"} {
					c.user(name + "@example.com")
				}
				synctest.Wait()
				if arrived.Load() != 2 {
					t.Fatalf("%d messages are under way", arrived.Load())
				}
				began := time.Now()
				c.Reset(t.Context())
				synctest.Wait()
				if took := time.Since(began); took > time.Second || ended.Load() != 2 {
					t.Errorf("the reset took %v, and %d requests ended", took, ended.Load())
				}
				time.Sleep(time.Hour)
				if arrived.Load() != 2 || len(c.Deliveries()) != 0 {
					t.Errorf("%d messages arrived, %d are kept", arrived.Load(), len(c.Deliveries()))
				}
				c.Close()
			})
		})
	}
}

// A receiver that resets the instance does not wait for itself.
func TestResetByAReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{Users: 1})
		done := make(chan struct{})
		c.AddEndpoint(emulator.Target{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			c.Reset(t.Context())
			close(done)
		})}, webhookSecret)
		c.user("ada@example.com")
		<-done
		c.settle()
		if n := len(c.list("/v1/users")); n != 1 || len(c.Deliveries()) != 0 {
			t.Errorf("%d users, %d messages", n, len(c.Deliveries()))
		}
		c.Close()
	})
}

// With events, the objects are as at the start, but for times and what copies never forget.
func TestResetWithEvents(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Fixtures: fixtures(t, teamFile)})
	r := c.listen(nil)
	names := func() map[string][]string {
		all := map[string][]string{}
		for _, kind := range []string{"users", "organizations", "organization_memberships", "organization_roles", "organization_permissions", "jwt_templates"} {
			for _, o := range c.list("/v1/" + kind + "?limit=100") {
				for _, name := range []string{"id", "created_at", "updated_at", "password_last_updated_at", "last_sign_in_at", "last_active_at", "organization", "lockout_expires_in_seconds"} {
					if name != "id" || kind == "organization_memberships" || kind == "organization_permissions" || kind == "organization_roles" {
						delete(o, name)
					}
				}
				text, _ := json.Marshal(o)
				all[kind] = append(all[kind], perm.ReplaceAllString(string(text), ""))
			}
			slices.Sort(all[kind])
		}
		return all
	}
	start := names()
	disturb(c)
	c.call("POST", "/_emulator/reset", object{"events": true})
	if now := names(); !reflect.DeepEqual(now, start) {
		for kind := range start {
			if !slices.Equal(now[kind], start[kind]) {
				t.Errorf("%s were %v and are %v", kind, start[kind], now[kind])
			}
		}
	}
	c.settle()
	types := map[string]int{}
	for _, d := range r.deliveries() {
		var event struct{ Type string }
		decode(t, d.body, &event)
		types[event.Type]++
	}
	for _, event := range []string{
		"user.deleted", "user.created", "user.updated", "organization.deleted", "organization.created", "organizationMembership.created", "role.updated",
		"permission.deleted", "session.removed",
	} {
		if types[event] == 0 {
			t.Errorf("no %s among %v", event, types)
		}
	}
	sent := len(r.deliveries())
	if answer := c.call("POST", "/_emulator/reset", object{"events": true}); len(answer["returned"].([]any)) != 0 {
		t.Errorf("a second time %v", answer)
	}
	c.settle()
	if more := len(r.deliveries()) - sent; more > sent/2 {
		t.Errorf("nothing changed, and %d messages were sent", more)
	}
}

// perm finds the ids and times of permissions inside roles.
var perm = regexp.MustCompile(`"(id":"perm_\w+|(created|updated)_at":\d+)"?,?`)
