package auth

import (
	"slices"
	"strings"
)

// Permission returns a rule that allows a user with this permission in the active organization. A
// permission is org:<feature>:<permission>. You may leave out the prefix "org:".
//
// The rule reads custom permissions from a session token. Clerk's system permissions (org:sys_…)
// are in no token, and other kinds of tokens hold no permissions at all: the rule reads them from
// the stored membership, and refuses if that is unknown.
//
// Source: https://clerk.com/docs/guides/organizations/control-access/roles-and-permissions.
func Permission(permission string) Rule {
	name := withoutPrefix(permission)
	return &permissionRule{
		asked: permission, key: "org:" + name, system: strings.HasPrefix(name, "sys_"), faulty: invalidKey(name),
	}
}

type permissionRule struct {
	asked, key     string
	system, faulty bool
}

func (r *permissionRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.faulty); done {
		return d
	}
	held, _, _ := r.held(s)
	return decide(slices.Contains(held, r.key), ReasonPermission)
}

// held returns the permissions among which the rule looks for its own, and their source.
func (r *permissionRule) held(s *Subject) (permissions []string, source Source, known bool) {
	if r.system || s.Claims.Kind != Session {
		if m := s.membership(); m != nil {
			return m.Permissions, SourceMirror, true
		}
		return nil, SourceMirror, false
	}
	if o := s.Claims.Organization; o != nil {
		return o.Permissions, SourceToken, true
	}
	return nil, SourceToken, false
}

func (r *permissionRule) Explain(s *Subject) []Condition {
	var facts []Fact
	if s.signedIn() {
		held, source, known := r.held(s)
		facts = append(facts, organizationFact(s), listFact("permissions", held, known, source))
	}
	return []Condition{conditionOf(r, s, facts...)}
}

func (r *permissionRule) String() string { return call("Permission", r.asked) }

func (r *permissionRule) validate() error { return validateKey(r, strings.TrimPrefix(r.key, "org:")) }
