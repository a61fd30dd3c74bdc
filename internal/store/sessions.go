package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/clerksync/clerksync/clerk"
)

// Session is a mirrored session as the live view shows it. Status is "revoked" also for a
// session that a later ban of its user ended.
type Session struct {
	ClerkSessionID      string
	ClerkUserID         string
	ClientID            string
	Status              string
	ClerkOrganizationID string          // the active organization when the session was last announced
	Actor               json.RawMessage // who impersonates the user, nil for nobody
	LastActiveAt        clerk.Time
	ExpireAt            clerk.Time
	AbandonAt           clerk.Time // moves without events
	CreatedAt           clerk.Time
	UpdatedAt           clerk.Time
	Raw                 json.RawMessage
}

// Usable reports whether the status is one under which a session can be used at all:
// active, or pending for who opts in. Expiry is judged by the reader's clock.
func (s Session) Usable() bool { return s.Status == "active" || s.Status == "pending" }

const selectSessions = `SELECT clerk_session_id, clerk_user_id, client_id, status, clerk_organization_id, actor,
	last_active_at, expire_at, abandon_at, created_at, updated_at, raw FROM clerk_sessions_live`

func scanSession(r *sql.Rows) (s Session, err error) {
	err = r.Scan(&s.ClerkSessionID, (*text)(&s.ClerkUserID), (*text)(&s.ClientID), (*text)(&s.Status), (*text)(&s.ClerkOrganizationID),
		(*document)(&s.Actor), (*instant)(&s.LastActiveAt), (*instant)(&s.ExpireAt), (*instant)(&s.AbandonAt),
		(*instant)(&s.CreatedAt), (*instant)(&s.UpdatedAt), (*document)(&s.Raw))
	return s, err
}

// Session answers one live session.
func (db *DB) Session(ctx context.Context, id string) (Session, error) {
	rows, err := db.query(ctx, selectSessions+" WHERE clerk_session_id = $1", id)
	return exactlyOne(scanAll(rows, err, scanSession))
}

// SessionFilter selects sessions; the zero value selects all.
type SessionFilter struct {
	ClerkUserID string
	Status      string
	After       Cursor
	Limit       int // 0 = 50, at most 500
}

// Sessions lists live sessions, newest first.
func (db *DB) Sessions(ctx context.Context, f SessionFilter) ([]Session, error) {
	var w where
	if f.ClerkUserID != "" {
		w.add("clerk_user_id = ?", f.ClerkUserID)
	}
	if f.Status != "" {
		w.add("status = ?", f.Status)
	}
	w.after(f.After, "clerk_session_id")
	rest, args := w.page("clerk_session_id", f.Limit)
	rows, err := db.query(ctx, selectSessions+rest, args...)
	return scanAll(rows, err, scanSession)
}
