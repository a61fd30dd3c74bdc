package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/auth"
)

// state is what a subject says about one condition: met, not met, or unknown.
type state int

const (
	allow state = iota
	deny
	missing
)

func (s state) String() string { return [...]string{"allow", "deny", "missing"}[s] }

// dimensions are the five conditions. Their facts come from the token or from the mirror, if
// both can have them.
type dimension struct {
	rule auth.Rule
	set  func(s *auth.Subject, state state)
	code string
}

func fromToken() []dimension {
	return []dimension{
		{auth.MinRole("growth"), func(s *auth.Subject, state state) {
			s.Role = [...]string{"enterprise", "solo", ""}[state]
		}, "role"},
		{auth.Permission("org:invoices:read"), func(s *auth.Subject, state state) {
			s.Claims.Organization = [...]*auth.ActiveOrganization{
				{ID: "org_1", Permissions: []string{"org:invoices:read"}}, {ID: "org_1", Permissions: []string{"org:invoices:write"}}, nil,
			}[state]
		}, "permission"},
		{auth.Feature("user:export"), func(s *auth.Subject, state state) {
			s.Claims.Features = [...]auth.Scoped{{User: []string{"export"}, Present: true}, {Present: true}, {}}[state]
		}, "feature"},
		{auth.Plan("user:pro"), func(s *auth.Subject, state state) {
			s.Claims.Plans = [...]auth.Scoped{{User: []string{"pro"}, Present: true}, {User: []string{"free"}, Present: true}, {}}[state]
		}, "plan"},
		{auth.Reverified(auth.Strict()), func(s *auth.Subject, state state) {
			s.Claims.FactorAges = [...]*[2]int{{0, 5}, {0, 10}, nil}[state]
		}, "reverification"},
	}
}

// fromMirror uses stored facts if the token need not have the claim. Plans and features then come
// from the same subscriptions, so the feature is one of the organization's plan and the plan one of
// the user's.
func fromMirror() []dimension {
	list := fromToken()
	list[1] = dimension{auth.Permission("org:sys_memberships:manage"), func(s *auth.Subject, state state) {
		s.Claims.Organization = &auth.ActiveOrganization{ID: "org_1"}
		s.Membership = [...]*auth.Membership{
			{OrganizationID: "org_1", Permissions: []string{"org:sys_memberships:manage"}}, {OrganizationID: "org_1"}, nil,
		}[state]
	}, "permission"}
	list[2] = dimension{auth.Feature("org:export"), func(s *auth.Subject, state state) {
		s.PlanFeatures = map[string][]string{"team": {"export"}, "free": {"search"}}
		s.OrganizationPlans = [...]*auth.Plans{
			{Owner: "org_1", Slugs: []string{"team"}}, {Owner: "org_1", Slugs: []string{"free", "unlisted"}}, nil,
		}[state]
	}, "feature"}
	list[3] = dimension{auth.Plan("user:pro"), func(s *auth.Subject, state state) {
		s.UserPlans = [...]*auth.Plans{{Owner: "user_1", Slugs: []string{"pro"}}, {Owner: "user_1"}, nil}[state]
	}, "plan"}
	return list
}

// AND of all conditions, unknown = deny. All 3^5 combinations of role × permission ×
// feature × plan × step-up, from the token and from the mirror, through All and through Any.
func TestTruthTable(t *testing.T) {
	t.Parallel()
	for name, dimensions := range map[string][]dimension{"token": fromToken(), "mirror": fromMirror()} {
		var rules []auth.Rule
		for _, d := range dimensions {
			rules = append(rules, d.rule)
		}
		all, either := auth.All(rules...), auth.Any(rules...)
		combinations := 0
		for code := range 3 * 3 * 3 * 3 * 3 {
			subject := &auth.Subject{Claims: &auth.Claims{Subject: "user_1"}, Ladder: []string{"solo", "growth", "enterprise"}}
			states, first, anyAllows := make([]state, len(dimensions)), "", false
			for i, d := range dimensions {
				states[i] = state(code % 3)
				code /= 3
				d.set(subject, states[i])
				if states[i] == allow {
					anyAllows = true
				} else if first == "" {
					first = d.code
				}
			}
			where := fmt.Sprintf("%s %v", name, states)
			if d := all.Check(subject); d.Allowed != (first == "") || d.Reason != first {
				t.Errorf("%s: All says %+v, want reason %q", where, d, first)
			}
			if d := either.Check(subject); d.Allowed != anyAllows {
				t.Errorf("%s: Any says %+v", where, d)
			}
			checkExplained(t, where, all, subject)
			checkExplained(t, where, either, subject)
			checkExplained(t, where, auth.Any(auth.All(rules[:2]...), auth.All(rules[2:]...)), subject)
			combinations++
		}
		if combinations != 243 {
			t.Errorf("%d combinations", combinations)
		}
	}
}

// checkExplained compares a decision with its explanation: it allows if and only if all
// conditions allow.
func checkExplained(t *testing.T, where string, rule auth.Rule, subject *auth.Subject) {
	t.Helper()
	conditions, allowed := rule.Explain(subject), true
	for _, c := range conditions {
		allowed = allowed && c.Allowed
		if c.Name == "" || !c.Allowed && c.Code == "" {
			t.Errorf("%s: %+v", where, c)
		}
		for _, inner := range c.Any {
			if inner.All == nil && len(inner.Facts) == 0 && !strings.HasPrefix(inner.Name, "Func(") {
				t.Errorf("%s: no facts in %+v", where, inner)
			}
		}
	}
	if got := rule.Check(subject).Allowed; len(conditions) == 0 || got != allowed {
		t.Errorf("%s: %s is %t, but its conditions say %t: %+v", where, rule, got, allowed, conditions)
	}
}

// Every rule refuses a subject that is not signed in, whatever is stored.
func TestNotSignedIn(t *testing.T) {
	t.Parallel()
	yes := auth.Func("yes", func(*auth.Subject) auth.Decision { return auth.Allow() })
	rules := []auth.Rule{
		auth.Role("admin"), auth.OrgRole("admin"), auth.NotImpersonated(), yes, auth.All(yes), auth.Any(yes, yes), auth.Role(""),
	}
	for _, d := range fromToken() {
		rules = append(rules, d.rule)
	}
	for _, subject := range []*auth.Subject{nil, {}, {Role: "admin", Ladder: []string{"admin"}}} {
		for _, rule := range rules {
			if d := rule.Check(subject); d != (auth.Decision{Code: "authentication_required"}) {
				t.Errorf("%s: %+v", rule, d)
			}
			checkExplained(t, "nobody", rule, subject)
		}
	}
}
