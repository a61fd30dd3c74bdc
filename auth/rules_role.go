package auth

import (
	"slices"
	"strings"
)

// Role allows exactly this role, and the highest role of the ladder. The role is the application's own, as stored.
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

func (r roleRule) fault() error { return faultIfEmpty(r, r.role) }

func (r roleRule) roles() []string { return []string{r.role} }

// MinRole allows this role and all above it on the ladder. A role that is not on the ladder, the subject's or the one
// asked for, is refused.
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

func (r minRoleRule) fault() error { return faultIfEmpty(r, r.role) }

func (r minRoleRule) roles() []string { return []string{r.role} }

func roleFacts(s *Subject) []Fact {
	if !s.signedIn() {
		return nil
	}
	return []Fact{
		textFact("role", s.Role, SourceMirror), listFact("ladder", s.Ladder, len(s.Ladder) > 0, SourceMirror),
	}
}

// OrgRole allows this role in the active organization, exactly. The prefix "org:" may be left out. The role is the
// token's; a stored membership that names another one makes it refuse, for the stricter of both counts.
func OrgRole(role string) Rule { return orgRoleRule{role, withoutPrefix(role)} }

type orgRoleRule struct{ asked, role string }

func (r orgRoleRule) Check(s *Subject) Decision {
	if d, done := precheck(s, oddKey(r.role)); done {
		return d
	}
	o, m := s.Claims.Organization, s.membership()
	allowed := o != nil && withoutPrefix(o.Role) == r.role
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

func (r orgRoleRule) fault() error { return keyFault(r, r.role) }

// precheck answers for who is not signed in and for a rule that is faulty; done is false where it does not.
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

// oddKey reports whether a key is none that a role, permission, feature or plan of Clerk's can have.
func oddKey(key string) bool { return key == "" || strings.ContainsAny(key, ", \t\r\n") }

func keyFault(rule Rule, key string) error {
	if key != "" && oddKey(key) {
		return faultOf(rule, "the name holds white space or a comma, as no name of Clerk's does")
	}
	return faultIfEmpty(rule, key)
}

func faultIfEmpty(rule Rule, name string) error {
	if name == "" {
		return faultOf(rule, "the name is empty")
	}
	return nil
}
