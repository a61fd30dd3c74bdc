package clerksync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/store"
)

// User is a mirrored user.
type User = store.User

// UserFilter selects users for [Users.List]; the zero value selects all.
type UserFilter = store.UserFilter

// Cursor is a place in a list; the zero value is its beginning.
type Cursor = store.Cursor

// Users reads the mirrored users, and applies Clerk objects that the caller has in hand.
type Users struct {
	db *store.DB
	in *ingest.Ingest
}

// Users is the service of users.
func (m *Mirror) Users() Users { return Users{m.db, m.ingest} }

// Get answers the live user with the Clerk id (user_…), or [ErrNotFound].
func (s Users) Get(ctx context.Context, clerkUserID string) (User, error) {
	return s.db.UserByClerkID(ctx, clerkUserID)
}

// ByID answers the live user with the row id, a UUID, or [ErrNotFound].
func (s Users) ByID(ctx context.Context, id string) (User, error) { return s.db.UserByID(ctx, id) }

// ByEmail answers the live user whose primary address this is, or [ErrNotFound]. When two
// live users have it, that is [ErrAmbiguous]: it names nobody, and both are verified.
func (s Users) ByEmail(ctx context.Context, email string) (User, error) {
	user, err := s.db.UserByEmail(ctx, email)
	if errors.Is(err, ErrAmbiguous) && !s.db.ReadOnly() {
		err = errors.Join(err, s.doubt(ctx, email))
	}
	return user, err
}

func (s Users) doubt(ctx context.Context, email string) error {
	users, err := s.db.UsersByEmail(ctx, email)
	if err != nil {
		return err
	}
	keys := make([]store.Key, len(users))
	for i, u := range users {
		keys[i] = store.Key{Kind: clerk.KindUser, ID: u.ClerkUserID}
	}
	return s.in.QueueVerify(ctx, keys...)
}

// List answers a page of live users, newest first, and the cursor of the next page, which
// is zero after the last.
func (s Users) List(ctx context.Context, f UserFilter) (users []User, next Cursor, err error) {
	f.Limit = limit(f.Limit) + 1
	users, err = s.db.Users(ctx, f)
	users, next = page(users, f.Limit-1, func(u User) Cursor { return Cursor{CreatedAt: u.CreatedAt, ID: u.ClerkUserID} })
	return users, next, err
}

// Apply stores a user object that Clerk's API answered, as an event with it would: it
// creates or updates the row, unless something newer is stored. It makes up nobody whom
// Clerk does not know.
func (s Users) Apply(ctx context.Context, object json.RawMessage) (User, error) {
	v, err := clerk.Parse(object)
	if err != nil {
		return User{}, fmt.Errorf("%w: %w", ErrWrongObject, err)
	}
	id := v.Get("id").String()
	if name := v.Get("object").String(); id == "" || name != "" && name != "user" {
		return User{}, fmt.Errorf("%w: want a user with an id", ErrWrongObject)
	}
	// when it was read is not told; not before it was updated is certain
	reading := ingest.Reading{Key: store.Key{Kind: clerk.KindUser, ID: id}, Body: v, ObservedAt: v.Get("updated_at").Time()}
	if err := s.in.Apply(ctx, reading); err != nil {
		return User{}, err
	}
	return s.Get(ctx, id)
}

// Delete records that Clerk confirmed the deletion of a user: for ever, whatever events
// still come. It deletes nothing at Clerk.
func (s Users) Delete(ctx context.Context, clerkUserID string) error {
	at, err := s.in.ReadFence(ctx)
	if err != nil {
		return err
	}
	key := store.Key{Kind: clerk.KindUser, ID: clerkUserID}
	return s.in.Apply(ctx, ingest.Reading{Key: key, Deleted: true, ObservedAt: at.ObservedAt})
}

// Erasure is the receipt of a person's erasure: no personal data but the Clerk id.
type Erasure = store.Erasure

// Erase forgets a person for ever, deleted or not: rows, deliveries, and copies in others' rows. The empty row stays, with
// its ids, so that no late event brings the person back and foreign keys hold. It deletes nothing at Clerk. scrubbed is
// false when another process kept SQLite's write-ahead log from being emptied: call it again. Who was never heard of is
// [ErrNotFound]. A user who was erased before is searched for again.
func (s Users) Erase(ctx context.Context, clerkUserID string) (receipt Erasure, scrubbed bool, err error) {
	if err := s.in.Erase(ctx, clerkUserID); err != nil {
		return receipt, false, err
	}
	if _, err := privacy.FinishErasures(ctx, s.db); err != nil {
		return receipt, false, err
	}
	if scrubbed, err = s.db.TruncateWAL(ctx); err != nil {
		return receipt, false, err
	}
	receipt, err = s.db.Erasure(ctx, clerkUserID)
	return receipt, scrubbed, err
}

// limit is the size of a page: 50 unless told, at most 499.
func limit(n int) int {
	switch {
	case n <= 0:
		return 50
	case n > 499:
		return 499
	}
	return n
}

// page cuts the row that was read beyond the page, and answers where the next one begins.
func page[T any](rows []T, size int, at func(T) Cursor) ([]T, Cursor) {
	if len(rows) <= size {
		return rows, Cursor{}
	}
	return rows[:size], at(rows[size-1])
}
