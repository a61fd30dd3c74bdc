package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Invitations reads the mirrored invitations to organizations.
type Invitations struct{ db *store.DB }

// Invitations returns the service that reads invitations.
func (m *Mirror) Invitations() Invitations { return Invitations{m.db} }

// ByClerkID returns the live invitation with the Clerk id (orginv_…), or [ErrNotFound].
func (s Invitations) ByClerkID(ctx context.Context, clerkInvitationID string) (mirror.Invitation, error) {
	return s.db.Invitation(ctx, clerkInvitationID)
}

// List returns a page of live invitations, newest first.
func (s Invitations) List(ctx context.Context, f mirror.InvitationFilter) (mirror.Page[mirror.Invitation], error) {
	return store.List(ctx, s.db, (*store.DB).Invitations, f)
}

// All iterates over the live invitations that a filter selects, newest first. It reads a page at a
// time.
func (s Invitations) All(ctx context.Context, f mirror.InvitationFilter) iter.Seq2[mirror.Invitation, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Invitation], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}
