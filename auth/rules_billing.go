package auth

import (
	"slices"
	"strings"
)

// Feature returns a rule that requires a feature, by its slug:
//
//   - "slug": the user or the active organization must have it.
//   - "user:slug" or "u:slug": the user must have it.
//   - "org:slug", "organization:slug" or "o:slug": the active organization must have it.
//
// The rule uses the token's features if it has the claim. Otherwise it takes the plans of the
// token, or the stored ones, and their features in [Subject].PlanFeatures. A refusal has
// [CodeFeatureLocked] and the slug.
//
// Source: https://clerk.com/docs/guides/secure/features-and-plans.
func Feature(feature string) Rule {
	asked, faulty := parseAsked(feature)
	return &featureRule{asked, faulty}
}

type featureRule struct {
	asked  askedSlug
	faulty bool
}

func (r *featureRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.faulty); done {
		return d
	}
	if r.asked.user && s.hasFeature(r.asked.slug, false) || r.asked.organization && s.hasFeature(r.asked.slug, true) {
		return Allow()
	}
	return Decision{Code: CodeFeatureLocked, Reason: ReasonFeature, Feature: r.asked.slug}
}

func (s *Subject) hasFeature(slug string, organization bool) bool {
	if s.Claims.Features.Present {
		return slices.Contains(s.scoped(&s.Claims.Features, organization), slug)
	}
	plans, _, _ := s.plans(organization)
	return s.planFeatures(plans, slug)
}

func (r *featureRule) Explain(s *Subject) []Condition {
	var facts []Fact
	for organization := range r.asked.scopes(s) {
		if s.Claims.Features.Present {
			facts = append(facts, listFact(ownerName(organization)+" features", s.scoped(&s.Claims.Features, organization),
				!s.Claims.Features.Malformed, SourceToken))
			continue
		}
		plans, source, known := s.plans(organization)
		facts = append(facts, listFact(ownerName(organization)+" plans", plans, known, source))
		for _, plan := range plans {
			features, listed := s.PlanFeatures[plan]
			facts = append(facts, listFact("features of plan "+plan, features, listed, SourceConfiguration))
		}
	}
	return []Condition{conditionOf(r, s, facts...)}
}

func (r *featureRule) String() string { return call("Feature", r.asked.text) }

func (r *featureRule) validate() error { return r.asked.validate(r, r.faulty) }

// Plan returns a rule that requires a plan, written like the features of [Feature]. The rule uses
// the token's plans if it has the claim, or else the stored ones. A refusal has [CodeFeatureLocked]
// and the slug.
func Plan(plan string) Rule {
	asked, faulty := parseAsked(plan)
	return &planRule{asked, faulty}
}

type planRule struct {
	asked  askedSlug
	faulty bool
}

func (r *planRule) Check(s *Subject) Decision {
	if d, done := precheck(s, r.faulty); done {
		return d
	}
	if r.asked.user && s.hasPlan(r.asked.slug, false) || r.asked.organization && s.hasPlan(r.asked.slug, true) {
		return Allow()
	}
	return Decision{Code: CodeFeatureLocked, Reason: ReasonPlan, Plan: r.asked.slug}
}

func (s *Subject) hasPlan(slug string, organization bool) bool {
	plans, _, _ := s.plans(organization)
	return slices.Contains(plans, slug)
}

func (r *planRule) Explain(s *Subject) []Condition {
	var facts []Fact
	for organization := range r.asked.scopes(s) {
		plans, source, known := s.plans(organization)
		known = known && !s.Claims.Plans.Malformed
		facts = append(facts, listFact(ownerName(organization)+" plans", plans, known, source))
	}
	return []Condition{conditionOf(r, s, facts...)}
}

func (r *planRule) String() string { return call("Plan", r.asked.text) }

func (r *planRule) validate() error { return r.asked.validate(r, r.faulty) }

// askedSlug is the feature or plan that a rule requires, and of whom.
type askedSlug struct {
	text, slug         string
	user, organization bool
}

func parseAsked(text string) (asked askedSlug, faulty bool) {
	scope, slug, scoped := strings.Cut(text, ":")
	asked = askedSlug{text: text, slug: slug, user: scope == "u" || scope == "user"}
	asked.organization = scope == "o" || scope == "org" || scope == "organization"
	if !scoped {
		asked.slug, asked.user, asked.organization = text, true, true
	}
	faulty = invalidKey(asked.slug) || strings.Contains(asked.slug, ":") || !asked.user && !asked.organization
	return asked, faulty
}

// scopes yields false if the user's facts count, and true if the organization's facts count. It
// yields nothing if no user is signed in.
func (a askedSlug) scopes(s *Subject) func(yield func(organization bool) bool) {
	return func(yield func(bool) bool) {
		if s.signedIn() && (!a.user || yield(false)) && a.organization {
			yield(true)
		}
	}
}

func (a askedSlug) validate(rule Rule, faulty bool) error {
	if faulty {
		return invalidRule(rule, `want "slug", "org:slug" or "user:slug"`)
	}
	return nil
}

func ownerName(organization bool) string {
	if organization {
		return "organization"
	}
	return "user"
}
