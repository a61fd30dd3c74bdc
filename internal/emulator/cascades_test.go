package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// told are the types of the events that came in, in their order.
func (r *receiver) told(t *testing.T) []string {
	t.Helper()
	types := []string{}
	for _, d := range r.deliveries() {
		var e struct{ Type string }
		decode(t, d.body, &e)
		types = append(types, e.Type)
	}
	return types
}

// Children go with their parent; whether events tell of them is a switch, since Clerk does not say.
func TestCascades(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		silent bool
		change func(c *clerk, user, org string)
		want   string
	}{
		"ban": {
			false, func(c *clerk, user, _ string) { c.call("POST", "/v1/users/"+user+"/ban", nil) },
			"user.updated session.revoked session.revoked",
		},
		"ban, silently": {
			true, func(c *clerk, user, _ string) { c.call("POST", "/v1/users/"+user+"/ban", nil) },
			"user.updated",
		},
		"user": {
			false, func(c *clerk, user, _ string) { c.call("DELETE", "/v1/users/"+user, nil) },
			"session.removed session.removed organizationMembership.deleted user.deleted",
		},
		"user, silently": {
			true, func(c *clerk, user, _ string) { c.call("DELETE", "/v1/users/"+user, nil) },
			"user.deleted",
		},
		"organization": {
			false, func(c *clerk, _, org string) { c.call("DELETE", "/v1/organizations/"+org, nil) },
			"organizationMembership.deleted organization.deleted",
		},
		"organization, silently": {
			true, func(c *clerk, _, org string) { c.call("DELETE", "/v1/organizations/"+org, nil) },
			"organization.deleted",
		},
		"membership, which is no child": {true, func(c *clerk, user, org string) {
			c.call("DELETE", "/v1/organizations/"+org+"/memberships/"+user, nil)
		}, "organizationMembership.deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClerk(t, emulator.Options{NoChildEvents: test.silent, Workers: 1})
			user := c.user("ada@example.com")
			org := c.organization("Acme", user)
			session := c.signIn(user, object{"organization_id": org})
			c.signIn(user, object{})
			base := "/v1/organizations/" + org
			c.made(base+"/invitations", object{"email_address": "x@example.com", "role": "org:member"})
			c.made(base+"/domains", object{"name": "acme.example"})
			r := c.listen(nil)
			test.change(c, user, org)
			c.settle()
			if got := strings.Join(r.told(t), " "); got != test.want {
				t.Errorf("events %s, want %s", got, test.want)
			}
			left := func(path string) int { return len(c.list(path)) }
			switch {
			case strings.HasPrefix(name, "ban"):
				for _, s := range c.list("/v1/sessions?user_id=" + user) {
					if s["status"] != "revoked" {
						t.Errorf("session %v", s)
					}
				}
				c.refused(http.StatusForbidden, "authorization_invalid", "POST", "/v1/sessions", object{"user_id": user})
				c.refused(http.StatusForbidden, "authorization_invalid", "POST", "/_emulator/users/"+user+"/sign_in", object{})
				c.refused(http.StatusForbidden, "authorization_invalid", "POST", "/_emulator/tokens", object{"user_id": user})
			case strings.HasPrefix(name, "user"):
				c.refused(http.StatusNotFound, "resource_not_found", "GET", "/v1/sessions/"+session, nil)
				if left("/v1/organization_memberships") != 0 || left(base+"/memberships") != 0 || left(base+"/invitations") != 1 {
					t.Error("memberships are left, or an invitation is not")
				}
			default:
				got := c.call("GET", "/v1/sessions/"+session, nil)
				if got["last_active_organization_id"] != nil || got["status"] != "active" || left("/v1/organization_memberships") != 0 {
					t.Errorf("session %v", got)
				}
				deleted := strings.HasPrefix(name, "organization")
				if left("/v1/organization_invitations") == 0 != deleted || left("/v1/organization_domains") == 0 != deleted {
					t.Error("invitations or domains of the organization")
				}
			}
		})
	}
}

