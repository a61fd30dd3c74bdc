package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/internal/store"
)

// Session is a mirrored session.
type Session = store.Session

// SessionFilter selects sessions for [Sessions.List]; the zero value selects all.
type SessionFilter = store.SessionFilter

// Sessions reads the mirrored sessions.
type Sessions struct{ db *store.DB }

// Sessions is the service of sessions.
func (m *Mirror) Sessions() Sessions { return Sessions{m.db} }

// Get answers one live session, or [ErrNotFound]. Whether it has expired is for the
// caller's clock to tell: no event says so.
func (s Sessions) Get(ctx context.Context, clerkSessionID string) (Session, error) {
	return s.db.Session(ctx, clerkSessionID)
}

// List answers a page of live sessions, newest first, and the cursor of the next page.
func (s Sessions) List(ctx context.Context, f SessionFilter) (sessions []Session, next Cursor, err error) {
	f.Limit = limit(f.Limit) + 1
	sessions, err = s.db.Sessions(ctx, f)
	sessions, next = page(sessions, f.Limit-1, func(s Session) Cursor { return Cursor{CreatedAt: s.CreatedAt, ID: s.ClerkSessionID} })
	return sessions, next, err
}
