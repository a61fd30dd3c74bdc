package live

import (
	"sync/atomic"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Facts are the stored facts about a caller. They are shared: never change them.
type Facts struct {
	User         *UserFacts         // nil for a caller behind whom is no person
	Session      *Session           // nil if none was requested
	Membership   *MembershipFacts   // nil if no organization was requested
	Organization *OrganizationFacts // nil for session tokens, which prove the organization
}

// UserFacts are the stored facts about a user.
type UserFacts struct {
	Row        mirror.User
	Found      bool     // the user is stored and not deleted
	Deleted    bool     // the user is known to be deleted, which is not the same as unknown
	Plans      []string // the slugs of the user's plans
	PlansKnown bool

	// Queued is the number of the transaction that last put the user into the verify queue, or 0 if
	// the user is not in it. Only a read from Clerk that began after that transaction lets the
	// stored user grant access.
	Queued int64

	// Ladder is the role ladder that was in force when the user was read, lowest role first.
	// Row.Role was derived with it, so that a role is never ranked by another ladder.
	Ladder   []string
	settings int64 // the revision of the settings with this ladder

	rendered atomic.Pointer[[]byte]
	verified atomic.Pointer[bool] // see EmailVerified
}

// Rendered returns the user in the form of a response. It calls render once for as long as the
// cache keeps the user. The result is shared.
func (p *UserFacts) Rendered(render func(*mirror.User) ([]byte, error)) ([]byte, error) {
	if b := p.rendered.Load(); b != nil {
		return *b, nil
	}
	b, err := render(&p.Row)
	if err == nil {
		p.rendered.Store(&b)
	}
	return b, err
}

// Session is a stored session.
type Session struct {
	mirror.Session
	Found bool // the session is stored
}

// MembershipFacts are the stored facts about a user's membership in an organization.
type MembershipFacts struct {
	Row    mirror.Membership
	Found  bool           // the membership is stored and not deleted
	Queued []store.Queued // the membership, its role and the role's permissions, if they are in the verify queue
	LostAt clerk.Time     // when a membership was last lost; 0 means never

	Slug       string   // the slug of the organization, or "" if unknown
	Plans      []string // the slugs of the organization's plans
	PlansKnown bool
}

func userFacts(u *store.UserRows, settings *store.Settings) *UserFacts {
	p := UserFacts{
		Row: u.Row, Found: u.Found, Deleted: u.Deleted, Plans: u.Plans.Slugs, PlansKnown: u.Plans.Known, Queued: u.Queued,
		Ladder: settings.Roles(), settings: settings.Revision,
	}
	if p.Found {
		p.Row.Role = store.RoleOfUser(&p.Row, p.Ladder).Role // during a change the stored role may come from another ladder
	}
	return &p
}

func membershipFacts(m *store.MembershipRows, o *store.OrganizationRows) *MembershipFacts {
	return &MembershipFacts{
		Row: m.Row, Found: m.Found, Queued: m.Queued, LostAt: m.LostAt, Slug: o.Row.Slug, Plans: o.Plans.Slugs, PlansKnown: o.Plans.Known,
	}
}
