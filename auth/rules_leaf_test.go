package auth_test

import (
	"encoding/json"
	"testing"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
)

// member returns a subject with an organization in the token and in the mirror.
func member() *auth.Subject {
	return &auth.Subject{
		Claims: &auth.Claims{
			Subject: "user_1",
			Organization: &auth.ActiveOrganization{
				ID: "org_1", Role: "org:admin", Permissions: []string{"org:invoices:read", "org:org:write"},
			},
			Features: auth.Scoped{User: []string{"themes"}, Organization: []string{"export"}, Present: true},
			Plans:    auth.Scoped{User: []string{"free"}, Organization: []string{"team"}, Present: true},
		},
		Membership: &auth.Membership{
			OrganizationID: "org_1", Role: "org:admin",
			Permissions: []string{"org:sys_memberships:read", "org:reports:read"},
		},
	}
}

// ruleCase is a rule and its result for member() after a change.
type ruleCase struct {
	name   string
	rule   auth.Rule
	change func(*auth.Subject)
	want   string // the reason of the refusal
}

func runRules(t *testing.T, cases []ruleCase) {
	t.Helper()
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			subject := member()
			if test.change != nil {
				test.change(subject)
			}
			d := test.rule.Check(subject)
			if d.Allowed != (test.want == "") || d.Reason != test.want {
				t.Errorf("%+v, want %q", d, test.want)
			}
			checkExplained(t, test.name, test.rule, subject)
		})
	}
}

// Stored facts about organization A never count in organization B.
func TestOrgRole(t *testing.T) {
	t.Parallel()
	const refused = "organization_role"
	runRules(t, []ruleCase{
		{"with prefix", auth.OrgRole("org:admin"), nil, ""},
		{"without prefix", auth.OrgRole("admin"), nil, ""},
		{"prefix twice", auth.OrgRole("org:org:admin"), nil, ""},
		{"another", auth.OrgRole("org:member"), nil, refused},
		{"another case", auth.OrgRole("Admin"), nil, refused},
		{"empty", auth.OrgRole(""), nil, "faulty_rule"},
		{"only a prefix", auth.OrgRole("org:"), nil, "faulty_rule"},
		{"no organization", auth.OrgRole("admin"), func(s *auth.Subject) { s.Claims.Organization = nil }, refused},
		{"no role", auth.OrgRole("admin"), func(s *auth.Subject) { s.Claims.Organization.Role = "" }, refused},
		{"token with prefix twice", auth.OrgRole("admin"), func(s *auth.Subject) { s.Claims.Organization.Role = "org:org:admin" }, ""},
		{"not mirrored", auth.OrgRole("admin"), func(s *auth.Subject) { s.Membership = nil }, ""},
		{"stored role unknown", auth.OrgRole("admin"), func(s *auth.Subject) { s.Membership.Role = "" }, ""},
		{"stored role is less", auth.OrgRole("admin"), func(s *auth.Subject) { s.Membership.Role = "org:member" }, refused},
		{"stored role is more", auth.OrgRole("admin"), func(s *auth.Subject) { s.Claims.Organization.Role = "org:member" }, refused},
		{"of another organization", auth.OrgRole("admin"), func(s *auth.Subject) {
			s.Claims.Organization.Role, s.Membership.OrganizationID = "org:member", "org_2"
		}, refused},
		{"less in another organization", auth.OrgRole("admin"), func(s *auth.Subject) {
			s.Membership.Role, s.Membership.OrganizationID = "org:member", "org_2"
		}, ""},
	})
}

// System permissions are in no token. Custom ones count only if the
// token has them.
func TestPermission(t *testing.T) {
	t.Parallel()
	const refused = "permission"
	runRules(t, []ruleCase{
		{"with prefix", auth.Permission("org:invoices:read"), nil, ""},
		{"without prefix", auth.Permission("invoices:read"), nil, ""},
		{"prefix thrice", auth.Permission("org:org:org:invoices:read"), nil, ""},
		{"the held side is not collapsed", auth.Permission("org:write"), nil, refused},
		{"another", auth.Permission("org:invoices:write"), nil, refused},
		{"a prefix of it", auth.Permission("org:invoices"), nil, refused},
		{"empty", auth.Permission(""), nil, "faulty_rule"},
		{"only a prefix", auth.Permission("org:"), nil, "faulty_rule"},
		{"no organization", auth.Permission("org:invoices:read"), func(s *auth.Subject) { s.Claims.Organization = nil }, refused},
		{"custom, only stored", auth.Permission("org:reports:read"), nil, refused},
		{"system", auth.Permission("org:sys_memberships:read"), nil, ""},
		{"system without prefix", auth.Permission("sys_memberships:read"), nil, ""},
		{"another system", auth.Permission("org:sys_memberships:manage"), nil, refused},
		{"system, not mirrored", auth.Permission("org:sys_memberships:read"), func(s *auth.Subject) { s.Membership = nil }, refused},
		{"system, in the token", auth.Permission("org:sys_domains:read"), func(s *auth.Subject) {
			s.Claims.Organization.Permissions = []string{"org:sys_domains:read"}
		}, refused},
		{"system, of another organization", auth.Permission("org:sys_memberships:read"), func(s *auth.Subject) {
			s.Membership.OrganizationID = "org_2"
		}, refused},
		{"system, no organization active", auth.Permission("org:sys_memberships:read"), func(s *auth.Subject) {
			s.Claims.Organization = nil
		}, refused},
		{"system, organizations without id", auth.Permission("org:sys_memberships:read"), func(s *auth.Subject) {
			s.Claims.Organization.ID, s.Membership.OrganizationID = "", ""
		}, refused},
	})
}

