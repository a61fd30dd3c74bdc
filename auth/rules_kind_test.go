package auth_test

import (
	"testing"

	"github.com/clerksync/clerksync/auth"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	own := auth.Func("own", func(*auth.Subject) auth.Decision { return auth.Allow() })
	for _, test := range []struct {
		rule  auth.Rule
		want  string
		valid bool
	}{
		{nil, "session", false},
		{auth.MinRole("growth"), "session", true},
		{own, "session", true},
		{auth.Accept(auth.APIKey), "api_key", true},
		{auth.Accept(), "", false},
		{auth.Accept(auth.Kind(9)), "", false},
		{auth.Scope("deals:read"), "session", false},
		{auth.All(auth.Accept(auth.Session), auth.Scope("deals:read")), "session", false},
		{auth.Any(auth.Scope("deals:read"), auth.Machine("mch_1")), "session", false},
		{auth.Any(auth.Scope("deals:read"), auth.Role("a")), "session", true},
		{auth.All(auth.Accept(auth.Session, auth.APIKey), auth.Machine("mch_1")), "session, api_key", false},
		{auth.All(auth.Accept(auth.APIKey, auth.OAuth), auth.Reverified(auth.Strict())), "api_key, oauth", false},
		{auth.All(auth.Accept(auth.M2M), auth.MinRole("growth")), "m2m", false},
		{auth.All(auth.Accept(auth.M2M), auth.Any(auth.Permission("org:deals:read"), auth.Feature("export"), auth.Plan("pro"))), "m2m", false},
		{auth.All(auth.Accept(auth.M2M, auth.APIKey), auth.OrgRole("admin")), "api_key, m2m", true},
		{auth.All(auth.Accept(auth.M2M), auth.Machine("mch_1"), auth.Scope("a"), auth.NotImpersonated(), own), "m2m", true},
		{auth.All(auth.Accept(auth.APIKey, auth.M2M), auth.Scope("deals:read")), "api_key, m2m", true},
		{auth.All(auth.Accept(auth.Session, auth.OAuth), auth.All(auth.Accept(auth.OAuth), own)), "oauth", true},
		{auth.All(auth.Accept(auth.APIKey), auth.Accept(auth.OAuth)), "", false},
		{auth.Any(auth.Accept(auth.APIKey), own), "session", false},
		{auth.Any(auth.Role("a"), auth.All(auth.Plan("p"), auth.Feature("f"))), "session", true},
		{auth.All(auth.Accept(auth.Session, auth.APIKey), auth.Any(auth.Accept(auth.Session), auth.Scope("deals:read"))), "session, api_key", true},
		{auth.All(auth.Accept(auth.Session), auth.Any(auth.All(auth.Accept(auth.OAuth), own), own)), "session", false},
		{auth.All(own, auth.Scope()), "session", false},
		{auth.Scope("two words"), "session", false},
		{auth.Machine(), "session", false},
		{auth.Machine("user_1"), "session", false},
	} {
		if got := auth.Accepted(test.rule).String(); got != test.want {
			t.Errorf("%v accepts %q, want %q", test.rule, got, test.want)
		}
		if err := auth.Validate(test.rule); (err == nil) != test.valid {
			t.Errorf("%v: %v", test.rule, err)
		}
	}
}

func TestRulesOfMachines(t *testing.T) {
	t.Parallel()
	organization := &auth.ActiveOrganization{ID: "org_1"}
	member := &auth.Membership{OrganizationID: "org_1", Role: "org:admin", Permissions: []string{"org:deals:read"}}
	key := &auth.Claims{Kind: auth.APIKey, Subject: "user_1", Scopes: []string{"deals:read", "deals:write"}}
	orgKey := &auth.Claims{Kind: auth.APIKey, Subject: "org_1", Organization: organization}
	machine := &auth.Claims{Kind: auth.M2M, Subject: "mch_1", MachineID: "mch_1"}
	person := &auth.Claims{Subject: "user_1", Organization: &auth.ActiveOrganization{ID: "org_1", Role: "org:admin", Permissions: []string{"org:deals:read"}}}
	// what a token of another kind claims about its organization is not what a session token proves
	claimed := &auth.Claims{Kind: auth.OAuth, Subject: "user_1", Organization: person.Organization}
	for _, test := range []struct {
		name    string
		rule    auth.Rule
		subject auth.Subject
		want    string
	}{
		{"scopes", auth.Scope("deals:read", "deals:write"), auth.Subject{Claims: key}, ""},
		{"one scope is missing", auth.Scope("deals:read", "deals:delete"), auth.Subject{Claims: key}, auth.ReasonScope},
		{"a person has no scopes", auth.Scope("deals:read"), auth.Subject{Claims: person}, auth.ReasonScope},
		{"a person, or a scope", auth.Any(auth.Accept(auth.Session), auth.Scope("deals:read")), auth.Subject{Claims: person}, ""},
		{"a machine", auth.Machine("mch_1"), auth.Subject{Claims: machine}, ""},
		{"another machine", auth.Machine("mch_2", "mch_11"), auth.Subject{Claims: machine}, auth.ReasonMachine},
		{"a person is no machine", auth.Machine("mch_1"), auth.Subject{Claims: &auth.Claims{Subject: "user_1", MachineID: "mch_1"}}, auth.ReasonMachine},
		{"a kind", auth.Accept(auth.APIKey), auth.Subject{Claims: key}, ""},
		{"another kind", auth.Accept(auth.OAuth, auth.M2M), auth.Subject{Claims: key}, auth.ReasonKind},
		{"a permission of the creator", auth.Permission("deals:read"), auth.Subject{Claims: orgKey, Membership: member}, ""},
		{"a role of the creator", auth.OrgRole("admin"), auth.Subject{Claims: orgKey, Membership: member}, ""},
		{"no creator", auth.Permission("deals:read"), auth.Subject{Claims: orgKey}, auth.ReasonPermission},
		{"no creator, no role", auth.OrgRole("admin"), auth.Subject{Claims: orgKey}, auth.ReasonOrganizationRole},
		{"a claimed permission", auth.Permission("deals:read"), auth.Subject{Claims: claimed}, auth.ReasonPermission},
		{"a claimed role", auth.OrgRole("admin"), auth.Subject{Claims: claimed}, auth.ReasonOrganizationRole},
		{"the role of the user", auth.MinRole("growth"), auth.Subject{Claims: key, Role: "growth", Ladder: []string{"solo", "growth"}}, ""},
		{"reverification", auth.Reverified(auth.Strict()), auth.Subject{Claims: key}, auth.ReasonReverification},
	} {
		d := test.rule.Check(&test.subject)
		if d.Allowed != (test.want == "") || d.Reason != test.want {
			t.Errorf("%s: %+v, want %q", test.name, d, test.want)
		}
		if conditions := test.rule.Explain(&test.subject); len(conditions) == 0 || conditions[0].Allowed != d.Allowed {
			t.Errorf("%s: explained as %+v", test.name, conditions)
		}
	}
	if d := auth.Scope("a").Check(nil); d.Code != auth.CodeAuthenticationRequired {
		t.Errorf("nobody has %+v", d)
	}
}
