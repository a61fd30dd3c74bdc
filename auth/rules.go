package auth

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Rule decides whether a subject is allowed to do something.
//
// A rule is a pure function of the subject. It has no side effects, and it is safe for concurrent
// use. If a fact that it needs is unknown, it refuses, with the same reason as if the fact were
// false. The rules of this package do not allocate in Check.
//
// To write a rule of your own, give a function to [Func] or implement Rule.
type Rule interface {
	// Check decides.
	Check(subject *Subject) Decision

	// Explain returns every condition of the rule with the facts that it used and their sources. It
	// does not stop at the first refusal. The rule allows if there is a condition and all
	// conditions allow.
	Explain(subject *Subject) []Condition

	// String returns the rule as it is written in Go, such as MinRole("growth").
	String() string
}

// Decision is the result of a [Rule]. A decision to allow has no other field than Allowed.
type Decision struct {
	// Allowed reports whether the rule allows.
	Allowed bool

	// Code is the code of a refusal: [CodeAuthenticationRequired], [CodeForbidden] or
	// [CodeFeatureLocked].
	Code string

	// Reason is the reason of a refusal: one of this package's, or that of a rule of your own. It
	// is empty with CodeAuthenticationRequired.
	Reason string

	// Feature is the slug of the required feature, with [ReasonFeature].
	Feature string

	// Plan is the slug of the required plan, with [ReasonPlan].
	Plan string

	// Scope are the required scopes, with [ReasonScope], in the form of RFC 6750: with spaces
	// between them.
	Scope string

	// Reverification is the required policy, with [ReasonReverification]. See
	// [Decision.ClerkError].
	Reverification *ReverificationPolicy
}

// Allow returns the decision to allow.
func Allow() Decision { return Decision{Allowed: true} }

// Deny returns the decision to refuse, with [CodeForbidden] and a reason for machines.
func Deny(reason string) Decision { return Decision{Code: CodeForbidden, Reason: reason} }

// unauthenticated returns the refusal for a subject without claims.
func unauthenticated() Decision { return Decision{Code: CodeAuthenticationRequired} }

// normalize completes a decision of a rule that this package does not know: it gives a refusal a
// code, and clears the fields of a decision to allow.
func (d Decision) normalize() Decision {
	switch {
	case d.Allowed:
		return Allow()
	case d.Code == "":
		d.Code = CodeForbidden
	}
	return d
}

// Validate returns an error for a rule that refuses every subject because of a mistake in it: a nil
// rule, an empty list of rules, an empty name, a scope or policy that does not exist, or kinds of
// tokens none of which can meet it, such as those of sessions for [Scope]. Call it at start. It
// returns nil for a rule of your own, about which it knows nothing.
func Validate(rule Rule) error {
	if err := validate(rule); err != nil {
		return err
	}
	return validateAccepted(rule)
}

func validate(rule Rule) error {
	switch r := rule.(type) {
	case nil:
		return errors.New("auth: a rule is missing")
	case interface{ validate() error }:
		return r.validate()
	default:
		return nil
	}
}

// Roles returns the application roles that a rule and the rules within it name. Check that each of
// them is on the ladder: with a role that is not, [MinRole] refuses everyone, and [Role] everyone
// but the highest role. [Validate] does not know the ladder.
func Roles(rule Rule) []string {
	if r, ok := rule.(interface{ roles() []string }); ok {
		return r.roles()
	}
	return nil
}

// All returns a rule that allows if every one of the rules allows. Otherwise it returns the first
// refusal. It refuses if there are no rules, so that a list of rules that got lost grants nothing.
// It refuses if a rule is nil.
func All(rules ...Rule) Rule { return &allRule{slices.Clone(rules)} }

type allRule struct{ rules []Rule }

func (r *allRule) Check(s *Subject) Decision {
	for _, rule := range r.rules {
		if d := check(rule, s); !d.Allowed {
			return d
		}
	}
	if len(r.rules) == 0 {
		return Deny(ReasonNoRule)
	}
	return Allow()
}

