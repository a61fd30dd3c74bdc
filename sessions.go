package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Sessions reads the mirrored sessions.
type Sessions struct{ db *store.DB }

// Sessions returns the service that reads sessions.
func (m *Mirror) Sessions() Sessions { return Sessions{m.db} }

// ByClerkID returns the live session with the Clerk id (sess_…), or [ErrNotFound]. Clerk sends no
// event when a session expires: compare its ExpireAt and AbandonAt with your clock.
func (s Sessions) ByClerkID(ctx context.Context, clerkSessionID string) (mirror.Session, error) {
	return s.db.Session(ctx, clerkSessionID)
}

// List returns a page of live sessions, newest first.
func (s Sessions) List(ctx context.Context, f mirror.SessionFilter) (mirror.Page[mirror.Session], error) {
	return s.db.Sessions(ctx, f)
}

// All iterates over the live sessions that a filter selects, newest first. It reads a page at a
// time.
func (s Sessions) All(ctx context.Context, f mirror.SessionFilter) iter.Seq2[mirror.Session, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Session], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}
