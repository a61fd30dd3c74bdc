package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

// Sessions reads the mirrored sessions, and ends sessions.
type Sessions struct {
	db     *store.DB
	writer *write.Writer
}

// Sessions returns the service that reads and ends sessions.
func (m *Mirror) Sessions() Sessions { return Sessions{m.db, m.writer} }

// ByClerkID returns the live session with the Clerk id (sess_…), or [ErrNotFound]. Clerk sends no
// event when a session expires: compare its ExpireAt and AbandonAt with your clock.
func (s Sessions) ByClerkID(ctx context.Context, clerkSessionID string) (mirror.Session, error) {
	return s.db.Session(ctx, clerkSessionID)
}

// List returns a page of live sessions, newest first.
func (s Sessions) List(ctx context.Context, f mirror.SessionFilter) (mirror.Page[mirror.Session], error) {
	return store.List(ctx, s.db, (*store.DB).Sessions, f)
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

// Revoke ends a session at Clerk, as an operator asks. A session that has ended at Clerk already is
// stored as Clerk has it. Without a secret key the session is revoked here alone. For the errors
// see [Users.SetRole].
func (s Sessions) Revoke(ctx context.Context, clerkSessionID string, by mirror.By) (mirror.Written, error) {
	return s.writer.RevokeSession(ctx, clerkSessionID, by, clerkapi.Interactive)
}
