package live_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/mirror"
)

var issued = time.Unix(1_790_000_000, 0)

func claims(change func(*auth.Claims)) *auth.Claims {
	c := &auth.Claims{Subject: "user_1", SessionID: "sess_1", IssuedAt: issued, Organization: &auth.ActiveOrganization{ID: "org_1", Role: "org:admin"}}
	if change != nil {
		change(c)
	}
	return c
}

func storedFacts() live.Facts {
	return live.Facts{
		User:       &live.UserFacts{Row: mirror.User{ClerkUserID: "user_1", IsActive: true, Role: "growth"}, Found: true, Ladder: []string{"solo", "growth"}},
		Session:    &live.Session{Session: mirror.Session{ClerkSessionID: "sess_1", ClerkUserID: "user_1", Status: "active"}, Found: true},
		Membership: &live.MembershipFacts{Row: mirror.Membership{Role: "org:admin", Permissions: []string{"org:sys_domains:read"}, UpdatedAt: issued.Add(-5 * time.Second)}, Found: true},
	}
}

// Check refuses for these facts, and not for those that no event reports.
func TestCheck(t *testing.T) {
	t.Parallel()
	second := clerk.TimeOf(issued)
	cases := []struct {
		name   string
		facts  func(*live.Facts)
		claims func(*auth.Claims)
		want   string
	}{
		{"all is well", nil, nil, ""},
		{"a user who was never seen", func(f *live.Facts) { f.User = &live.UserFacts{} }, nil, live.CodeNotRegistered},
		{"a deleted user", func(f *live.Facts) { f.User = &live.UserFacts{Deleted: true} }, nil, live.CodeInactive},
		{"a banned user", func(f *live.Facts) { f.User.Row.IsActive = false }, nil, live.CodeInactive},
		{"a locked user", func(f *live.Facts) { f.User.Row.Locked = true }, nil, live.CodeInactive},
		{"a user locked for a while yet", func(f *live.Facts) {
			f.User.Row.Locked, f.User.Row.LockedUntil = true, issued.Add(time.Millisecond)
		}, nil, live.CodeInactive},
		{"a lock that has ended by itself", func(f *live.Facts) { f.User.Row.Locked, f.User.Row.LockedUntil = true, issued }, nil, ""},
		{"a session that was not seen yet", func(f *live.Facts) { f.Session = &live.Session{} }, nil, ""},
		{"a session known by its id alone", func(f *live.Facts) { f.Session.Session = mirror.Session{} }, nil, ""},
		{"a pending session", func(f *live.Facts) { f.Session.Status = "pending" }, nil, ""},
		{"a revoked session", func(f *live.Facts) { f.Session.Status = "revoked" }, nil, live.CodeSessionEnded},
		{"a session in a state unheard of", func(f *live.Facts) { f.Session.Status = "frozen" }, nil, live.CodeSessionEnded},
		{"another user's session", func(f *live.Facts) { f.Session.ClerkUserID = "user_2" }, nil, live.CodeSessionEnded},
		{"a session whose time is over by our clock", func(f *live.Facts) {
			f.Session.ExpireAt, f.Session.AbandonAt = issued.Add(-time.Second), issued.Add(-time.Second)
		}, nil, ""},
		{"a membership that was not seen yet", func(f *live.Facts) { f.Membership = &live.MembershipFacts{} }, nil, ""},
		{"a membership lost after the token", func(f *live.Facts) { f.Membership = &live.MembershipFacts{LostAt: second + 5000} }, nil, live.CodeContradiction},
		{"a membership lost in the token's second", func(f *live.Facts) { f.Membership = &live.MembershipFacts{LostAt: second + 400} }, nil, live.CodeContradiction},
		{"a membership lost before the token", func(f *live.Facts) { f.Membership = &live.MembershipFacts{LostAt: second - 1} }, nil, ""},
		{"a membership lost, a token without time", func(f *live.Facts) { f.Membership = &live.MembershipFacts{LostAt: 1} }, func(c *auth.Claims) { c.IssuedAt = time.Time{} }, live.CodeContradiction},
		{"a membership lost and regained", func(f *live.Facts) { f.Membership.LostAt = second + 5000 }, nil, ""},
		{"no organization is active", func(f *live.Facts) { f.Membership = &live.MembershipFacts{LostAt: second + 5000} }, func(c *auth.Claims) { c.Organization = nil }, ""},
		{"another role, stored after the token", func(f *live.Facts) {
			f.Membership.Row.Role, f.Membership.Row.UpdatedAt = "org:member", issued.Add(5*time.Second)
		}, nil, live.CodeContradiction},
		{"another role, stored in the token's second", func(f *live.Facts) { f.Membership.Row.Role, f.Membership.Row.UpdatedAt = "org:member", issued }, nil, live.CodeContradiction},
		{"another role, stored before the token", func(f *live.Facts) { f.Membership.Row.Role = "org:member" }, nil, ""},
		{"the same role in the spelling of old instances, stored after the token", func(f *live.Facts) {
			f.Membership.Row.Role, f.Membership.Row.UpdatedAt = "admin", issued.Add(5*time.Second)
		}, nil, ""},
		{"another role in the spelling of old instances", func(f *live.Facts) {
			f.Membership.Row.Role, f.Membership.Row.UpdatedAt = "member", issued.Add(5*time.Second)
		}, nil, live.CodeContradiction},
		{"a token that names no role", func(f *live.Facts) { f.Membership.Row.UpdatedAt = (second + 5000).Time() }, func(c *auth.Claims) { c.Organization.Role = "" }, ""},
		{"a membership without a role", func(f *live.Facts) {
			f.Membership.Row.Role, f.Membership.Row.UpdatedAt = "", issued.Add(5*time.Second)
		}, nil, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := storedFacts()
			if tc.facts != nil {
				tc.facts(&f)
			}
			got := ""
			if r := live.Check(claims(tc.claims), f, issued); r != nil {
				got = r.Code
			}
			if got != tc.want {
				t.Errorf("judged %q, want %q", got, tc.want)
			}
		})
	}
}

