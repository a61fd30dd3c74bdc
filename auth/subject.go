package auth

import (
	"slices"
	"strings"
)

// Subject is what a [Rule] decides from: the verified claims, and stored facts that the token does
// not hold. A stored fact may be unknown. What is unknown never grants anything.
//
// A rule does not compare the token with the stored facts. The code that fills in a Subject does:
//
//   - If the token is proven to be newer than a stored fact, it leaves the fact out.
//   - If the stored fact is newer, or if the order is unknown, it refuses the request without
//     asking a rule. The client then fetches a new token.
//   - It fills in facts that grant more than the token says only while the mirror is known to be
//     complete.
type Subject struct {
	// Claims are the verified claims, or nil if no user is signed in.
	Claims *Claims

	// Role is the user's stored application role, or "" if unknown.
	Role string

	// Ladder lists all application roles, lowest first.
	Ladder []string

	// Membership is the user's stored membership in the active organization of the session, or nil
	// if unknown. Rules ignore a membership in another organization.
	Membership *Membership

	// UserPlans and OrganizationPlans are the plans of the stored subscriptions of the user and of
	// the active organization, or nil if unknown. Rules use them if the token has no claim of
	// plans. They ignore plans of another owner.
	UserPlans, OrganizationPlans *Plans

	// PlanFeatures maps plans to their features. It is configuration, because subscriptions name
	// plans only. The features of a plan that is not listed are unknown.
	PlanFeatures map[string][]string

	// SessionStatus is the stored status of the session, such as "active", or "" if unknown. No
	// rule of this package uses it. It is for rules of your own.
	SessionStatus string
}

// Membership is a stored membership in an organization.
type Membership struct {
	OrganizationID string // org_…
	Role           string // org:<role>, or "" if unknown

	// Permissions are org:<feature>:<permission>. Unlike those of a token they include Clerk's
	// system permissions (org:sys_…).
	Permissions []string
}

// Plans are the plans that a user or an organization has subscribed to.
type Plans struct {
	Owner string   // the id of the user or organization
	Slugs []string // the slugs of the plans
}

func (s *Subject) signedIn() bool { return s != nil && s.Claims != nil }

// membership returns the stored membership in the active organization, or nil. A permission in one
// organization must never count in another.
func (s *Subject) membership() *Membership {
	if o := s.Claims.Organization; o != nil && s.Membership != nil && o.ID != "" && s.Membership.OrganizationID == o.ID {
		return s.Membership
	}
	return nil
}

// plans returns the plans of the user or of the active organization: those of the token if it has
// the claim, or else the stored ones. known is false if both are unknown.
func (s *Subject) plans(organization bool) (slugs []string, source Source, known bool) {
	if s.Claims.Plans.Present {
		return s.scoped(&s.Claims.Plans, organization), SourceToken, true
	}
	stored, owner := s.UserPlans, s.Claims.Subject
	if organization {
		stored, owner = s.OrganizationPlans, ""
		if s.Claims.Organization != nil {
			owner = s.Claims.Organization.ID
		}
	}
	if stored == nil || owner == "" || stored.Owner != owner {
		return nil, SourceMirror, false
	}
	return stored.Slugs, SourceMirror, true
}

// scoped returns one of the two lists of a claim. Like Clerk's own check, it ignores the whole
// claim if an item has no scope. It returns nothing for an organization while none is active.
func (s *Subject) scoped(claim *Scoped, organization bool) []string {
	switch {
	case claim.Malformed, organization && s.Claims.Organization == nil:
		return nil
	case organization:
		return claim.Organization
	default:
		return claim.User
	}
}

// planFeatures reports whether one of the plans is configured to have the feature.
func (s *Subject) planFeatures(plans []string, feature string) bool {
	for _, plan := range plans {
		if slices.Contains(s.PlanFeatures[plan], feature) {
			return true
		}
	}
	return false
}

// withoutPrefix removes "org:" from the beginning, as often as it is there: to Clerk, org:org:admin
// is org:admin.
func withoutPrefix(key string) string {
	for {
		rest, found := strings.CutPrefix(key, "org:")
		if !found {
			return key
		}
		key = rest
	}
}
