package auth

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Rule decides whether a subject may pass. A rule is a pure function of the subject: it changes and keeps nothing, and
// may be asked by many at once. Unknown means refused, and a rule that refuses for lack of a fact is not to be told
// apart from one that refuses because of it. The rules of this package allocate nothing to decide.
//
// A rule of yours is a function given to [Func], or a type that implements Rule.
type Rule interface {
	// Check decides.
	Check(subject *Subject) Decision

	// Explain tells every condition of the rule, the facts it used and where they came from, without stopping at the
	// first refusal. The rule allows if and only if there are conditions and all of them allow.
	Explain(subject *Subject) []Condition

	// String is the rule as it is written in Go, like MinRole("growth").
	String() string
}

// Decision is the answer of a [Rule]. A refusal says why, for machines; an allowance says nothing more.
type Decision struct {
	Allowed bool
	Code    string
	Reason  string

	Feature string // with ReasonFeature: the slug of the feature asked for
	Plan    string // with ReasonPlan: the slug of the plan asked for

	// Reverification, with ReasonReverification, is what was asked for. See [Decision.ClerkError].
	Reverification *ReverificationPolicy
}

// Allow is the decision to let pass.
func Allow() Decision { return Decision{Allowed: true} }

// Deny is the decision to refuse, with [CodeForbidden] and a reason for machines.
func Deny(reason string) Decision { return Decision{Code: CodeForbidden, Reason: reason} }

// nobody is the refusal of who is not signed in.
func unauthenticated() Decision { return Decision{Code: CodeAuthenticationRequired} }

// normalize gives a refusal a code, and takes from an allowance what only refusals have: rules of yours may be careless.
func (d Decision) normalize() Decision {
	switch {
	case d.Allowed:
		return Allow()
	case d.Code == "":
		d.Code = CodeForbidden
	}
	return d
}

// Fault returns what is wrong with a rule itself, whoever asks it: a role, scope or policy that does not exist, an
// empty or missing rule. Such a rule refuses everybody; ask for faults at start. nil means that none is known.
func Validate(rule Rule) error {
	switch r := rule.(type) {
	case nil:
		return errors.New("auth: a rule is missing")
	case interface{ fault() error }:
		return r.fault()
	default:
		return nil
	}
}

// Roles lists the application's roles that a rule asks for, itself and in the rules within it. A role that is not on the
// ladder can allow no one, or only the highest; [Validate] does not know the ladder.
func Roles(rule Rule) []string {
	if r, ok := rule.(interface{ roles() []string }); ok {
		return r.roles()
	}
	return nil
}

// All allows what every rule allows, and otherwise answers with the first refusal. With no rules nothing was asked, and
// nothing is granted: a list of rules that was lost on its way must not open a door. A nil rule refuses.
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

func (r *allRule) fault() error { return faults(r.rules) }

func (r *allRule) roles() []string { return rolesOf(r.rules) }

// Any allows what one of the rules allows, and otherwise answers with the first rule's refusal. With no rules nothing
// is granted. A nil rule refuses.
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

// Explain returns one condition, whose alternatives are under Any.
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

func (r *anyRule) fault() error { return faults(r.rules) }

func (r *anyRule) roles() []string { return rolesOf(r.rules) }

// Func is a rule of yours: allow decides, and name is what explanations call it. It is not asked when nobody is signed
// in, so it may rely on subject.Claims. [Allow] and [Deny] are its usual answers; a refusal without a code gets
// [CodeForbidden]. It must be safe for concurrent use.
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

func (r *funcRule) fault() error {
	if r.check == nil {
		return faultOf(r, "there is no function")
	}
	return nil
}

// check asks a rule that may be missing or somebody else's.
func check(rule Rule, s *Subject) Decision {
	if rule == nil {
		return Deny(ReasonNoRule)
	}
	return rule.Check(s).normalize()
}

func faults(rules []Rule) error {
	if len(rules) == 0 {
		return errors.New("auth: a list of rules is empty")
	}
	list := make([]error, len(rules))
	for i, rule := range rules {
		list[i] = Validate(rule)
	}
	return errors.Join(list...)
}

func rolesOf(rules []Rule) (roles []string) {
	for _, rule := range rules {
		roles = append(roles, Roles(rule)...)
	}
	return roles
}

func faultOf(rule Rule, what string) error {
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
