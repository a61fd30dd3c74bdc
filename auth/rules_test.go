package auth_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/auth"
)

// Every role against every requirement on every ladder, signed in or not. The expected answer is written down as the
// sentence of the documentation, not as the code has it.
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
						check(t, "Role", auth.Role(asked)(subject), claims, known && (role == asked || top))
						onLadder := slices.Contains(l, role) && slices.Contains(l, asked)
						notBelow := slices.Index(l, role) >= slices.Index(l, asked)
						check(t, "MinRole", auth.MinRole(asked)(subject), claims, known && onLadder && notBelow)
					})
				}
			}
		}
	}
}

func check(t *testing.T, name string, got auth.Decision, claims *auth.Claims, allowed bool) {
	t.Helper()
	want := auth.Decision{Allowed: true}
	switch {
	case claims == nil:
		want = auth.Decision{Code: "authentication_required"}
	case !allowed:
		want = auth.Decision{Code: "forbidden", Reason: "role"}
	}
	if got != want {
		t.Errorf("%s: %+v, want %+v", name, got, want)
	}
}

// An empty name on the ladder, a mistake of configuration, must not make "no role" a role.
func TestRoleRulesWithEmptyRung(t *testing.T) {
	t.Parallel()
	for _, ladder := range [][]string{{""}, {"", "admin"}, {"admin", ""}} {
		subject := auth.Subject{Claims: &auth.Claims{}, Ladder: ladder}
		for _, asked := range []string{"", "admin"} {
			if auth.Role(asked)(subject).Allowed || auth.MinRole(asked)(subject).Allowed {
				t.Errorf("no role passes %q on %q", asked, ladder)
			}
		}
	}
}

// All over every triple of {allow, refuse, refuse otherwise, nil}, and fewer rules than three.
func TestAll(t *testing.T) {
	t.Parallel()
	answer := func(d auth.Decision) auth.Rule { return func(auth.Subject) auth.Decision { return d } }
	allow := auth.Decision{Allowed: true}
	refuse := auth.Decision{Code: "forbidden", Reason: "first"}
	locked := auth.Decision{Code: "feature_locked", Reason: "second"}
	none := auth.Decision{Code: "forbidden", Reason: "no_rule"}
	options := []struct {
		rule auth.Rule
		says auth.Decision
	}{{answer(allow), allow}, {answer(refuse), refuse}, {answer(locked), locked}, {nil, none}}

	if got := auth.All()(auth.Subject{Claims: &auth.Claims{}}); got != none {
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
				if got := auth.All(a.rule, b.rule, c.rule)(auth.Subject{}); got != want {
					t.Errorf("%+v %+v %+v: %+v", a.says, b.says, c.says, got)
				}
			}
		}
		if got := auth.All(a.rule)(auth.Subject{}); got != a.says {
			t.Errorf("%+v alone: %+v", a.says, got)
		}
	}
	rules := []auth.Rule{answer(refuse)}
	all := auth.All(rules...)
	rules[0] = answer(allow)
	if all(auth.Subject{}).Allowed {
		t.Error("the caller's slice changes the rule")
	}
}
