package auth

import "slices"

// Subject is what a rule may look at: the verified claims, and stored facts that the claims cannot know.
type Subject struct {
	Claims *Claims  // nil: nobody is signed in
	Role   string   // the stored role, "" if none is known
	Ladder []string // all roles, lowest first
}

// Decision is the answer of a [Rule]. A refusal says why, for machines; an allowance says nothing more.
type Decision struct {
	Allowed bool
	Code    string
	Reason  string
}

// Rule decides whether a subject may pass. Rules are pure functions of the subject: unknown means refused, and a rule
// that refuses for lack of a fact is not to be told apart from one that refuses because of it.
type Rule func(Subject) Decision

// Role allows exactly this role, and the highest role of the ladder.
func Role(role string) Rule {
	return func(s Subject) Decision {
		highest := len(s.Ladder) > 0 && s.Role == s.Ladder[len(s.Ladder)-1]
		return decideRole(s, role != "" && (s.Role == role || highest))
	}
}

// MinRole allows this role and all above it on the ladder. A role that is not on the ladder, the subject's or the one
// asked for, is refused.
func MinRole(role string) Rule {
	return func(s Subject) Decision {
		least := slices.Index(s.Ladder, role)
		return decideRole(s, role != "" && least >= 0 && slices.Index(s.Ladder, s.Role) >= least)
	}
}

func decideRole(s Subject, enough bool) Decision {
	switch {
	case s.Claims == nil:
		return Decision{Code: CodeAuthenticationRequired}
	case s.Role == "" || !enough:
		return Decision{Code: CodeForbidden, Reason: ReasonRole}
	default:
		return Decision{Allowed: true}
	}
}

// All allows what every rule allows, and otherwise answers with the first refusal. With no rules nothing was asked, and
// nothing is granted: a list of rules that was lost on its way must not open a door. A nil rule refuses.
func All(rules ...Rule) Rule {
	rules = slices.Clone(rules)
	return func(s Subject) Decision {
		decision := Decision{Code: CodeForbidden, Reason: ReasonNoRule}
		for _, rule := range rules {
			if rule == nil {
				return Decision{Code: CodeForbidden, Reason: ReasonNoRule}
			}
			if decision = rule(s); !decision.Allowed {
				return decision
			}
		}
		return decision
	}
}