func TestQuotaOfMembershipsIsKept(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Users: 7})
	users := ids(c.list("/v1/users"))
	org := c.organization("Acme", users[0])
	if got := c.call("GET", "/v1/organizations/"+org, nil)["max_allowed_memberships"]; got != 0.0 {
		t.Errorf("%v unless told, want 0: no limit", got)
	}
	join := func(user string) answer {
		return c.do("POST", "/v1/organizations/"+org+"/memberships", object{"user_id": user, "role": "org:member"})
	}
	for _, user := range users[1:6] {
		if a := join(user); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	c.call("PATCH", "/v1/organizations/"+org, object{"max_allowed_memberships": 6})
	if a := join(users[6]); a.status != http.StatusForbidden || !strings.Contains(string(a.body), "organization_membership_quota_exceeded") {
		t.Errorf("the seventh of six: %d %s", a.status, a.body)
	}
	invitation := c.made("/v1/organizations/"+org+"/invitations", object{"email_address": "x@example.com", "role": "org:member"})
	c.refused(http.StatusForbidden, "organization_membership_quota_exceeded", "POST", "/_emulator/users/"+users[6]+"/accept", object{"invitation_id": invitation})
	c.call("DELETE", "/v1/organizations/"+org+"/memberships/"+users[3], nil)
	c.call("POST", "/_emulator/users/"+users[6]+"/accept", object{"invitation_id": invitation})
}

func TestInvitationsExpireWhenTheyWereTold(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user := c.user("ada@example.com")
	org := c.organization("Acme", "")
	inside, outside := "/v1/organizations/"+org+"/invitations", "/v1/invitations"
	short := c.made(inside, object{"email_address": "a@example.com", "role": "org:member", "expires_in_days": 2})
	c.made(inside, object{"email_address": "b@example.com", "role": "org:member"})
	c.made(outside, object{"email_address": "a@example.com", "expires_in_days": 2})
	c.made(outside, object{"email_address": "b@example.com"})
	for _, step := range []struct {
		advance time.Duration
		expired int
	}{{47 * time.Hour, 0}, {time.Hour, 1}, {28 * 24 * time.Hour, 2}} {
		c.Advance(step.advance)
		for _, path := range []string{inside, outside, "/v1/organization_invitations"} {
			if got := len(c.list(path + "?status=expired")); got != step.expired {
				t.Errorf("%s: %d expired after %s, want %d", path, got, step.advance, step.expired)
			}
		}
	}
	c.refused(http.StatusNotFound, "organization_invitation_not_pending", "POST", inside+"/"+short+"/revoke", nil)
	c.refused(http.StatusNotFound, "organization_invitation_not_pending", "POST", "/_emulator/users/"+user+"/accept", object{"invitation_id": short})
	c.made(inside, object{"email_address": "a@example.com", "role": "org:member"}) // again, for the old one is no longer pending
}

func TestSessionsExpireByTheClock(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user := c.user("ada@example.com")
	session := c.signIn(user, object{})
	r := c.listen(nil)
	c.Advance(7*24*time.Hour - time.Minute)
	if got := c.call("GET", "/v1/sessions/"+session, nil)["status"]; got != "active" {
		t.Errorf("status %v a minute before it ends", got)
	}
	c.Advance(time.Minute + time.Second) // the session began after the user, if only by a millisecond
	if got := c.call("GET", "/v1/sessions/"+session, nil)["status"]; got != "expired" {
		t.Errorf("status %v, want expired", got)
	}
	c.refused(http.StatusUnprocessableEntity, "session_not_active", "POST", "/v1/sessions/"+session+"/tokens", nil)
	if c.settle(); len(r.deliveries()) != 0 {
		t.Errorf("events %v: none tells of that", r.told(t))
	}
}

func TestLocksEndByTheClock(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user := c.user("ada@example.com")
	c.call("POST", "/v1/users/"+user+"/lock", nil)
	c.refused(http.StatusForbidden, "authorization_invalid", "POST", "/_emulator/users/"+user+"/sign_in", object{})
	c.Advance(40 * time.Minute)
	if got := c.call("GET", "/v1/users/"+user, nil); got["locked"] != true || got["lockout_expires_in_seconds"].(float64) > 1200 {
		t.Errorf("locked %v for %v seconds more", got["locked"], got["lockout_expires_in_seconds"])
	}
	c.Advance(20 * time.Minute)
	if got := c.call("GET", "/v1/users/"+user, nil); got["locked"] != false || got["lockout_expires_in_seconds"] != nil {
		t.Errorf("locked %v for %v seconds more", got["locked"], got["lockout_expires_in_seconds"])
	}
	c.signIn(user, object{})
}

