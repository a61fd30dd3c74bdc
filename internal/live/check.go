package live

import (
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// Codes of a [Refusal]: all of them mean 401, and none of them is in the token.
const (
	CodeNotRegistered = "user_not_registered"
	CodeInactive      = "user_inactive"
	CodeSessionEnded  = "session_ended"
	CodeContradiction = "invalid_session_claims"
)

// Refusal is what the stored facts have against a verified token. Fact and the values are for the
// audit and for operators, never for who was refused.
type Refusal struct {
	Code             string
	Fact             string // which one: user, session, membership, membership.role
	Claimed, Stored  string
	NotMirrored      bool // the user is unknown, which a read from Clerk may change
	OrganizationLost bool
}

// Check compares a verified session token with the stored facts. Only a stored fact refuses: a
// session or a membership that was not seen yet does not, for the token proves it; nor does a time
// that moves without events. It is pure.
func Check(claims *auth.Claims, f Facts, now time.Time) *Refusal {
	if refusal := checkUser(f.User, now); refusal != nil {
		return refusal
	}
	if s := f.Session; s != nil && s.Found {
		if s.ClerkUserID != claims.Subject && s.ClerkUserID != "" {
			return &Refusal{Code: CodeSessionEnded, Fact: "session", Stored: "another user's"}
		}
		if s.Status != "" && !s.Usable() {
			return &Refusal{Code: CodeSessionEnded, Fact: "session", Stored: string(s.Status)}
		}
	}
	if claims.Organization != nil && f.Membership != nil {
		return checkMembership(claims, f.Membership)
	}
	return nil
}

// checkUser refuses a user who is unknown or inactive.
func checkUser(p *UserFacts, now time.Time) *Refusal {
	switch {
	case p.Deleted:
		return &Refusal{Code: CodeInactive, Fact: "user", Stored: "deleted"}
	case !p.Found:
		return Unknown(clerk.KindUser)
	case !p.Row.IsActive:
		return &Refusal{Code: CodeInactive, Fact: "user", Stored: Inactive(&p.Row)}
	case p.Row.Locked && (p.Row.LockedUntil.IsZero() || now.Before(p.Row.LockedUntil)):
		return &Refusal{Code: CodeInactive, Fact: "user", Stored: "locked"}
	}
	return nil
}

// Inactive names what made a user inactive who is not deleted.
func Inactive(u *mirror.User) string {
	if u.Banned {
		return "banned"
	}
	return "deprovisioned" // by a directory (SCIM)
}

// checkMembership refuses an active organization that a stored fact takes away. A fact that is
// older than the token does not count against it, and one of the same second does: the stricter of
// both counts where order can't be told.
func checkMembership(claims *auth.Claims, seat *MembershipFacts) *Refusal {
	o := claims.Organization
	if !seat.Found {
		if seat.LostAt == 0 || newer(claims.IssuedAt, seat.LostAt) {
			return nil
		}
		return &Refusal{Code: CodeContradiction, Fact: "membership", Claimed: o.ID, Stored: "lost", OrganizationLost: true}
	}
	if role := seat.Row.Role; role != "" && o.Role != "" && !row.SameRole(role, o.Role) && !newer(claims.IssuedAt, clerk.TimeOf(seat.Row.UpdatedAt)) {
		return &Refusal{Code: CodeContradiction, Fact: "membership.role", Claimed: o.Role, Stored: role}
	}
	return nil
}

// newer reports whether a token is proven to be younger than a fact. Tokens know whole seconds.
func newer(issued time.Time, fact clerk.Time) bool {
	return !issued.IsZero() && clerk.TimeOf(issued) > fact
}

// Grants are the stored facts that may grant more than the token: those that are proven. This only
// limits granting. A stored fact that denies always denies.
type Grants struct{ User, Membership, Plans bool }

// Subject is what rules may look at. It leaves out what may not grant, and a membership whose role
// the token is proven newer than. The role is that of the user whom the token names: the key of an
// organization has none.
func Subject(claims *auth.Claims, f Facts, grants Grants, features map[string][]string) auth.Subject {
	s := auth.Subject{Claims: claims, PlanFeatures: features}
	if f.Session != nil && f.Session.Found {
		s.SessionStatus = string(f.Session.Status)
	}
	if f.User != nil && claims.UserID() != "" {
		s.Ladder = f.User.Ladder
		if grants.User && !f.User.Row.Stub {
			s.Role = f.User.Row.Role
		}
		if grants.Plans && f.User.PlansKnown {
			s.UserPlans = &auth.Plans{Owner: claims.Subject, Slugs: f.User.Plans}
		}
	}
	o, seat := claims.Organization, f.Membership
	if o == nil {
		return s
	}
	switch {
	case !grants.Plans:
	case f.Organization != nil && f.Organization.PlansKnown:
		s.OrganizationPlans = &auth.Plans{Owner: o.ID, Slugs: f.Organization.Plans}
	case f.Organization == nil && seat != nil && seat.PlansKnown:
		s.OrganizationPlans = &auth.Plans{Owner: o.ID, Slugs: seat.Plans}
	}
	if grants.Membership && seat != nil && seat.Found && !seat.Row.Stub && (o.Role == "" || row.SameRole(o.Role, seat.Row.Role)) {
		s.Membership = &auth.Membership{OrganizationID: o.ID, Role: row.RoleKey(seat.Row.Role), Permissions: seat.Row.Permissions}
	}
	return s
}
