package auth_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
)

// Every role with every requirement on every ladder, signed in or not. The expected result is
// written like the documentation, not like the code.
func TestRoleRules(t *testing.T) {
	t.Parallel()
	ladder := []string{"solo", "growth", "enterprise", "admin"}
	names := append([]string{"", "unknown", "Admin", "support"}, ladder...)
	for _, l := range [][]string{nil, {}, {"solo"}, ladder} {
		for _, role := range names {
			for _, asked := range names {
				for _, claims := range []*auth.Claims{nil, {Subject: "user_1"}} {
					t.Run(fmt.Sprintf("%v/%s/%s/%t", l, role, asked, claims != nil), func(t *testing.T) {
						t.Parallel()
						subject := auth.Subject{Claims: claims, Role: role, Ladder: l}
						known := claims != nil && role != "" && asked != ""
						top := len(l) > 0 && role == l[len(l)-1]
						check(t, "Role", auth.Role(asked).Check(&subject), claims, asked, known && (role == asked || top))
						onLadder := slices.Contains(l, role) && slices.Contains(l, asked)
						notBelow := slices.Index(l, role) >= slices.Index(l, asked)
						check(t, "MinRole", auth.MinRole(asked).Check(&subject), claims, asked, known && onLadder && notBelow)
					})
				}
			}
		}
	}
}

func check(t *testing.T, name string, got auth.Decision, claims *auth.Claims, asked string, allowed bool) {
	t.Helper()
	want := auth.Decision{Allowed: true}
	switch {
	case claims == nil:
		want = auth.Decision{Code: "authentication_required"}
	case asked == "":
		want = auth.Decision{Code: "forbidden", Reason: "faulty_rule"}
	case !allowed:
		want = auth.Decision{Code: "forbidden", Reason: "role"}
	}
	if got != want {
		t.Errorf("%s: %+v, want %+v", name, got, want)
	}
}

// An empty name on the ladder is a configuration mistake. It must not make "no role" a role.
func TestRoleRulesWithEmptyRung(t *testing.T) {
	t.Parallel()
	for _, ladder := range [][]string{{""}, {"", "admin"}, {"admin", ""}} {
		subject := auth.Subject{Claims: &auth.Claims{}, Ladder: ladder}
		for _, asked := range []string{"", "admin"} {
			if auth.Role(asked).Check(&subject).Allowed || auth.MinRole(asked).Check(&subject).Allowed {
				t.Errorf("no role passes %q on %q", asked, ladder)
			}
		}
	}
}

// All with every triple of {allow, refuse, refuse for another reason, nil}, and with fewer rules.
func TestAll(t *testing.T) {
	t.Parallel()
	answer := func(d auth.Decision) auth.Rule { return ruleOfYours(d) }
	allow := auth.Decision{Allowed: true}
	refuse := auth.Decision{Code: "forbidden", Reason: "first"}
	locked := auth.Decision{Code: "feature_locked", Reason: "second"}
	none := auth.Decision{Code: "forbidden", Reason: "no_rule"}
	options := []struct {
		rule auth.Rule
		says auth.Decision
	}{{answer(allow), allow}, {answer(refuse), refuse}, {answer(locked), locked}, {nil, none}}

	if got := auth.All().Check(&auth.Subject{Claims: &auth.Claims{}}); got != none {
		t.Errorf("no rules: %+v", got)
	}
	for _, a := range options {
		for _, b := range options {
			for _, c := range options {
				want := allow
				for _, says := range []auth.Decision{c.says, b.says, a.says} {
					if !says.Allowed {
						want = says
					}
				}
				if got := auth.All(a.rule, b.rule, c.rule).Check(&auth.Subject{}); got != want {
					t.Errorf("%+v %+v %+v: %+v", a.says, b.says, c.says, got)
				}
			}
		}
		if got := auth.All(a.rule).Check(&auth.Subject{}); got != a.says {
			t.Errorf("%+v alone: %+v", a.says, got)
		}
	}
	rules := []auth.Rule{answer(refuse)}
	all := auth.All(rules...)
	rules[0] = answer(allow)
	if all.Check(&auth.Subject{}).Allowed {
		t.Error("changing the caller's slice changed the rule")
	}
}

// ruleOfYours is a rule of another package. It always returns the same.
type ruleOfYours auth.Decision

func (r ruleOfYours) Check(*auth.Subject) auth.Decision { return auth.Decision(r) }

func (r ruleOfYours) Explain(*auth.Subject) []auth.Condition { return nil }

func (r ruleOfYours) String() string { return "yours" }

// Any with every triple, as in TestAll. If nothing allows, it returns the first refusal.
func TestAny(t *testing.T) {
	t.Parallel()
	refuse := auth.Decision{Code: "forbidden", Reason: "first"}
	locked := auth.Decision{Code: "feature_locked", Reason: "second", Feature: "x"}
	options := []struct {
		rule auth.Rule
		says auth.Decision
	}{
		{ruleOfYours(auth.Allow()), auth.Allow()},
		{ruleOfYours(refuse), refuse},
		{ruleOfYours(locked), locked},
		{nil, auth.Deny("no_rule")},
		{auth.Any(), auth.Deny("no_rule")},
	}
	for _, a := range options {
		for _, b := range options {
			for _, c := range options {
				want := a.says
				if b.says.Allowed || c.says.Allowed {
					want = auth.Allow()
				}
				rule := auth.Any(a.rule, b.rule, c.rule)
				if got := rule.Check(&auth.Subject{}); got != want {
					t.Errorf("%s: %+v, want %+v", rule, got, want)
				}
			}
		}
	}
}