// The status of a failed sign-in is its first reason's, also where there are two.
func TestFailedSignInHasAStatus(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user := c.user("ada@example.com")
	path := "/_emulator/users/" + user + "/sign_in"
	c.refused(http.StatusNotFound, "resource_not_found", "POST", path, object{"organization_id": "org_x"})
	c.call("POST", "/v1/users/"+user+"/ban", nil)
	c.refused(http.StatusForbidden, "authorization_invalid", "POST", path, object{"organization_id": "org_x"})
	c.refused(http.StatusNotFound, "resource_not_found", "POST", "/_emulator/users/user_x/sign_in", object{})
}

// Whoever changes an object twice within a millisecond makes two versions that can be told apart.
func TestUpdatedAtRises(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Workers: 1})
	r := c.listen(nil)
	user := c.user("ada@example.com")
	org := c.organization("Acme", user)
	for i := range 20 {
		c.call("PATCH", "/v1/users/"+user, object{"first_name": strconv.Itoa(i)})
		c.call("PATCH", "/v1/organizations/"+org, object{"name": strconv.Itoa(i)})
		c.call("PATCH", "/v1/organizations/"+org+"/memberships/"+user, object{"role": []string{"org:admin", "org:member"}[i%2]})
	}
	c.settle()
	last := map[string]int64{}
	for _, d := range r.deliveries() {
		var e struct {
			Type      string
			Timestamp int64
			Data      struct {
				ID        string
				UpdatedAt int64 `json:"updated_at"`
			}
		}
		decode(t, d.body, &e)
		if e.Data.UpdatedAt <= last[e.Data.ID] || e.Timestamp < e.Data.UpdatedAt {
			t.Errorf("%s: version %d at %d after version %d", e.Type, e.Data.UpdatedAt, e.Timestamp, last[e.Data.ID])
		}
		last[e.Data.ID] = e.Data.UpdatedAt
	}
	if len(last) != 3 || len(r.deliveries()) != 63 {
		t.Errorf("%d events of %d objects", len(r.deliveries()), len(last))
	}
}

// An organization of long ago is announced today.
func TestOrganizationOfLongAgo(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	r := c.listen(nil)
	o := c.call("POST", "/v1/organizations", object{"name": "Acme", "created_at": "2020-01-01T00:00:00Z"})
	c.refused(http.StatusUnprocessableEntity, "form_param_format_invalid", "POST", "/v1/organizations", object{"name": "x", "created_at": "long ago"})
	c.settle()
	var e struct{ Timestamp int64 }
	decode(t, r.deliveries()[0].body, &e)
	if o["created_at"] != 1577836800000.0 || time.Since(time.UnixMilli(e.Timestamp)) > time.Minute {
		t.Errorf("created at %v, announced at %d", o["created_at"], e.Timestamp)
	}
}

func TestSameSeedSameInstance(t *testing.T) {
	t.Parallel()
	story := func(seed uint64) string {
		c := newClerk(t, emulator.Options{Seed: seed, Users: 3})
		c.listen(nil)
		secret := c.call("POST", "/_emulator/webhooks/rotate", nil)
		user := c.user("ada@example.com")
		org := c.organization("Acme", user)
		c.signIn(user, object{"organization_id": org})
		c.made(strings.Join([]string{"/v1/organizations", org, "invitations"}, "/"), object{"email_address": "x@example.com", "role": "org:member"})
		var words []string
		for range 30 {
			action, err := c.Step(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", action, err)
			}
			words = append(words, action)
		}
		c.settle()
		sent := []string{}
		for _, m := range c.Deliveries() {
			sent = append(sent, m.ID+m.Type)
		}
		keys := c.Keys("")
		b, err := json.Marshal([]any{keys, secret, ids(c.list("/v1/users?limit=500")), ids(c.list("/v1/organization_memberships")), words, sent})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	a := story(seed)
	if b := story(seed); a != b {
		t.Errorf("the same seed gives\n%s\nand\n%s", a, b)
	}
	if a == story(seed+1) {
		t.Error("another seed gives the same")
	}
}

// The same seed meets the same faults.
func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	story := func() string {
		c := newClerk(t, emulator.Options{Workers: 1})
		r := c.listen(nil)
		c.faults(emulator.Faults{Duplicate: 0.3, Fail: 0.3, Unheard: 0.2, Drop: 0.1, WrongSignature: 0.2, WrongInstance: 0.2, API: emulator.APIFaults{TooMany: 0.2, ServerError: 0.2}})
		statuses := []int{}
		for i := range 40 {
			statuses = append(statuses, c.do("POST", "/v1/users", object{"username": fmt.Sprintf("user%d", i)}).status)
			c.exhaust()
		}
		return fmt.Sprint(statuses, r.told(t))
	}
	if a, b := story(), story(); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}
