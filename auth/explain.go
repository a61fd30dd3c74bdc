package auth

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Condition is one condition of a rule, with the result that [Rule.Explain] found. Show it to
// operators, never to the user who was refused: it may name roles, organizations and the person who
// impersonates a user.
type Condition struct {
	Name    string `json:"name"`             // the rule as it is written in Go
	Allowed bool   `json:"allowed"`          // whether the condition allows
	Code    string `json:"code,omitempty"`   // the code of a refusal; see [Decision]
	Reason  string `json:"reason,omitempty"` // the reason of a refusal; see [Decision]
	Facts   []Fact `json:"facts,omitempty"`  // the facts that the condition used

	// Any are the alternatives of the rule [Any], one of which must allow.
	Any []Condition `json:"any,omitempty"`

	// All are the conditions of an alternative that has more than one. All of them must allow.
	All []Condition `json:"all,omitempty"`
}

// Fact is a fact that a condition used.
type Fact struct {
	Name   string `json:"name"`   // such as "role" or "permissions"
	Value  string `json:"value"`  // "" if unknown; lists have commas between their items
	Known  bool   `json:"known"`  // whether the fact is known
	Source Source `json:"source"` // where the fact comes from, or would come from
}

// Source is where a fact comes from.
type Source string

// The sources of facts.
const (
	SourceToken         Source = "token"         // the verified claims
	SourceMirror        Source = "mirror"        // the stored facts of the [Subject]
	SourceConfiguration Source = "configuration" // [Subject].PlanFeatures
)

// String returns one line for people, such as: refused (role) MinRole("growth"): role "solo"
// (mirror).
func (c Condition) String() string {
	var b strings.Builder
	if c.Allowed {
		b.WriteString("allowed ")
	} else {
		fmt.Fprintf(&b, "refused (%s) ", cmp.Or(c.Reason, c.Code))
	}
	b.WriteString(c.Name)
	for i, fact := range c.Facts {
		b.WriteString([...]string{": ", ", "}[min(i, 1)])
		b.WriteString(fact.String())
	}
	return b.String()
}

// String returns name, value and source, such as: role "solo" (mirror).
func (f Fact) String() string {
	if !f.Known {
		return fmt.Sprintf("%s unknown (%s)", f.Name, f.Source)
	}
	return fmt.Sprintf("%s %q (%s)", f.Name, f.Value, f.Source)
}

// conditionOf returns a rule as a single condition. If no user is signed in, no fact is known.
func conditionOf(rule Rule, s *Subject, facts ...Fact) Condition {
	d := check(rule, s)
	c := Condition{Name: "nil", Allowed: d.Allowed, Code: d.Code, Reason: d.Reason, Facts: facts}
	if rule != nil {
		c.Name = rule.String()
	}
	if !s.signedIn() {
		c.Facts = []Fact{fact("user", "", false, SourceToken)}
	}
	return c
}

// explain calls a rule that may be nil or may be one that this package does not know.
func explain(rule Rule, s *Subject) []Condition {
	if rule == nil {
		return []Condition{noRule()}
	}
	if conditions := rule.Explain(s); len(conditions) > 0 {
		return conditions
	}
	return []Condition{conditionOf(rule, s)}
}

func noRule() Condition {
	return Condition{Name: "nil", Code: CodeForbidden, Reason: ReasonNoRule}
}

func fact(name, value string, known bool, source Source) Fact {
	if !known {
		value = ""
	}
	return Fact{Name: name, Value: value, Known: known, Source: source}
}

// textFact returns a fact that is unknown if its value is empty.
func textFact(name, value string, source Source) Fact { return fact(name, value, value != "", source) }

func listFact(name string, values []string, known bool, source Source) Fact {
	return fact(name, strings.Join(values, ","), known, source)
}

// organizationFact returns the active organization.
func organizationFact(s *Subject) Fact {
	if s.Claims.Organization == nil {
		return fact("organization", "", false, SourceToken)
	}
	return textFact("organization", s.Claims.Organization.ID, SourceToken)
}

func agesFact(ages *[2]int) Fact {
	if ages == nil {
		return fact("factor ages", "", false, SourceToken)
	}
	return fact("factor ages", strconv.Itoa(ages[0])+","+strconv.Itoa(ages[1]), true, SourceToken)
}
