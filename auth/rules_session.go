package auth

import (
	"encoding/json"
	"fmt"
)

// NotImpersonated returns a rule that refuses impersonation: every token with a claim act, whatever
// it contains.
func NotImpersonated() Rule { return notImpersonatedRule{} }

type notImpersonatedRule struct{}

func (r notImpersonatedRule) Check(s *Subject) Decision {
	if d, done := precheck(s, false); done {
		return d
	}
	return decide(s.Claims.Actor == nil, ReasonImpersonated)
}

func (r notImpersonatedRule) Explain(s *Subject) []Condition {
	var facts []Fact
	if s.signedIn() {
		value := "none"
		if a := s.Claims.Actor; a != nil {
			value = fmt.Sprintf("%s %s", a.Type, a.Subject)
		}
		facts = append(facts, fact("actor", value, true, SourceToken))
	}
	return []Condition{conditionOf(r, s, facts...)}
}

func (r notImpersonatedRule) String() string { return "NotImpersonated()" }

// Level is the set of factors that [Reverified] requires to have been checked recently.
type Level string

// The levels of Clerk's reverification. For a user without a second factor, each of them requires
// the first factor.
const (
	FirstFactor  Level = "first_factor"
	SecondFactor Level = "second_factor"
	MultiFactor  Level = "multi_factor" // both factors
)

// ReverificationPolicy is what [Reverified] requires. The policies that Clerk names are
// [StrictMFA], [Strict], [Moderate] and [Lax].
type ReverificationPolicy struct {
	Level        Level // the required factors
	AfterMinutes int   // each factor must have been checked less than this many minutes ago

	preset string // Clerk's name of the policy, "" for one of your own
}

// StrictMFA returns Clerk's policy strict_mfa: both factors within 10 minutes.
func StrictMFA() ReverificationPolicy { return ReverificationPolicy{MultiFactor, 10, "strict_mfa"} }

// Strict returns Clerk's policy strict: the second factor within 10 minutes.
func Strict() ReverificationPolicy { return ReverificationPolicy{SecondFactor, 10, "strict"} }

// Moderate returns Clerk's policy moderate: the second factor within an hour.
func Moderate() ReverificationPolicy { return ReverificationPolicy{SecondFactor, 60, "moderate"} }

// Lax returns Clerk's policy lax: the second factor within a day.
func Lax() ReverificationPolicy { return ReverificationPolicy{SecondFactor, 24 * 60, "lax"} }

// ReverificationPreset returns the policy with this name: strict_mfa, strict, moderate or lax. ok
// is false for another name.
func ReverificationPreset(name string) (policy ReverificationPolicy, ok bool) {
	for _, policy := range [...]ReverificationPolicy{StrictMFA(), Strict(), Moderate(), Lax()} {
		if policy.preset == name {
			return policy, true
		}
	}
	return ReverificationPolicy{}, false
}

// MarshalJSON writes the policy as Clerk's clients read it: its name if Clerk names it, or else an
// object with level and afterMinutes.
func (p ReverificationPolicy) MarshalJSON() ([]byte, error) {
	if known, ok := ReverificationPreset(p.preset); ok && known == p {
		return json.Marshal(p.preset)
	}
	return json.Marshal(map[string]any{"level": p.Level, "afterMinutes": p.AfterMinutes})
}

// String returns the level and the minutes, such as "second_factor, 10 minutes".
func (p ReverificationPolicy) String() string {
	return fmt.Sprintf("%s, %d minutes", p.Level, p.AfterMinutes)
}

// satisfied reports whether the ages of the factors meet the policy, by Clerk's rule. Without ages
// it returns false.
func (p ReverificationPolicy) satisfied(ages *[2]int) bool {
	if ages == nil {
		return false
	}
	fresh := func(age int) bool { return age >= 0 && p.AfterMinutes > age }
	first, second := ages[0], ages[1]
	switch {
	case second == -1: // the user has no second factor
		return fresh(first)
	case p.Level == FirstFactor:
		return fresh(first)
	case p.Level == SecondFactor:
		return fresh(second)
	default:
		return fresh(first) && fresh(second)
	}
}

// Reverified returns a rule that requires the user to have proven recently who they are, as the
// policy says. It refuses a token that does not say when the factors were checked (claim fva).
//
// Put [Decision.ClerkError] into the body of the refusal. Clerk's clients then ask the user to
// verify again, and repeat the request with a new token.
func Reverified(policy ReverificationPolicy) Rule { return &reverifiedRule{policy} }

type reverifiedRule struct{ policy ReverificationPolicy }

func (r *reverifiedRule) faulty() bool {
	switch r.policy.Level {
	case FirstFactor, SecondFactor, MultiFactor:
		return r.policy.AfterMinutes <= 0
	default:
		return true
	}
}

func (r *reverifiedRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.faulty()); done {
		return d
	}
	if r.policy.satisfied(s.Claims.FactorAges) {
		return Allow()
	}
	return Decision{Code: CodeForbidden, Reason: ReasonReverification, Reverification: &r.policy}
}

func (r *reverifiedRule) Explain(s *Subject) []Condition {
	var facts []Fact
	if s.signedIn() {
		facts = append(facts, agesFact(s.Claims.FactorAges))
	}
	return []Condition{conditionOf(r, s, facts...)}
}

func (r *reverifiedRule) String() string { return call("Reverified", r.policy.String()) }

func (r *reverifiedRule) validate() error {
	if r.faulty() {
		return invalidRule(r, "the policy needs a level and a number of minutes above 0")
	}
	return nil
}

// ClerkError asks Clerk's clients to reverify the user. It belongs into the body of a response with
// status 403, as the member "clerk_error".
//
// Source: https://clerk.com/docs/guides/secure/reverification.
type ClerkError struct {
	Type     string             `json:"type"`     // always "forbidden"
	Reason   string             `json:"reason"`   // always "reverification-error"
	Metadata ClerkErrorMetadata `json:"metadata"` // what is required
}

// ClerkErrorMetadata is part of a [ClerkError].
type ClerkErrorMetadata struct {
	Reverification ReverificationPolicy `json:"reverification"` // the policy of the rule that refused
}

// ClerkError returns the value of the member "clerk_error" for a refusal of [Reverified], and nil
// for any other decision.
func (d Decision) ClerkError() *ClerkError {
	if d.Allowed || d.Reverification == nil {
		return nil
	}
	return &ClerkError{
		Type: "forbidden", Reason: "reverification-error", Metadata: ClerkErrorMetadata{Reverification: *d.Reverification},
	}
}
