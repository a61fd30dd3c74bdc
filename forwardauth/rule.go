package forwardauth

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/auth"
)

// ParseRule reads a rule from JSON, in the form that a policy has under require:
//
//	{"min_role": "growth", "any": [{"permission": "org:reports:read"}, {"feature": "reports"}]}
//
// All keys must allow. The error joins a [*PolicyError] for each mistake.
func ParseRule(text []byte) (auth.Rule, error) {
	tree, err := parseTree(text)
	if err != nil {
		return nil, &PolicyError{What: err.Error(), Remedy: ruleForm}
	}
	b := &ruleBuilder{}
	rule := b.whole("", tree)
	return rule, b.err()
}

const ruleForm = `Write a mapping such as {"min_role": "growth"}; its keys are role, min_role, org_role, permission, ` +
	"feature, plan, reverified, not_impersonated, accept, scope, machine, any and all."

// ruleBuilder makes rules of JSON values, with the constructors of package auth. It collects
// mistakes.
type ruleBuilder struct {
	route  int
	faults []error
	roles  []askedRole
}

// askedRole is a role that a rule names, and its place.
type askedRole struct {
	route       int
	where, role string
}

func (b *ruleBuilder) err() error { return errors.Join(b.faults...) }

func (b *ruleBuilder) fault(what, remedy string) {
	b.faults = append(b.faults, &PolicyError{Route: b.route, What: what, Remedy: remedy})
}

// whole builds a rule and checks what it says about kinds of tokens as a whole.
func (b *ruleBuilder) whole(where string, n node) auth.Rule {
	rule := b.rule(where, n)
	if rule == nil {
		return nil
	}
	if where == "" {
		where = "rule"
	}
	return b.checked(where, rule)
}

// rule builds the rule of an object. where is its place, empty for the whole. It returns nil only
// after a mistake.
func (b *ruleBuilder) rule(where string, n node) auth.Rule {
	name := where
	if name == "" {
		name = "rule"
	}
	switch {
	case n.kind != kindObject:
		b.fault(fmt.Sprintf("%s is %s, not a mapping", name, n.kind), ruleForm)
		return nil
	case len(n.members) == 0:
		b.fault(name+" is empty", "Leave require out if being signed in is enough.")
		return nil
	}
	var rules []auth.Rule
	for _, m := range n.members {
		place := m.key
		if where != "" {
			place = where + "." + m.key
		}
		if rule := b.condition(where, place, m); rule != nil {
			rules = append(rules, rule)
		}
	}
	switch len(rules) {
	case 0:
		return nil
	case 1:
		return rules[0]
	default:
		return auth.All(rules...)
	}
}

// condition builds the rule of one key. It returns nil only after a mistake.
func (b *ruleBuilder) condition(where, place string, m member) auth.Rule {
	switch m.key {
	case "role", "min_role", "org_role", "permission", "feature", "plan":
		return b.leaf(place, m)
	case "reverified":
		return b.reverified(place, m.value)
	case "not_impersonated":
		if m.value.kind != kindBool || !m.value.yes {
			b.fault(place+" is not true", "Write not_impersonated: true, or leave it out.")
			return nil
		}
		return auth.NotImpersonated()
	case "accept":
		return b.accept(place, m.value)
	case "scope", "machine":
		return b.names(place, m)
	case "any", "all":
		return b.list(place, m)
	default:
		if where == "" {
			where = "rule"
		}
		b.fault(where+" has an unknown key"+named(m.key), ruleForm)
		return nil
	}
}

func (b *ruleBuilder) leaf(place string, m member) auth.Rule {
	if m.value.kind != kindText {
		remedy := "Write one text."
		switch m.value.kind {
		case kindObject, kindText:
		case kindNumber, kindBool, kindNull:
			remedy = "Put it in quotes."
		case kindList:
			remedy = "Write one text; alternatives go under any, as in any: [{role: a}, {role: b}]."
		}
		b.fault(fmt.Sprintf("%s is %s, not text", place, m.value.kind), remedy)
		return nil
	}
	text := m.value.text
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		b.fault(place+" has white space around it or a control character", "Remove it: names are compared exactly.")
		return nil
	}
	constructors := map[string]func(string) auth.Rule{
		"role": auth.Role, "min_role": auth.MinRole, "org_role": auth.OrgRole,
		"permission": auth.Permission, "feature": auth.Feature, "plan": auth.Plan,
	}
	rule := constructors[m.key](text)
	if m.key == "role" || m.key == "min_role" {
		b.roles = append(b.roles, askedRole{b.route, place, text})
	}
	return b.checked(place, rule)
}

