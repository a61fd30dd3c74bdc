package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
)

// Sight is what a page of Clerk's is compared with: a row without its body.
type Sight struct {
	ID             string
	UserID         string
	OrganizationID string
	Digest         string
	Revision       int
	Rank           Rank
	Hidden         bool
	SignedInAt     clerk.Time
	ActiveAt       clerk.Time
	BannedAt       clerk.Time
	Written        int64
}

func (t *table) selectSights() string {
	column := func(name, otherwise string) string {
		if !t.has(name) {
			return otherwise
		}
		return "COALESCE(t." + name + ", " + otherwise + ")"
	}
	user, organization := column("clerk_user_id", "''"), column("clerk_organization_id", "''")
	signedIn, active := "0", "0"
	switch t.kind {
	case clerk.KindUser:
		user, signedIn, active = "''", column("last_login_at", "0"), column("last_active_at", "0")
	case clerk.KindOrganization:
		organization = "''"
	default:
	}
	return "SELECT t." + t.key() + ", " + user + ", " + organization + ", t.sync_digest, t.sync_revision, t.sync_rank, t.sync_hidden, " +
		signedIn + ", " + active + ", " + column("sync_banned_at", "0") + ", t.sync_write FROM " + t.name + " t WHERE "
}

func scanSight(r *sql.Rows) (s Sight, err error) {
	return s, r.Scan(&s.ID, &s.UserID, &s.OrganizationID, &s.Digest, &s.Revision, &s.Rank, &s.Hidden, &s.SignedInAt, &s.ActiveAt, &s.BannedAt, &s.Written)
}

// Sights loads the rows of a kind that exist, without their bodies, by id.
func (tx *Tx) Sights(ctx context.Context, kind clerk.Kind, ids []string) (map[string]Sight, error) {
	t := tables[kind]
	found := make(map[string]Sight, len(ids))
	err := tx.load(ctx, t.selectSights(), "t."+t.key(), ids, func(rows *sql.Rows) error {
		s, err := scanSight(rows)
		found[s.ID] = s
		return err
	})
	return found, err
}

// Sight is one row without its body, or [ErrNotFound].
func (db *DB) Sight(ctx context.Context, key Key) (Sight, error) {
	t := tables[key.Kind]
	rows, err := db.query(ctx, t.selectSights()+"t."+t.key()+" = $1", key.ID)
	return exactlyOne(scanAll(rows, err, scanSight))
}

// Standing lists the rows of a kind that neither their own deletion nor their parents' hides, by id, from after an id on.
// Unlike the live view it has all memberships of a pair.
func (db *DB) Standing(ctx context.Context, kind clerk.Kind, after string, limit int) ([]Sight, error) {
	t := tables[kind]
	rows, err := db.query(ctx, t.selectSights()+t.stands()+" AND t."+t.key()+" > $1 ORDER BY t."+t.key()+" LIMIT $2", after, limit)
	return scanAll(rows, err, scanSight)
}

// stands is the condition of [DB.Standing].
func (t *table) stands() string {
	text := "t.sync_hidden = 0"
	if t.kind == clerk.KindMembership || t.kind == clerk.KindSession {
		text += " AND NOT EXISTS (SELECT 1 FROM clerk_users p WHERE p.clerk_user_id = t.clerk_user_id AND p.sync_hidden = 1)"
	}
	if t.kind == clerk.KindMembership || t.kind == clerk.KindInvitation || t.kind == clerk.KindDomain {
		text += " AND NOT EXISTS (SELECT 1 FROM clerk_organizations p WHERE p.clerk_organization_id = t.clerk_organization_id AND p.sync_hidden = 1)"
	}
	return text
}

// Verify notes that an authoritative read agreed with rows, and that they were seen at Clerk then. Their bodies are left alone.
func (tx *Tx) Verify(ctx context.Context, kind clerk.Kind, ids []string, observedAt, now clerk.Time) error {
	if len(ids) == 0 {
		return nil
	}
	t := tables[kind]
	condition, arg := tx.db.engine.oneOf(t.key(), ids)
	text := fmt.Sprintf(`UPDATE %s SET sync_verified_at = %d,
		sync_read = CASE WHEN sync_observed_at < %[3]d THEN 1 ELSE sync_read END,
		sync_observed_at = CASE WHEN sync_observed_at < %[3]d THEN %[3]d ELSE sync_observed_at END,
		sync_seen_at = CASE WHEN sync_seen_at < %[3]d THEN %[3]d ELSE sync_seen_at END WHERE %[4]s`, t.name, int64(now), int64(observedAt), condition)
	_, err := tx.tx.ExecContext(tx.db.engine.detach(ctx), text, arg) // never the same text twice: not prepared
	return err
}

// OldestVerified is when the row of a kind that was longest not compared was compared; 0: one never was. What a parent hides
// does not count: nobody sees it, and no list has it.
func (db *DB) OldestVerified(ctx context.Context, kind clerk.Kind) (rows, oldest int64, err error) {
	t := tables[kind]
	found, err := db.query(ctx, "SELECT count(*), COALESCE(min(COALESCE(t.sync_verified_at, 0)), 0) FROM "+t.name+" t WHERE "+t.stands())
	pair, err := exactlyOne(scanAll(found, err, func(r *sql.Rows) (p [2]int64, err error) { return p, r.Scan(&p[0], &p[1]) }))
	return pair[0], pair[1], err
}

// DoubtsOf lists the objects of some kinds that wait in the verify queue, the oldest first.
func (db *DB) DoubtsOf(ctx context.Context, kind clerk.Kind, limit int) ([]string, error) {
	rows, err := db.query(ctx, "SELECT id FROM clerk_verify WHERE kind = $1 GROUP BY id ORDER BY min(queued_at), id LIMIT $2", string(kind), limit)
	return scanAll(rows, err, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) })
}

// Heard reports whether an event whose type begins with a prefix has ever come.
func (db *DB) Heard(ctx context.Context, prefix string) (bool, error) {
	rows, err := db.query(ctx, "SELECT 1 FROM clerk_inbox WHERE type LIKE $1 LIMIT 1", prefix+"%")
	found, err := scanAll(rows, err, func(r *sql.Rows) (n int, err error) { return n, r.Scan(&n) })
	return len(found) > 0, err
}
