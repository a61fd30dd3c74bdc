package live

import (
	"cmp"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
)

// CodeOrganizationInactive is the code of a [Refusal] of a caller who acts in an organization that
// is gone, or that the person behind the caller has left. It means 401.
const CodeOrganizationInactive = "organization_inactive"

// Person returns the user on whose standing a caller depends: the subject, or the user who made an
// organization's key. It returns "" for a machine, and if nobody knows who made the key.
func Person(c *auth.Claims) string {
	return cmp.Or(c.UserID(), c.CreatedBy)
}

// CheckMachine compares the claims of a token that is not a session token with the stored facts.
// Clerk does not document that it ends such tokens when the user is banned or leaves the
// organization, and the tokens do not prove where the user is a member now. So unlike in [Check],
// what is not stored refuses as well. Facts.User is nil for a caller without a person, and
// Facts.Organization and Facts.Membership for one who acts in no organization. It is pure.
func CheckMachine(f Facts, now time.Time) *Refusal {
	if p := f.User; p != nil {
		if refusal := checkUser(p, now); refusal != nil {
			return refusal
		}
		if p.Row.Stub { // whether the user is banned or locked is not known
			return Unknown(clerk.KindUser)
		}
	}
	if o := f.Organization; o != nil && !o.Found {
		return lostOrganization("organization", o.Deleted)
	}
	if m := f.Membership; m != nil && !m.Found {
		return lostOrganization("membership", m.LostAt != 0)
	}
	return nil
}

// Unknown is the refusal of a caller whose user, organization or membership is not known.
func Unknown(kind clerk.Kind) *Refusal {
	switch kind {
	case clerk.KindUser:
		return &Refusal{Code: CodeNotRegistered, Fact: "user", NotMirrored: true}
	case clerk.KindOrganization:
		return lostOrganization("organization", false)
	default:
		return lostOrganization("membership", false)
	}
}

func lostOrganization(fact string, known bool) *Refusal {
	stored := "unknown"
	if known {
		stored = "lost"
	}
	return &Refusal{Code: CodeOrganizationInactive, Fact: fact, Stored: stored, NotMirrored: !known, OrganizationLost: known}
}