// accept builds the rule that names kinds of tokens.
func (b *ruleBuilder) accept(place string, n node) auth.Rule {
	const form = "Write a list of kinds: session, api_key, oauth, m2m."
	texts, ok := b.texts(place, n, form)
	if !ok {
		return nil
	}
	kinds := make([]auth.Kind, len(texts))
	for i, text := range texts {
		if kinds[i], ok = auth.ParseKind(text); !ok {
			b.fault(place+" names no kind of token", form)
			return nil
		}
	}
	return b.checked(place, auth.Accept(kinds...))
}

// names builds a rule of one or more scopes or machines.
func (b *ruleBuilder) names(place string, m member) auth.Rule {
	texts, ok := b.texts(place, m.value, "Write one text, or a list of texts.")
	switch {
	case !ok:
		return nil
	case m.key == "scope":
		return b.ofMachines(place, auth.Scope(texts...))
	default:
		return b.ofMachines(place, auth.Machine(texts...))
	}
}

// ofMachines checks a rule that no session token can meet. Whether the route accepts other tokens
// is not known yet.
func (b *ruleBuilder) ofMachines(place string, rule auth.Rule) auth.Rule {
	if b.checked(place, auth.All(auth.Accept(auth.M2M), rule)) == nil {
		return nil
	}
	return rule
}

// texts reads a text, or a list of texts. ok is false after a mistake.
func (b *ruleBuilder) texts(place string, n node, form string) (texts []string, ok bool) {
	items := n.items
	if n.kind != kindList {
		items = []node{n}
	}
	if len(items) == 0 {
		b.fault(place+" is empty", form)
		return nil, false
	}
	for _, item := range items {
		if item.kind != kindText {
			b.fault(fmt.Sprintf("%s holds %s, not text", place, item.kind), form)
			return nil, false
		}
		texts = append(texts, item.text)
	}
	return texts, true
}

// checked reports mistakes in a rule, without the rule's text.
func (b *ruleBuilder) checked(place string, rule auth.Rule) auth.Rule {
	err := auth.Validate(rule)
	if err == nil {
		return rule
	}
	what := err.Error()
	if i := strings.LastIndex(what, "): "); i >= 0 {
		what = what[i+3:]
	}
	b.fault(place+" can never allow: "+what, "Correct it: a rule that can never allow is a mistake.")
	return nil
}

func (b *ruleBuilder) reverified(place string, n node) auth.Rule {
	const form = "Write strict_mfa, strict, moderate or lax, or a mapping such as {level: second_factor, " +
		"after_minutes: 10}; levels are first_factor, second_factor and multi_factor."
	switch n.kind {
	case kindText:
		policy, known := auth.ReverificationPreset(n.text)
		if !known {
			b.fault(place+" names no preset", form)
			return nil
		}
		return auth.Reverified(policy)
	case kindObject:
	default:
		b.fault(fmt.Sprintf("%s is %s", place, n.kind), form)
		return nil
	}
	var policy auth.ReverificationPolicy
	levels := []auth.Level{auth.FirstFactor, auth.SecondFactor, auth.MultiFactor}
	for _, m := range n.members {
		minutes, err := strconv.Atoi(m.value.text)
		switch {
		case m.key == "level" && m.value.kind == kindText && slices.Contains(levels, auth.Level(m.value.text)):
			policy.Level = auth.Level(m.value.text)
		case m.key == "after_minutes" && m.value.kind == kindNumber && err == nil && minutes > 0:
			policy.AfterMinutes = minutes
		default:
			b.fault(place+" has an unknown key or value"+named(m.key), form)
			return nil
		}
	}
	if policy.Level == "" || policy.AfterMinutes == 0 {
		b.fault(place+" lacks level or after_minutes", form)
		return nil
	}
	return b.checked(place, auth.Reverified(policy))
}

func (b *ruleBuilder) list(place string, m member) auth.Rule {
	if m.value.kind != kindList || len(m.value.items) == 0 {
		b.fault(place+" is not a list of rules, or is empty",
			"Write a list of mappings, such as "+m.key+": [{role: a}, {role: b}].")
		return nil
	}
	rules := make([]auth.Rule, 0, len(m.value.items))
	for i, item := range m.value.items {
		if rule := b.rule(fmt.Sprintf("%s[%d]", place, i+1), item); rule != nil {
			rules = append(rules, rule)
		}
	}
	if len(rules) < len(m.value.items) {
		return nil // after a mistake
	}
	if m.key == "any" {
		return auth.Any(rules...)
	}
	return auth.All(rules...)
}
