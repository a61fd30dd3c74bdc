package live_test

import (
	"testing"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
)

// Clerk does not end machine tokens when a user is banned or leaves. What is not stored refuses,
// too.
func TestCheckMachine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*live.Facts)
		want   string
		unseen bool
	}{
		{name: "all is well"},
		{name: "a machine", change: func(f *live.Facts) { *f = live.Facts{} }},
		{name: "a key of an organization that nobody is known to have made", change: func(f *live.Facts) { f.User, f.Membership = nil, nil }},
		{name: "a user without an organization", change: func(f *live.Facts) { f.Membership, f.Organization = nil, nil }},
		{name: "a deleted user", change: func(f *live.Facts) { f.User = &live.UserFacts{Deleted: true} }, want: live.CodeInactive},
		{name: "an unknown user", change: func(f *live.Facts) { f.User = &live.UserFacts{} }, want: live.CodeNotRegistered, unseen: true},
		{name: "a user known only from other objects", change: func(f *live.Facts) { f.User.Row.Stub = true }, want: live.CodeNotRegistered, unseen: true},
		{name: "a banned user", change: func(f *live.Facts) { f.User.Row.IsActive = false }, want: live.CodeInactive},
		{name: "a locked user", change: func(f *live.Facts) { f.User.Row.Locked = true }, want: live.CodeInactive},
		{name: "a deleted organization", change: func(f *live.Facts) { f.Organization = &live.OrganizationFacts{Deleted: true} }, want: live.CodeOrganizationInactive},
		{
			name: "an unknown organization", change: func(f *live.Facts) { f.Organization = &live.OrganizationFacts{} },
			want: live.CodeOrganizationInactive, unseen: true,
		},
		{name: "a lost membership", change: func(f *live.Facts) { f.Membership = &live.MembershipFacts{LostAt: 1} }, want: live.CodeOrganizationInactive},
		{
			name: "an unknown membership", change: func(f *live.Facts) { f.Membership = &live.MembershipFacts{} },
			want: live.CodeOrganizationInactive, unseen: true,
		},
	} {
		f := storedFacts()
		f.Session, f.Organization = nil, &live.OrganizationFacts{Found: true}
		if test.change != nil {
			test.change(&f)
		}
		refusal := live.CheckMachine(f, issued)
		got, unseen := "", false
		if refusal != nil {
			got, unseen = refusal.Code, refusal.NotMirrored
		}
		if got != test.want || unseen != test.unseen {
			t.Errorf("%s: %q, not mirrored %v", test.name, got, unseen)
		}
	}
}

// The key of an organization acts as the organization: it has the permissions of its maker's
// membership and the organization's plans, and neither the maker's role nor the maker's plans.
func TestSubjectOfMachines(t *testing.T) {
	t.Parallel()
	all := live.Grants{User: true, Membership: true, Plans: true}
	organization := &auth.ActiveOrganization{ID: "org_1"}
	f := storedFacts()
	f.Session, f.Organization = nil, &live.OrganizationFacts{Found: true, Plans: []string{"pro"}, PlansKnown: true}
	f.User.Plans, f.User.PlansKnown = []string{"own"}, true

	s := live.Subject(&auth.Claims{Kind: auth.APIKey, Subject: "org_1", CreatedBy: "user_1", Organization: organization}, f, all, nil)
	if s.Role != "" || s.UserPlans != nil || s.Membership == nil || s.Membership.Role != "org:admin" || s.OrganizationPlans == nil ||
		s.OrganizationPlans.Slugs[0] != "pro" || s.OrganizationPlans.Owner != "org_1" {
		t.Errorf("an organization's key: %+v", s)
	}
	s = live.Subject(&auth.Claims{Kind: auth.APIKey, Subject: "user_1"}, f, all, nil)
	if s.Role != "growth" || s.UserPlans == nil || s.UserPlans.Owner != "user_1" || s.Membership != nil || s.OrganizationPlans != nil {
		t.Errorf("a user's key: %+v", s)
	}
	s = live.Subject(&auth.Claims{Kind: auth.APIKey, Subject: "org_1", Organization: organization}, live.Facts{Organization: f.Organization}, all, nil)
	if s.Membership != nil || s.Role != "" || s.OrganizationPlans == nil {
		t.Errorf("an organization's key that nobody made: %+v", s)
	}
	s = live.Subject(&auth.Claims{Kind: auth.M2M, Subject: "mch_1", MachineID: "mch_1"}, live.Facts{}, all, nil)
	if s.Membership != nil || s.Role != "" || s.UserPlans != nil || s.OrganizationPlans != nil {
		t.Errorf("a machine: %+v", s)
	}
	if s = live.Subject(&auth.Claims{Kind: auth.APIKey, Subject: "org_1", CreatedBy: "user_1", Organization: organization}, f, live.Grants{}, nil); s.Membership != nil ||
		s.OrganizationPlans != nil {
		t.Errorf("what is not proven grants: %+v", s)
	}
	for want, claims := range map[string]*auth.Claims{
		"user_1": {Subject: "user_1"}, "user_2": {Kind: auth.APIKey, Subject: "user_2", CreatedBy: "user_1"},
		"user_3": {Kind: auth.APIKey, Subject: "org_1", CreatedBy: "user_3"}, "": {Kind: auth.M2M, Subject: "mch_1"},
	} {
		if got := live.Person(claims); got != want {
			t.Errorf("the person of %+v is %q", claims, got)
		}
	}
}
