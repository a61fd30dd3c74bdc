package store

import (
	"context"
	"encoding/json"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

const selectSessions = `SELECT clerk_session_id, clerk_user_id, client_id, status, clerk_organization_id, actor,
	last_active_at, expire_at, abandon_at, created_at, updated_at, raw, overrides FROM clerk_sessions_live`

func scanSession(r Row) (s mirror.Session, err error) {
	var status, overrides text
	var object document
	err = r.Scan(&s.ClerkSessionID, (*text)(&s.ClerkUserID), (*text)(&s.ClientID), &status, (*text)(&s.ClerkOrganizationID),
		(*document)(&s.Actor), (*instant)(&s.LastActiveAt), (*instant)(&s.ExpireAt), (*instant)(&s.AbandonAt),
		(*instant)(&s.CreatedAt), (*instant)(&s.UpdatedAt), &object, &overrides)
	s.Overrides = overridesIn(clerk.KindSession, s.ClerkSessionID, overrides)
	s.Status = mirror.SessionStatus(status)
	s.SetRawObject(json.RawMessage(object))
	return s, err
}

func (db *DB) sessions(ctx context.Context, rest string, args ...any) ([]mirror.Session, error) {
	rows, err := db.query(ctx, selectSessions+rest, args...)
	list, err := scanAll(rows, err, scanSession)
	if err != nil {
		return nil, err
	}
	return list, describeOverrides(ctx, db, list, sessionOverrides)
}

func sessionOverrides(s *mirror.Session) []mirror.Override { return s.Overrides }

// Session returns the live session with the Clerk id.
func (db *DB) Session(ctx context.Context, id string) (mirror.Session, error) {
	list, err := db.sessions(ctx, " WHERE clerk_session_id = $1", id)
	return only(list, err, "session", id)
}

// Sessions returns a page of live sessions, newest first.
func (db *DB) Sessions(ctx context.Context, f mirror.SessionFilter) (mirror.Page[mirror.Session], error) {
	l := newest(sessionsList, "clerk_sessions", "clerk_session_id")
	l.lookBack = lookBackInUsers
	if f.ClerkUserID != "" {
		l.add("clerk_user_id = ?", f.ClerkUserID)
	}
	if f.Status != "" {
		l.filter("status = ?", string(f.Status))
	}
	p, err := readPage(ctx, db, l, f.After, f.Limit, selectSessions, scanSession, func(s *mirror.Session) place {
		return place{clerk.TimeOf(s.CreatedAt), s.ClerkSessionID}
	})
	if err != nil {
		return p, err
	}
	return p, describeOverrides(ctx, db, p.Items, sessionOverrides)
}
