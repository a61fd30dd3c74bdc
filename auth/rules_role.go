package auth

import (
	"slices"
	"strings"
)

// Role returns a rule that allows users whose stored application role is this one or the highest of
// the ladder.
func Role(role string) Rule { return roleRule{role} }

type roleRule struct{ role string }

func (r roleRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.role == ""); done {
		return d
	}
	highest := len(s.Ladder) > 0 && s.Role == s.Ladder[len(s.Ladder)-1]
	return decide(s.Role != "" && (s.Role == r.role || highest), ReasonRole)
}

func (r roleRule) Explain(s *Subject) []Condition {
	return []Condition{conditionOf(r, s, roleFacts(s)...)}
}

func (r roleRule) String() string { return call("Role", r.role) }

func (r roleRule) validate() error { return validateName(r, r.role) }

func (r roleRule) roles() []string { return []string{r.role} }

// MinRole returns a rule that allows users whose stored application role is this one or a higher
// one of the ladder. It refuses if either role is not on the ladder.
func MinRole(role string) Rule { return minRoleRule{role} }

type minRoleRule struct{ role string }

func (r minRoleRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.role == ""); done {
		return d
	}
	least := slices.Index(s.Ladder, r.role)
	return decide(s.Role != "" && least >= 0 && slices.Index(s.Ladder, s.Role) >= least, ReasonRole)
}

func (r minRoleRule) Explain(s *Subject) []Condition {
	return []Condition{conditionOf(r, s, roleFacts(s)...)}
}

func (r minRoleRule) String() string { return call("MinRole", r.role) }

func (r minRoleRule) validate() error { return validateName(r, r.role) }

func (r minRoleRule) roles() []string { return []string{r.role} }

func roleFacts(s *Subject) []Fact {
	if !s.signedIn() {
		return nil
	}
	return []Fact{
		textFact("role", s.Role, SourceMirror), listFact("ladder", s.Ladder, len(s.Ladder) > 0, SourceMirror),
	}
}

// OrgRole returns a rule that allows users who have exactly this role in the active organization.
// You may leave out the prefix "org:". The rule reads the role from a session token, and refuses if
// a stored membership has another one. Other kinds of tokens name no role: there the stored
// membership alone counts.
func OrgRole(role string) Rule { return orgRoleRule{role, withoutPrefix(role)} }

type orgRoleRule struct{ asked, role string }

func (r orgRoleRule) Check(s *Subject) Decision {
	if d, done := precheck(s, invalidKey(r.role)); done {
		return d
	}
	o, m := s.Claims.Organization, s.membership()
	allowed := o != nil && withoutPrefix(o.Role) == r.role
	if s.Claims.Kind != Session {
		allowed = m != nil && withoutPrefix(m.Role) == r.role
	}
	if m != nil && m.Role != "" && withoutPrefix(m.Role) != r.role {
		allowed = false
	}
	return decide(allowed, ReasonOrganizationRole)
}

func (r orgRoleRule) Explain(s *Subject) []Condition {
	var facts []Fact
	if s.signedIn() {
		facts = append(facts, organizationFact(s))
		if o := s.Claims.Organization; o != nil {
			facts = append(facts, textFact("organization role", o.Role, SourceToken))
		}
		if m := s.membership(); m != nil {
			facts = append(facts, textFact("organization role", m.Role, SourceMirror))
		}
	}
	return []Condition{conditionOf(r, s, facts...)}
}

func (r orgRoleRule) String() string { return call("OrgRole", r.asked) }

func (r orgRoleRule) validate() error { return validateKey(r, r.role) }

// precheck refuses a subject that is not signed in, and every subject if the rule is invalid. done
// is false if neither is the case.
func precheck(s *Subject, faulty bool) (d Decision, done bool) {
	switch {
	case !s.signedIn():
		return unauthenticated(), true
	case faulty:
		return Deny(ReasonFaultyRule), true
	default:
		return Decision{}, false
	}
}

func decide(allowed bool, reason string) Decision {
	if allowed {
		return Allow()
	}
	return Deny(reason)
}

// invalidKey reports whether no role, permission, feature or plan of Clerk can have this key.
func invalidKey(key string) bool { return key == "" || strings.ContainsAny(key, ", \t\r\n") }

func validateKey(rule Rule, key string) error {
	if key != "" && invalidKey(key) {
		return invalidRule(rule, "the name contains white space or a comma, which Clerk's names do not")
	}
	return validateName(rule, key)
}

func validateName(rule Rule, name string) error {
	if name == "" {
		return invalidRule(rule, "the name is empty")
	}
	return nil
}
