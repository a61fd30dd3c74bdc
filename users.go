package clerksync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

// Users reads the mirrored users, makes the changes that operators ask for, and applies user
// objects that the application got from Clerk.
type Users struct {
	db     *store.DB
	in     *ingest.Ingest
	writer *write.Writer
}

// Users returns the service that reads and changes users.
func (m *Mirror) Users() Users { return Users{m.db, m.ingest, m.writer} }

// ByClerkID returns the live user with the Clerk id (user_…), or [ErrNotFound].
func (s Users) ByClerkID(ctx context.Context, clerkUserID string) (mirror.User, error) {
	return s.db.UserByClerkID(ctx, clerkUserID)
}

// ByClerkIDs returns the live users with these Clerk ids, by Clerk id. Ids that no live user has
// are left out.
func (s Users) ByClerkIDs(ctx context.Context, clerkUserIDs []string) (map[string]mirror.User, error) {
	return s.db.UsersByClerkIDs(ctx, clerkUserIDs)
}

// ByID returns the live user with the row id, a UUID, or [ErrNotFound].
func (s Users) ByID(ctx context.Context, id string) (mirror.User, error) {
	return s.db.UserByID(ctx, id)
}

// ByEmail returns the live user with the primary e-mail address, or [ErrNotFound]. When two live
// users have it, that is [ErrAmbiguous], and both are read again from Clerk.
func (s Users) ByEmail(ctx context.Context, email string) (mirror.User, error) {
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
	keys := make([]row.Key, len(users))
	for i, u := range users {
		keys[i] = row.Key{Kind: clerk.KindUser, ID: u.ClerkUserID}
	}
	return s.in.QueueVerify(ctx, keys...)
}

// Timeline returns a page of what happened to a user and to what belongs to the user, the latest
// first: changes with what caused them, deliveries that could not be applied, differences from
// Clerk, and the audit. The user may be deleted. The error is [ErrNotFound] if there never was one.
func (s Users) Timeline(ctx context.Context, clerkUserID string, q mirror.TimelineQuery) (mirror.Page[mirror.TimelineEntry], error) {
	return s.db.Timeline(ctx, clerkUserID, q)
}

// List returns a page of live users, newest first.
func (s Users) List(ctx context.Context, f mirror.UserFilter) (mirror.Page[mirror.User], error) {
	return store.List(ctx, s.db, (*store.DB).Users, f)
}

// All iterates over the live users that a filter selects, newest first. It reads a page at a time.
func (s Users) All(ctx context.Context, f mirror.UserFilter) iter.Seq2[mirror.User, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.User], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}

// Apply stores a user object that Clerk's API returned, as an event with it would: it creates or
// updates the row, unless something newer is stored. The error is [ErrWrongObject] if the JSON text
// is not a user.
func (s Users) Apply(ctx context.Context, object json.RawMessage) (mirror.User, error) {
	v, err := clerk.Parse(object)
	if err != nil {
		return mirror.User{}, fmt.Errorf("%w: %w", ErrWrongObject, err)
	}
	id := v.Get("id").String()
	if !isUser(v) {
		return mirror.User{}, fmt.Errorf("%w: want a user with an id", ErrWrongObject)
	}
	// the application does not say when it read the object; that was not before updated_at
	reading := ingest.Reading{Key: row.Key{Kind: clerk.KindUser, ID: id}, Body: v, ObservedAt: v.Get("updated_at").Time()}
	if err := s.in.Apply(ctx, reading); err != nil {
		return mirror.User{}, err
	}
	return s.ByClerkID(ctx, id)
}

// isUser reports whether an object is a user with an id. Without the field object, the form of the
// id decides.
func isUser(v clerk.Value) bool {
	id := v.Get("id").String()
	if object := v.Get("object"); object.Exists() {
		return id != "" && object.String() == "user"
	}
	return strings.HasPrefix(id, "user_")
}

// Delete records that Clerk has deleted a user. The deletion is permanent: later events do not
// restore the user. Delete sends no request to Clerk.
func (s Users) Delete(ctx context.Context, clerkUserID string) error {
	at, err := s.in.ReadFence(ctx)
	if err != nil {
		return err
	}
	key := row.Key{Kind: clerk.KindUser, ID: clerk.Text(clerkUserID).String()} // as an event would name it
	return s.in.Apply(ctx, ingest.Reading{Key: key, Deleted: true, ObservedAt: at.ObservedAt})
}

// Erase permanently removes the personal data of a user, deleted or not, from rows, deliveries, and
// copies in rows of other objects. The empty row stays with its ids, so that late events do not
// restore the user and foreign keys stay valid. Erase deletes nothing at Clerk: see
// [Users.DeleteAndErase]. If scrubbed is false, another process prevented Erase from emptying
// SQLite's write-ahead log: call Erase again. The error is [ErrNotFound] for a user who was never
// mirrored. For a user who was erased before, Erase searches for copies again.
func (s Users) Erase(ctx context.Context, clerkUserID string) (receipt mirror.Erasure, scrubbed bool, err error) {
	clerkUserID = clerk.Text(clerkUserID).String() // as an event would name it
	if err := s.in.Erase(ctx, clerkUserID); err != nil {
		return receipt, false, err
	}
	if _, err := privacy.FinishErasures(ctx, s.db); err != nil {
		return receipt, false, err
	}
	if scrubbed, err = s.db.TruncateWAL(ctx); err != nil {
		return receipt, false, err
	}
	stored, err := s.db.Erasure(ctx, clerkUserID)
	return stored.Erasure, scrubbed, err
}