func (r *allRule) Explain(s *Subject) []Condition {
	if len(r.rules) == 0 {
		return []Condition{noRule()}
	}
	var conditions []Condition
	for _, rule := range r.rules {
		conditions = append(conditions, explain(rule, s)...)
	}
	return conditions
}

func (r *allRule) String() string { return join("All", r.rules) }

func (r *allRule) validate() error { return validateAll(r.rules) }

func (r *allRule) roles() []string { return rolesOf(r.rules) }

// Any returns a rule that allows if one of the rules allows. Otherwise it returns the refusal of
// the first rule. It refuses if there are no rules. A nil rule counts as one that refuses.
func Any(rules ...Rule) Rule { return &anyRule{slices.Clone(rules)} }

type anyRule struct{ rules []Rule }

func (r *anyRule) Check(s *Subject) Decision {
	first := Deny(ReasonNoRule)
	for i, rule := range r.rules {
		d := check(rule, s)
		if d.Allowed {
			return d
		}
		if i == 0 {
			first = d
		}
	}
	return first
}

// Explain returns one condition. The alternatives are in its field Any.
func (r *anyRule) Explain(s *Subject) []Condition {
	if len(r.rules) == 0 {
		return []Condition{noRule()}
	}
	c := conditionOf(r, s)
	for _, rule := range r.rules {
		alternative := explain(rule, s)
		if len(alternative) != 1 {
			whole := conditionOf(rule, s)
			whole.All = alternative
			alternative = []Condition{whole}
		}
		c.Any = append(c.Any, alternative...)
	}
	return []Condition{c}
}

func (r *anyRule) String() string { return join("Any", r.rules) }

func (r *anyRule) validate() error { return validateAll(r.rules) }

func (r *anyRule) roles() []string { return rolesOf(r.rules) }

// Func returns a rule that decides with a function of your own. Explanations call the rule by its
// name.
//
// The rule refuses without calling check if no user is signed in, so check may rely on
// subject.Claims. check usually returns [Allow] or [Deny]. A refusal without a code gets
// [CodeForbidden]. check must be safe for concurrent use.
func Func(name string, check func(subject *Subject) Decision) Rule { return &funcRule{name, check} }

type funcRule struct {
	name  string
	check func(*Subject) Decision
}

func (r *funcRule) Check(s *Subject) Decision {
	switch {
	case !s.signedIn():
		return unauthenticated()
	case r.check == nil:
		return Deny(ReasonFaultyRule)
	default:
		return r.check(s).normalize()
	}
}

func (r *funcRule) Explain(s *Subject) []Condition { return []Condition{conditionOf(r, s)} }

func (r *funcRule) String() string { return call("Func", r.name) }

func (r *funcRule) validate() error {
	if r.check == nil {
		return invalidRule(r, "the function is nil")
	}
	return nil
}

// check calls a rule that may be nil or may be one that this package does not know.
func check(rule Rule, s *Subject) Decision {
	if rule == nil {
		return Deny(ReasonNoRule)
	}
	return rule.Check(s).normalize()
}

// validateAll returns what is wrong with a list of rules.
func validateAll(rules []Rule) error {
	if len(rules) == 0 {
		return errors.New("auth: a list of rules is empty")
	}
	list := make([]error, len(rules))
	for i, rule := range rules {
		list[i] = validate(rule)
	}
	return errors.Join(list...)
}

func rolesOf(rules []Rule) (roles []string) {
	for _, rule := range rules {
		roles = append(roles, Roles(rule)...)
	}
	return roles
}

func invalidRule(rule Rule, what string) error {
	return errors.New("auth: " + rule.String() + ": " + what)
}

func join(name string, rules []Rule) string {
	texts := make([]string, len(rules))
	for i, rule := range rules {
		texts[i] = "nil"
		if rule != nil {
			texts[i] = rule.String()
		}
	}
	return name + "(" + strings.Join(texts, ", ") + ")"
}

func call(name, argument string) string { return name + "(" + strconv.Quote(argument) + ")" }
