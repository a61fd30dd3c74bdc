package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// ConsoleSession is a browser that is signed in to the console, or a link that signs one in.
type ConsoleSession struct {
	Digest    TokenDigest // of the cookie or the link
	IsLink    bool
	Operator  string // name; empty for the unnamed operator
	Token     string // digest that binds it to the token of the operator, empty for none
	CreatedAt time.Time
	From      string // address of the client, empty if unknown
	ExpiresAt time.Time
}

const consoleColumns = "digest, is_link, operator, token_digest, created_at, created_from, expires_at"

func scanConsoleSession(r Row) (s ConsoleSession, err error) {
	return s, r.Scan(&s.Digest, &s.IsLink, (*text)(&s.Operator), (*text)(&s.Token), (*instant)(&s.CreatedAt), (*text)(&s.From),
		(*instant)(&s.ExpiresAt))
}

// AddConsoleSession stores a session or a link, audits it, and removes what expired a while ago.
func (db *DB) AddConsoleSession(ctx context.Context, s *ConsoleSession, audited mirror.AuditEntry) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.addConsoleSession(ctx, s, audited) })
}

func (tx *Tx) addConsoleSession(ctx context.Context, s *ConsoleSession, audited mirror.AuditEntry) error {
	old := int64(clerk.TimeOf(s.CreatedAt))
	if err := tx.exec(ctx, "DELETE FROM clerk_console_sessions WHERE expires_at <= $1", old); err != nil {
		return err
	}
	err := tx.exec(ctx, "INSERT INTO clerk_console_sessions ("+consoleColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		s.Digest.String(), flag(s.IsLink), textOrNull(s.Operator), textOrNull(s.Token), int64(clerk.TimeOf(s.CreatedAt)), textOrNull(s.From),
		int64(clerk.TimeOf(s.ExpiresAt)))
	if err != nil {
		return err
	}
	return tx.AppendAudit(ctx, []mirror.AuditEntry{audited})
}

// UseConsoleLink replaces a link by the session that begin makes of it. The error is [ErrNotFound]
// if the link does not exist, or was used.
func (db *DB) UseConsoleLink(
	ctx context.Context, digest TokenDigest, begin func(link ConsoleSession) (*ConsoleSession, mirror.AuditEntry, error),
) error {
	// Anyone can send a link, so one that does not exist causes no write.
	rows, err := db.query(ctx, "SELECT "+consoleColumns+" FROM clerk_console_sessions WHERE digest = $1 AND is_link = 1", digest.String())
	known, err := scanAll(rows, err, scanConsoleSession)
	if _, err := exactlyOne(known, err); err != nil {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.query(ctx, "DELETE FROM clerk_console_sessions WHERE digest = $1 AND is_link = 1 RETURNING "+consoleColumns, digest.String())
		used, err := scanAll(rows, err, scanConsoleSession)
		link, err := exactlyOne(used, err)
		if err != nil {
			return err
		}
		session, audited, err := begin(link)
		if err != nil {
			return err
		}
		return tx.addConsoleSession(ctx, session, audited)
	})
}

// ConsoleSession returns a session that is not a link. operator is nil if no operator has the name
// and the token of the session. The error is [ErrNotFound] if there is none.
func (db *DB) ConsoleSession(ctx context.Context, digest TokenDigest) (s ConsoleSession, operator *mirror.Operator, err error) {
	rows, err := db.query(ctx, `SELECT s.digest, s.is_link, s.operator, s.token_digest, s.created_at, s.created_from, s.expires_at,
			o.name, o.read_only, o.created_at, o.created_by, o.expires_at, o.last_used_at
		FROM clerk_console_sessions s LEFT JOIN clerk_operators o ON o.name = s.operator AND o.token_digest = s.token_digest
		WHERE s.digest = $1 AND s.is_link = 0`, digest.String())
	found, err := scanAll(rows, err, func(r Row) (s ConsoleSession, err error) {
		var o mirror.Operator
		var readOnly sql.NullBool
		err = r.Scan(&s.Digest, &s.IsLink, (*text)(&s.Operator), (*text)(&s.Token), (*instant)(&s.CreatedAt), (*text)(&s.From),
			(*instant)(&s.ExpiresAt), (*text)(&o.Name), &readOnly, (*instant)(&o.CreatedAt), (*text)(&o.CreatedBy), (*instant)(&o.ExpiresAt),
			(*instant)(&o.LastUsedAt))
		if o.Name != "" {
			o.ReadOnly = readOnly.Bool
			operator = &o
		}
		return s, err
	})
	s, err = exactlyOne(found, err)
	return s, operator, err
}

// EndConsoleSession removes a session, if it exists.
func (db *DB) EndConsoleSession(ctx context.Context, digest TokenDigest) error {
	return db.updateWithoutHead(ctx, func(tx *Tx) error {
		return tx.exec(ctx, "DELETE FROM clerk_console_sessions WHERE digest = $1", digest.String())
	})
}

// RowStatuses returns how fresh the rows of a kind are that have these ids, by id.
func (db *DB) RowStatuses(ctx context.Context, kind clerk.Kind, ids []string) (map[string]mirror.RowStatus, error) {
	t, ok := tables[kind]
	if !ok || len(ids) == 0 {
		return map[string]mirror.RowStatus{}, nil
	}
	condition, arg := db.engine.oneOf("t."+t.key(), ids)
	rows, err := db.query(ctx, "SELECT t."+t.key()+`, t.sync_read, t.sync_rank, t.sync_updated_at, t.sync_seen_at, t.sync_verified_at,
			(SELECT MIN(q.queued_at) FROM clerk_verify q WHERE q.kind = $2 AND q.id = t.`+t.key()+") FROM "+t.name+" t WHERE "+condition,
		arg, string(kind))
	return scanMap(rows, err, func(r Row) (id string, s mirror.RowStatus, err error) {
		var read bool
		var rank row.Rank
		err = r.Scan(&id, &read, &rank, (*instant)(&s.UpdatedAt), (*instant)(&s.SeenAt), (*instant)(&s.VerifiedAt), (*instant)(&s.DoubtedAt))
		switch {
		case rank < row.Full:
			s.Source = mirror.SourceEmbedded
		case read:
			s.Source = mirror.SourceRead
		default:
			s.Source = mirror.SourceEvent
		}
		return id, s, err
	})
}

// MembershipCounts returns in how many organizations users are, by Clerk id. It stops counting at a
// number for each user, so that its time does not grow with the memberships.
func (db *DB) MembershipCounts(ctx context.Context, userIDs []string, atMost int) (map[string]int, error) {
	if len(userIDs) == 0 {
		return map[string]int{}, nil
	}
	condition, arg := db.engine.oneOf("u.clerk_user_id", userIDs)
	rows, err := db.query(ctx, `SELECT u.clerk_user_id, (SELECT COUNT(*) FROM (SELECT 1 FROM clerk_memberships m
			WHERE m.clerk_user_id = u.clerk_user_id AND m.sync_hidden = 0 LIMIT $2) AS counted) FROM clerk_users u WHERE `+condition, arg, atMost)
	return scanMap(rows, err, func(r Row) (id string, n int, err error) { return id, n, r.Scan(&id, &n) })
}