func TestFunc(t *testing.T) {
	t.Parallel()
	ask := func(d auth.Decision) auth.Decision {
		rule := auth.Func("own", func(*auth.Subject) auth.Decision { return d })
		checkExplained(t, "own", auth.Any(rule, rule), &auth.Subject{Claims: &auth.Claims{}, Role: "x"})
		return auth.All(rule).Check(&auth.Subject{Claims: &auth.Claims{}})
	}
	for _, test := range []struct{ says, want auth.Decision }{
		{auth.Allow(), auth.Allow()},
		{auth.Decision{Allowed: true, Code: "forbidden", Feature: "x"}, auth.Allow()},
		{auth.Deny("not_owner"), auth.Decision{Code: "forbidden", Reason: "not_owner"}},
		{auth.Decision{}, auth.Decision{Code: "forbidden"}},
		{auth.Decision{Code: "feature_locked", Feature: "x"}, auth.Decision{Code: "feature_locked", Feature: "x"}},
	} {
		if got := ask(test.says); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.says, got, test.want)
		}
	}
	if got := auth.Func("none", nil).Check(&auth.Subject{Claims: &auth.Claims{}}); got != auth.Deny("faulty_rule") {
		t.Errorf("no function: %+v", got)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	sound := auth.All(
		auth.Role("a"), auth.MinRole("a"), auth.OrgRole("a"), auth.Permission("a:b"), auth.Feature("o:a"), auth.Plan("a"),
		auth.Reverified(auth.Lax()), auth.NotImpersonated(), auth.Any(auth.Func("f", func(*auth.Subject) auth.Decision { return auth.Allow() })),
		ruleOfYours(auth.Allow()),
	)
	if err := auth.Validate(sound); err != nil {
		t.Error(err)
	}
	for _, rule := range []auth.Rule{
		nil, auth.All(), auth.Any(), auth.All(nil), auth.Role(""), auth.MinRole(""), auth.OrgRole("org:"), auth.Permission(""),
		auth.Feature("x:y"), auth.Plan("o:"), auth.Reverified(auth.ReverificationPolicy{}), auth.Func("f", nil),
	} {
		if auth.Validate(rule) == nil || auth.Validate(auth.All(sound, rule)) == nil || auth.Validate(auth.Any(rule, sound)) == nil {
			t.Errorf("%v is valid", rule)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	rule := auth.All(
		auth.MinRole("growth"),
		auth.Any(auth.Permission("sys_domains:read"), auth.All(auth.OrgRole("member"), auth.Feature("sso"))),
		auth.Reverified(auth.Strict()), auth.NotImpersonated(), auth.Func("office hours", func(*auth.Subject) auth.Decision { return auth.Deny("late") }),
	)
	const written = `All(MinRole("growth"), Any(Permission("sys_domains:read"), All(OrgRole("member"), Feature("sso"))), ` +
		`Reverified("second_factor, 10 minutes"), NotImpersonated(), Func("office hours"))`
	if rule.String() != written {
		t.Errorf("%s, want %s", rule, written)
	}
	subject := member()
	subject.Role, subject.Ladder = "solo", []string{"solo", "growth"}
	subject.Claims.Features, subject.UserPlans = auth.Scoped{}, nil
	subject.PlanFeatures = map[string][]string{"team": {"export"}}
	var lines []string
	var walk func(indent string, list []auth.Condition)
	walk = func(indent string, list []auth.Condition) {
		for _, c := range list {
			lines = append(lines, indent+c.String())
			walk(indent+"  any ", c.Any)
			walk(indent+"  all ", c.All)
		}
	}
	walk("", rule.Explain(subject))
	want := []string{
		`refused (role) MinRole("growth"): role "solo" (mirror), ladder "solo,growth" (mirror)`,
		`refused (permission) Any(Permission("sys_domains:read"), All(OrgRole("member"), Feature("sso")))`,
		`  any refused (permission) Permission("sys_domains:read"): organization "org_1" (token), permissions "org:sys_memberships:read,org:reports:read" (mirror)`,
		`  any refused (organization_role) All(OrgRole("member"), Feature("sso"))`,
		`  any   all refused (organization_role) OrgRole("member"): organization "org_1" (token), organization role "org:admin" (token), organization role "org:admin" (mirror)`,
		`  any   all refused (feature) Feature("sso"): user plans "free" (token), features of plan free unknown (configuration), organization plans "team" (token), features of plan team "export" (configuration)`,
		`refused (reverification) Reverified("second_factor, 10 minutes"): factor ages unknown (token)`,
		`allowed NotImpersonated(): actor "none" (token)`,
		`refused (late) Func("office hours")`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if got := auth.All(nil).Explain(subject); len(got) != 1 || got[0].Allowed || got[0].Reason != "no_rule" {
		t.Errorf("%+v", got)
	}
}

// Rules run for each request, so they must not allocate.
func TestRulesAllocateNothing(t *testing.T) {
	for name, test := range benchmarkRules() {
		if n := testing.AllocsPerRun(100, func() { test.rule.Check(test.subject) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
