package auth

import (
	"slices"
	"strings"
)

// Subject is what a rule may look at: the verified claims, and stored facts that the claims cannot know. Each stored
// fact may be unknown, which never grants anything.
//
// Rules use the facts as they stand and settle no contradiction between token and mirror: whoever fills a Subject does.
// It leaves out a stored fact that the token is proven newer than, and asks no rule at all where the mirror is newer or
// the order cannot be told (the client then fetches a fresh token). It fills in facts that grant more than the token
// says only while the mirror is known to be complete.
type Subject struct {
	Claims *Claims  // nil: nobody is signed in
	Role   string   // the stored role, "" if none is known
	Ladder []string // all roles, lowest first

	// Membership is the stored membership of the user in the organization that is active in the session, nil if unknown.
	// One of another organization is not looked at.
	Membership *Membership

	// UserPlans and OrganizationPlans are the plans of stored subscriptions, nil if unknown. They count where the token
	// says nothing of plans. Those of another owner than the user, or the active organization, are not looked at.
	UserPlans, OrganizationPlans *Plans

	// PlanFeatures is configuration: the features of each plan, for subscriptions name plans only. A plan that is not
	// listed has unknown features.
	PlanFeatures map[string][]string

	SessionStatus string // the stored status of the session, "" if unknown; for rules of yours
}

// Membership is a stored membership of an organization.
type Membership struct {
	OrganizationID string
	Role           string   // org:<role>, "" if unknown
	Permissions    []string // org:<feature>:<permission>, Clerk's system permissions (org:sys_…) among them
}

// Plans are the slugs of the plans that a user or an organization has subscribed to.
type Plans struct {
	Owner string // the id of the user or organization
	Slugs []string
}

func (s *Subject) signedIn() bool { return s != nil && s.Claims != nil }

// membership is the stored one of the active organization, nil if there is none: a permission in one organization must
// never count in another.
func (s *Subject) membership() *Membership {
	if o := s.Claims.Organization; o != nil && s.Membership != nil && o.ID != "" && s.Membership.OrganizationID == o.ID {
		return s.Membership
	}
	return nil
}

// plans are those of the user or of the active organization: what the token says if it speaks of plans, else what is
// stored. known is false if neither tells.
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

// scoped is one of the two lists of a claim. A claim with an item that has no scope is not believed at all, as in
// Clerk's own check, and nothing is granted in the name of an organization while none is active.
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

// planFeatures tells whether one of the plans is configured to have the feature.
func (s *Subject) planFeatures(plans []string, feature string) bool {
	for _, plan := range plans {
		if slices.Contains(s.PlanFeatures[plan], feature) {
			return true
		}
	}
	return false
}

// withoutPrefix removes "org:" however often it stands there: Clerk takes org:org:admin for org:admin.
func withoutPrefix(key string) string {
	for {
		rest, found := strings.CutPrefix(key, "org:")
		if !found {
			return key
		}
		key = rest
	}
}