// What may not grant is not there for rules to see, whatever is stored.
func TestSubjectHoldsNoMoreThanMayGrant(t *testing.T) {
	t.Parallel()
	f := storedFacts()
	f.User.Plans, f.User.PlansKnown = []string{"pro"}, true
	f.Membership.Plans, f.Membership.PlansKnown = []string{"team"}, true
	rules := map[string]auth.Rule{
		"user": auth.MinRole("growth"), "membership": auth.Permission("org:sys_domains:read"), "plans": auth.All(auth.Plan("user:pro"), auth.Plan("org:team")),
	}
	allowed := func(name string, c *auth.Claims, f live.Facts, g live.Grants) bool {
		s := live.Subject(c, f, g, nil)
		return rules[name].Check(&s).Allowed
	}
	for name, grants := range map[string]live.Grants{"user": {User: true}, "membership": {Membership: true}, "plans": {Plans: true}} {
		if !allowed(name, claims(nil), f, grants) {
			t.Errorf("%s: refused though it may grant", name)
		}
		others := live.Grants{User: true, Membership: true, Plans: true}
		switch name {
		case "user":
			others.User = false
		case "membership":
			others.Membership = false
		case "plans":
			others.Plans = false
		}
		if allowed(name, claims(nil), f, others) {
			t.Errorf("%s: granted though it may not", name)
		}
	}
	all := live.Grants{User: true, Membership: true, Plans: true}
	old := storedFacts()
	old.Membership.Row.Role = "admin" // as old instances spell org:admin
	if !allowed("membership", claims(nil), old, all) {
		t.Error("permissions of a role without the prefix do not count")
	}
	stub := storedFacts()
	stub.User.Row.Stub = true
	if allowed("user", claims(nil), stub, all) {
		t.Error("a stub's role granted")
	}
	if other := claims(func(c *auth.Claims) { c.Organization.Role = "org:member" }); allowed("membership", other, f, all) {
		t.Error("permissions of an older role granted")
	}
	if none := claims(func(c *auth.Claims) { c.Organization = nil }); allowed("membership", none, f, all) {
		t.Error("permissions of an organization that is not active granted")
	}
}
