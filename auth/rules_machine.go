package auth

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Scope returns a rule that requires all of these scopes of an API key, an OAuth access token or a
// machine. Session tokens have no scopes: if people may come as well, write
//
//	auth.Any(auth.Accept(auth.Session), auth.Scope("deals:read"))
//
// Keys that users make themselves have no scopes either. The scopes of a machine are those of
// [MachineConfig].Callers, since a machine writes the claims of its tokens itself.
//
// A refusal has [ReasonScope] and the scopes.
func Scope(scopes ...string) Rule {
	return &scopeRule{slices.Clone(scopes), strings.Join(scopes, " ")}
}

type scopeRule struct {
	scopes []string
	joined string
}

func (r *scopeRule) Check(s *Subject) Decision {
	if d, done := precheck(s, len(r.scopes) == 0); done {
		return d
	}
	for _, scope := range r.scopes {
		if scope == "" || !slices.Contains(s.Claims.Scopes, scope) {
			return Decision{Code: CodeForbidden, Reason: ReasonScope, Scope: r.joined}
		}
	}
	return Allow()
}

func (r *scopeRule) Explain(s *Subject) []Condition {
	if !s.signedIn() {
		return []Condition{conditionOf(r, s)}
	}
	return []Condition{conditionOf(r, s, listFact("scopes", s.Claims.Scopes, s.Claims.Kind != Session, SourceToken))}
}

func (r *scopeRule) String() string { return callAll("Scope", r.scopes) }

func (r *scopeRule) validate() error {
	if len(r.scopes) == 0 {
		return invalidRule(r, "it names no scope")
	}
	for _, scope := range r.scopes {
		if !isScope(scope) {
			return invalidRule(r, "a scope is empty, or has a character that no scope has")
		}
	}
	return nil
}

// isScope reports whether a text is a scope-token (RFC 6749 section 3.3).
func isScope(text string) bool {
	odd := func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }
	return text != "" && !strings.ContainsFunc(text, odd)
}

// ScopesOf returns the scopes that a rule names for tokens of a kind, sorted. Of rules in [Any],
// those of all alternatives count that accept the kind. It returns nil if the rule does not accept
// the kind at all; see [Accepted].
func ScopesOf(rule Rule, kind Kind) []string {
	if !Accepted(rule).Has(kind) {
		return nil
	}
	scopes := scopesIn(rule, kind)
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

func scopesIn(rule Rule, kind Kind) (scopes []string) {
	if set, stated := acceptedBy(rule); stated && !set.Has(kind) {
		return nil
	}
	var inner []Rule
	switch r := rule.(type) {
	case *scopeRule:
		return slices.Clone(r.scopes)
	case *allRule:
		inner = r.rules
	case *anyRule:
		inner = r.rules
	}
	for _, rule := range inner {
		scopes = append(scopes, scopesIn(rule, kind)...)
	}
	return scopes
}

// Machine returns a rule that allows these machines (mch_…) only, by exact comparison. It refuses
// every caller that is not a machine.
func Machine(ids ...string) Rule { return &machineRule{slices.Clone(ids)} }

type machineRule struct{ ids []string }

func (r *machineRule) Check(s *Subject) Decision {
	if d, done := precheck(s, len(r.ids) == 0); done {
		return d
	}
	id := s.Claims.MachineID
	return decide(s.Claims.Kind == M2M && id != "" && slices.Contains(r.ids, id), ReasonMachine)
}

func (r *machineRule) Explain(s *Subject) []Condition {
	if !s.signedIn() {
		return []Condition{conditionOf(r, s)}
	}
	return []Condition{conditionOf(r, s, textFact("machine", s.Claims.MachineID, SourceToken))}
}

func (r *machineRule) String() string { return callAll("Machine", r.ids) }

func (r *machineRule) validate() error {
	if len(r.ids) == 0 {
		return invalidRule(r, "it names no machine")
	}
	for _, id := range r.ids {
		if err := checkMachineID(id); err != nil {
			return invalidRule(r, err.Error())
		}
	}
	return nil
}

func checkMachineID(id string) error {
	if rest, found := strings.CutPrefix(id, "mch_"); !found || rest == "" || !isScope(rest) {
		return errors.New(strconv.Quote(id) + " is not the id of a machine (mch_…)")
	}
	return nil
}

func callAll(name string, arguments []string) string {
	quoted := make([]string, len(arguments))
	for i, argument := range arguments {
		quoted[i] = strconv.Quote(argument)
	}
	return name + "(" + strings.Join(quoted, ", ") + ")"
}
