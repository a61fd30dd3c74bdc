package live

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Facts are what is stored about who calls. They are shared: read, never change them.
type Facts struct {
	Person  *Person
	Session *Session // nil where none was asked for
	Seat    *Seat    // nil where no organization was asked for
}

// Person is a user as stored.
type Person struct {
	User       mirror.User
	Found      bool
	Deleted    bool // known to be: not the same as not found
	Plans      []string
	PlansKnown bool
	// Queued is the number of the transaction that last put the user into the verify queue, 0 for one who is not in it. Only
	// a read from Clerk that began after that transaction lets the stored user grant.
	Queued int64

	// Ladder is the role ladder in force when the user was read, lowest first. User.Role was derived by it, so that a role
	// is never ranked by another ladder than the one that it comes from.
	Ladder   []string
	settings int64 // the revision that the ladder is of

	rendered atomic.Pointer[[]byte]
	verified atomic.Pointer[bool] // see EmailVerified
}

// Rendered is the user in the form of an answer, made once for as long as the user is kept. The result is shared.
func (p *Person) Rendered(render func(*mirror.User) ([]byte, error)) ([]byte, error) {
	if b := p.rendered.Load(); b != nil {
		return *b, nil
	}
	b, err := render(&p.User)
	if err == nil {
		p.rendered.Store(&b)
	}
	return b, err
}

// Session is a session as stored; Found is false for one that was not seen yet.
type Session struct {
	mirror.Session
	Found bool
}

// Seat is a user's place in an organization.
type Seat struct {
	Membership mirror.Membership
	Found      bool
	Queued     []store.Queued // the membership, its role and the role's permissions, as far as they are in the verify queue
	LostAt     clerk.Time     // when a membership was last lost; 0 means never
	Slug       string         // of the organization; "" where it is not known
	Plans      []string       // of the organization
	PlansKnown bool
}

// loadPerson asks the verify queue first: a read from Clerk that ends meanwhile empties the queue and replaces the row in
// one transaction, and the old row must not pass for one that nothing doubts. loadSeat does the same.
func loadPerson(ctx context.Context, db database, id string) (*Person, error) {
	settings := db.Settings()
	p := Person{Ladder: settings.Roles(), settings: settings.Revision}
	var err error
	if p.Queued, err = db.UserQueued(ctx, id); err != nil {
		return nil, err
	}
	p.User, err = db.UserByClerkID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.Deleted, err = db.UserDeleted(ctx, id)
		return &p, err
	case err != nil:
		return nil, err
	}
	p.Found = true
	p.User.Role = store.RoleOfUser(&p.User, p.Ladder).Role // the stored one may come from another ladder, in the moment of a change
	p.Plans, p.PlansKnown, err = db.Plans(ctx, id, "")
	return &p, err
}

func loadSession(ctx context.Context, db database, id string) (*Session, error) {
	s, err := db.Session(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return &Session{}, nil
	}
	return &Session{s, err == nil}, err
}

func loadSeat(ctx context.Context, db database, user, organization string) (*Seat, error) {
	var s Seat
	var err error
	if s.Queued, err = db.MembershipQueued(ctx, user, organization); err != nil {
		return nil, err
	}
	s.Membership, err = db.Membership(ctx, user, organization)
	s.Found = err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if s.LostAt, err = db.MembershipLost(ctx, user, organization); err != nil {
		return nil, err
	}
	o, err := db.Organization(ctx, organization)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	s.Slug = o.Slug
	s.Plans, s.PlansKnown, err = db.Plans(ctx, "", organization)
	return &s, err
}
