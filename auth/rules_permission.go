package auth

import (
	"slices"
	"strings"
)

// Permission allows who has this permission in the active organization. The prefix "org:" may be left out of
// org:<feature>:<permission>. Custom permissions are the token's. Clerk's system permissions (org:sys_…) are in no
// token: they are those of the stored membership, and refused where that is unknown.
func Permission(permission string) Rule {
	name := withoutPrefix(permission)
	return &permissionRule{
		asked: permission, key: "org:" + name, system: strings.HasPrefix(name, "sys_"), faulty: oddKey(name),
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

// held are the permissions among which this one would be.
func (r *permissionRule) held(s *Subject) (permissions []string, source Source, known bool) {
	if r.system {
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

func (r *permissionRule) fault() error { return keyFault(r, strings.TrimPrefix(r.key, "org:")) }
