package auth

import "strings"

// Accept returns a rule that says which kinds of tokens a route accepts. A route without it accepts
// session tokens only, so name [Session] as well where people may come, too:
//
//	auth.All(auth.Accept(auth.Session, auth.APIKey), auth.Feature("export"))
//
// Accept counts at the top of a rule and within [All], where each further Accept narrows the
// earlier ones. Within [Any] it is a condition like others: it cannot make the route accept a kind.
func Accept(list ...Kind) Rule { return acceptRule{list: list, set: KindsOf(list...)} }

type acceptRule struct {
	list []Kind
	set  Kinds
}

func (r acceptRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.set == 0); done {
		return d
	}
	return decide(r.set.Has(s.Claims.Kind), ReasonKind)
}

func (r acceptRule) Explain(s *Subject) []Condition {
	if !s.signedIn() {
		return []Condition{conditionOf(r, s)}
	}
	return []Condition{conditionOf(r, s, fact("kind", s.Claims.Kind.String(), true, SourceToken))}
}

func (r acceptRule) String() string {
	names := make([]string, len(r.list))
	for i, kind := range r.list {
		names[i] = kind.String()
	}
	return "Accept(" + strings.Join(names, ", ") + ")"
}

func (r acceptRule) validate() error {
	for _, kind := range r.list {
		if kind >= kinds {
			return invalidRule(r, "there is no such kind of token")
		}
	}
	if r.set == 0 {
		return invalidRule(r, "it accepts no kind of token")
	}
	return nil
}

// Accepted returns the kinds of tokens that a route with this rule accepts: those of [Accept], or
// session tokens only. Nothing else of a request needs to be known for it, so that a token of
// another kind can be refused before Clerk is asked about it.
func Accepted(rule Rule) Kinds {
	if set, stated := acceptedBy(rule); stated {
		return set
	}
	return KindsOf(Session)
}

func acceptedBy(rule Rule) (set Kinds, stated bool) {
	switch r := rule.(type) {
	case acceptRule:
		return r.set, true
	case *allRule:
		set = ^Kinds(0)
		for _, inner := range r.rules {
			if more, ok := acceptedBy(inner); ok {
				set, stated = set&more, true
			}
		}
		return set, stated
	default:
		return 0, false
	}
}

// validateAccepted returns an error if no token can meet what a whole rule says about kinds.
func validateAccepted(rule Rule) error {
	accepted := Accepted(rule)
	if accepted == 0 {
		return invalidRule(rule, "its rules Accept have no kind of token in common")
	}
	if named := namedKinds(rule); named&^accepted != 0 {
		return invalidRule(rule, "Accept within Any names "+(named&^accepted).String()+", which the route does not accept: name it in an Accept at the top, too")
	}
	if accepted&possibleKinds(rule) == 0 {
		return invalidRule(rule, "it accepts tokens of the kind "+accepted.String()+", none of which can meet it: name others in Accept")
	}
	return nil
}

// possibleKinds returns the kinds of tokens that can meet a rule.
func possibleKinds(rule Rule) (set Kinds) {
	switch r := rule.(type) {
	case acceptRule:
		return r.set
	case *scopeRule:
		return ^KindsOf(Session)
	case *machineRule:
		return KindsOf(M2M)
	case *reverifiedRule:
		return KindsOf(Session)
	case roleRule, minRoleRule, orgRoleRule, *permissionRule, *featureRule, *planRule: // a machine is no user and in no organization
		return ^KindsOf(M2M)
	case *allRule:
		set = ^Kinds(0)
		for _, inner := range r.rules {
			set &= possibleKinds(inner)
		}
		return set
	case *anyRule:
		for _, inner := range r.rules {
			set |= possibleKinds(inner)
		}
		return set
	default:
		return ^Kinds(0)
	}
}

// namedKinds returns the kinds that the rules Accept within [Any] name.
func namedKinds(rule Rule) (set Kinds) {
	switch r := rule.(type) {
	case *allRule:
		for _, inner := range r.rules {
			set |= namedKinds(inner)
		}
	case *anyRule:
		for _, inner := range r.rules {
			if more, stated := acceptedBy(inner); stated {
				set |= more
			}
			set |= namedKinds(inner)
		}
	}
	return set
}