// silent removes the claims of features and plans from the token, and stores subscriptions.
func silent(s *auth.Subject) {
	s.Claims.Features, s.Claims.Plans = auth.Scoped{}, auth.Scoped{}
	s.UserPlans = &auth.Plans{Owner: "user_1", Slugs: []string{"free"}}
	s.OrganizationPlans = &auth.Plans{Owner: "org_1", Slugs: []string{"team"}}
	s.PlanFeatures = map[string][]string{"free": {"themes"}, "team": {"export"}}
}

// changes combines changes.
func changes(list ...func(*auth.Subject)) func(*auth.Subject) {
	return func(s *auth.Subject) {
		for _, change := range list {
			change(s)
		}
	}
}

func TestFeatureAndPlan(t *testing.T) {
	t.Parallel()
	otherOwners := func(s *auth.Subject) { s.UserPlans.Owner, s.OrganizationPlans.Owner = "user_2", "org_2" }
	noOrganization := func(s *auth.Subject) { s.Claims.Organization = nil }
	var cases []ruleCase
	for kind, of := range map[string]struct {
		rule      func(string) auth.Rule
		user, org string
	}{"feature": {auth.Feature, "themes", "export"}, "plan": {auth.Plan, "free", "team"}} {
		add := func(name, asked string, change func(*auth.Subject), want string) {
			cases = append(cases, ruleCase{kind + " " + name, of.rule(asked), change, want})
		}
		for where, change := range map[string]func(*auth.Subject){"token": nil, "mirror": silent} {
			if change == nil {
				change = func(*auth.Subject) {}
			}
			add(where+": user's, any scope", of.user, change, "")
			add(where+": organization's, any scope", of.org, change, "")
			for _, scope := range []string{"u:", "user:"} {
				add(where+": "+scope, scope+of.user, change, "")
				add(where+": wrong side "+scope, scope+of.org, change, kind)
			}
			for _, scope := range []string{"o:", "org:", "organization:"} {
				add(where+": "+scope, scope+of.org, change, "")
				add(where+": wrong side "+scope, scope+of.user, change, kind)
				add(where+": no organization "+scope, scope+of.org, changes(change, noOrganization), kind)
			}
			add(where+": none", "nothing", change, kind)
			for _, asked := range []string{"", ":", "o:", "x:" + of.user, "uo:" + of.user, "U:" + of.user, ":" + of.user, "o:a:b", "a,b"} {
				add(where+": faulty "+asked, asked, change, "faulty_rule")
			}
		}
		add("malformed claim", of.user, func(s *auth.Subject) {
			s.Claims.Features.Malformed, s.Claims.Plans.Malformed = true, true
		}, kind)
		add("malformed claim is not made up for by the mirror", of.user, changes(silent, func(s *auth.Subject) {
			s.Claims.Features = auth.Scoped{Present: true, Malformed: true}
			s.Claims.Plans = s.Claims.Features
		}), kind)
		add("empty claim is not made up for by the mirror", of.user, changes(silent, func(s *auth.Subject) {
			s.Claims.Features, s.Claims.Plans = auth.Scoped{Present: true}, auth.Scoped{Present: true}
		}), kind)
		add("subscription of another user", of.user, changes(silent, otherOwners), kind)
		add("subscription of another organization", of.org, changes(silent, otherOwners), kind)
		add("subscription of nobody", "org:"+of.org, changes(silent, noOrganization, func(s *auth.Subject) { s.OrganizationPlans.Owner = "" }), kind)
		add("subscriptions unknown", of.user, changes(silent, func(s *auth.Subject) { s.UserPlans, s.OrganizationPlans = nil, nil }), kind)
		add("the other's subscription unknown", of.user, changes(silent, func(s *auth.Subject) { s.OrganizationPlans = nil }), "")
	}
	cases = append(cases,
		ruleCase{"no map of features", auth.Feature("themes"), changes(silent, func(s *auth.Subject) { s.PlanFeatures = nil }), "feature"},
		ruleCase{"features of the plans in the token", auth.Feature("org:export"), changes(silent, func(s *auth.Subject) {
			s.Claims.Plans = auth.Scoped{Organization: []string{"team"}, Present: true}
			s.OrganizationPlans = nil
		}), ""},
		ruleCase{"the token's plans before the stored", auth.Feature("org:export"), changes(silent, func(s *auth.Subject) {
			s.Claims.Plans = auth.Scoped{Organization: []string{"free"}, Present: true}
		}), "feature"},
	)
	runRules(t, cases)

	got := auth.All(auth.Feature("org:sso")).Check(member())
	if want := (auth.Decision{Code: "feature_locked", Reason: "feature", Feature: "sso"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	got = auth.Any(auth.Plan("gold")).Check(member())
	if want := (auth.Decision{Code: "feature_locked", Reason: "plan", Plan: "gold"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Clerk's rule: which ages of the two factors satisfy which level within 10
// minutes.
func TestReverified(t *testing.T) {
	t.Parallel()
	const unknown = -99
	ages := []int{-2, -1, 0, 9, 10, 11, unknown}
	fresh := func(age int) bool { return age == 0 || age == 9 }
	for _, level := range []auth.Level{auth.FirstFactor, auth.SecondFactor, auth.MultiFactor} {
		rule := auth.Reverified(auth.ReverificationPolicy{Level: level, AfterMinutes: 10})
		for _, first := range ages {
			for _, second := range ages {
				subject := &auth.Subject{Claims: &auth.Claims{FactorAges: &[2]int{first, second}}}
				if first == unknown || second == unknown {
					subject.Claims.FactorAges = nil
				}
				want := false
				switch {
				case first == unknown, second == unknown:
				case level == auth.FirstFactor, second == -1:
					want = fresh(first)
				case level == auth.SecondFactor:
					want = fresh(second)
				default:
					want = fresh(first) && fresh(second)
				}
				d := rule.Check(subject)
				if d.Allowed != want || !want && (d.Code != "forbidden" || d.Reason != "reverification" || d.ClerkError() == nil) {
					t.Errorf("%s of %d, %d: %+v", level, first, second, d)
				}
				checkExplained(t, string(level), rule, subject)
			}
		}
	}
}

func TestReverificationPolicies(t *testing.T) {
	t.Parallel()
	custom := auth.ReverificationPolicy{Level: auth.SecondFactor, AfterMinutes: 10}
	changed := auth.Strict()
	changed.AfterMinutes = 5
	for _, test := range []struct {
		policy auth.ReverificationPolicy
		ages   [2]int // the oldest that are fresh enough
		want   string
	}{
		{auth.StrictMFA(), [2]int{9, 9}, `"strict_mfa"`},
		{auth.Strict(), [2]int{1e9, 9}, `"strict"`},
		{auth.Moderate(), [2]int{1e9, 59}, `"moderate"`},
		{auth.Lax(), [2]int{1e9, 1439}, `"lax"`},
		{custom, [2]int{1e9, 9}, `{"afterMinutes":10,"level":"second_factor"}`},
		{changed, [2]int{1e9, 4}, `{"afterMinutes":5,"level":"second_factor"}`},
	} {
		rule := auth.Reverified(test.policy)
		if d := rule.Check(&auth.Subject{Claims: &auth.Claims{FactorAges: &test.ages}}); !d.Allowed || d.ClerkError() != nil {
			t.Errorf("%s refuses %v", test.want, test.ages)
		}
		test.ages[1]++
		d := auth.All(auth.NotImpersonated(), rule).Check(&auth.Subject{Claims: &auth.Claims{FactorAges: &test.ages}})
		body, err := json.Marshal(map[string]any{"clerk_error": d.ClerkError()})
		want := `{"clerk_error":{"type":"forbidden","reason":"reverification-error","metadata":{"reverification":` + test.want + `}}}`
		if diff := cmp.Diff(want, string(body)); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if preset, ok := auth.ReverificationPreset(test.want[1 : len(test.want)-1]); ok != (test.want[0] == '"') || ok && preset != test.policy {
			t.Errorf("preset of %s: %+v, %t", test.want, preset, ok)
		}
	}
	for _, policy := range []auth.ReverificationPolicy{
		{}, {Level: "third_factor", AfterMinutes: 10}, {Level: auth.FirstFactor}, {Level: auth.MultiFactor, AfterMinutes: -1},
	} {
		rule := auth.Reverified(policy)
		if d := rule.Check(&auth.Subject{Claims: &auth.Claims{FactorAges: &[2]int{0, 0}}}); d != auth.Deny("faulty_rule") {
			t.Errorf("%+v: %+v", policy, d)
		}
	}
	if _, ok := auth.ReverificationPreset(""); ok {
		t.Error("a preset without name")
	}
}

// The rule refuses an impersonation in any form.
func TestNotImpersonated(t *testing.T) {
	t.Parallel()
	runRules(t, []ruleCase{
		{"themselves", auth.NotImpersonated(), nil, ""},
		{"a person", auth.NotImpersonated(), func(s *auth.Subject) { s.Claims.Actor = &auth.Actor{Subject: "user_9"} }, "impersonated"},
		{"an agent", auth.NotImpersonated(), func(s *auth.Subject) { s.Claims.Actor = &auth.Actor{Type: "agent"} }, "impersonated"},
		{"nobody knows who", auth.NotImpersonated(), func(s *auth.Subject) { s.Claims.Actor = &auth.Actor{} }, "impersonated"},
	})
}
