package auth

import (
	"encoding/json"
	"fmt"
)

// NotImpersonated allows who acts in their own name: a token with an act claim, whatever it says, is refused.
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

// Level says which factors must have been checked lately.
type Level string

// The levels of Clerk's reverification. A user who has no second factor is asked for the first alone.
const (
	FirstFactor  Level = "first_factor"
	SecondFactor Level = "second_factor"
	MultiFactor  Level = "multi_factor" // both
)

// ReverificationPolicy is what [Reverified] asks for: which factors, checked less than how many minutes ago.
type ReverificationPolicy struct {
	Level        Level
	AfterMinutes int

	preset string // the name under which clients know it, "" for one of your own
}

// StrictMFA is Clerk's strict_mfa: both factors within 10 minutes.
func StrictMFA() ReverificationPolicy { return ReverificationPolicy{MultiFactor, 10, "strict_mfa"} }

// Strict is Clerk's strict: the second factor within 10 minutes.
func Strict() ReverificationPolicy { return ReverificationPolicy{SecondFactor, 10, "strict"} }

// Moderate is Clerk's moderate: the second factor within an hour.
func Moderate() ReverificationPolicy { return ReverificationPolicy{SecondFactor, 60, "moderate"} }

// Lax is Clerk's lax: the second factor within a day.
func Lax() ReverificationPolicy { return ReverificationPolicy{SecondFactor, 24 * 60, "lax"} }

// ReverificationPreset returns the policy with this name: strict_mfa, strict, moderate or lax.
func ReverificationPreset(name string) (ReverificationPolicy, bool) {
	for _, policy := range [...]ReverificationPolicy{StrictMFA(), Strict(), Moderate(), Lax()} {
		if policy.preset == name {
			return policy, true
		}
	}
	return ReverificationPolicy{}, false
}

// MarshalJSON writes the policy as Clerk's clients read it: the name of a preset, else level and afterMinutes.
func (p ReverificationPolicy) MarshalJSON() ([]byte, error) {
	if known, ok := ReverificationPreset(p.preset); ok && known == p {
		return json.Marshal(p.preset)
	}
	return json.Marshal(map[string]any{"level": p.Level, "afterMinutes": p.AfterMinutes})
}

func (p ReverificationPolicy) String() string {
	return fmt.Sprintf("%s, %d minutes", p.Level, p.AfterMinutes)
}

// satisfied is Clerk's rule. It can tell nothing from ages that are not there.
func (p ReverificationPolicy) satisfied(ages *[2]int) bool {
	if ages == nil {
		return false
	}
	fresh := func(age int) bool { return age >= 0 && p.AfterMinutes > age }
	first, second := ages[0], ages[1]
	switch {
	case second == -1: // no second factor to ask for
		return fresh(first)
	case p.Level == FirstFactor:
		return fresh(first)
	case p.Level == SecondFactor:
		return fresh(second)
	default:
		return fresh(first) && fresh(second)
	}
}

// Reverified allows who has proven lately that it is still them, in the way and time that the policy asks for. A token
// that does not say when the factors were checked (claim fva) is refused. Clients open a dialog when the refusal
// carries [Decision.ClerkError], and come back with a fresh token.
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

func (r *reverifiedRule) fault() error {
	if r.faulty() {
		return faultOf(r, "want a level and minutes above 0")
	}
	return nil
}

// ClerkError is what an error body must hold under "clerk_error" for Clerk's clients to open their dialog.
type ClerkError struct {
	Type     string             `json:"type"`
	Reason   string             `json:"reason"`
	Metadata ClerkErrorMetadata `json:"metadata"`
}

// ClerkErrorMetadata is part of a [ClerkError].
type ClerkErrorMetadata struct {
	Reverification ReverificationPolicy `json:"reverification"`
}

// ClerkError returns the value of the member "clerk_error" of the body of a 403 that asks the client to reverify, nil
// for any other decision.
func (d Decision) ClerkError() *ClerkError {
	if d.Allowed || d.Reverification == nil {
		return nil
	}
	return &ClerkError{
		Type: "forbidden", Reason: "reverification-error", Metadata: ClerkErrorMetadata{Reverification: *d.Reverification},
	}
}
