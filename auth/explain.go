package auth

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Condition is one condition of a rule as [Rule.Explain] found it. It may name roles, organizations and the people
// behind an impersonation: it is for operators, not for who was refused.
type Condition struct {
	Name    string `json:"name"` // the rule as it is written in Go
	Allowed bool   `json:"allowed"`
	Code    string `json:"code,omitempty"`   // of a refusal
	Reason  string `json:"reason,omitempty"` // of a refusal
	Facts   []Fact `json:"facts,omitempty"`

	// Any are the alternatives of [Any]: one that allows is enough. All are the conditions of an alternative that has more
	// than one.
	Any []Condition `json:"any,omitempty"`
	All []Condition `json:"all,omitempty"`
}

// Fact is what a condition looked at. A fact that is not known has no value.
type Fact struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Known  bool   `json:"known"`
	Source Source `json:"source"`
}

// Source says where a fact comes from.
type Source string

// The sources of facts.
const (
	SourceToken         Source = "token"
	SourceMirror        Source = "mirror"
	SourceConfiguration Source = "configuration"
)

// String is one line for people, like: refused (role) MinRole("growth"): role "solo" (mirror).
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

func (f Fact) String() string {
	if !f.Known {
		return fmt.Sprintf("%s unknown (%s)", f.Name, f.Source)
	}
	return fmt.Sprintf("%s %q (%s)", f.Name, f.Value, f.Source)
}

// conditionOf is a rule as a single condition. For nobody there are no facts to look at.
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

// explain asks a rule that may be missing or somebody else's.
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

// textFact is a fact whose empty text means unknown.
func textFact(name, value string, source Source) Fact { return fact(name, value, value != "", source) }

func listFact(name string, values []string, known bool, source Source) Fact {
	return fact(name, strings.Join(values, ","), known, source)
}

// organizationFact names the active organization.
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
