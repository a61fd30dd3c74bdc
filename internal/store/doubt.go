package store

import (
	"context"
	"database/sql"

	"github.com/clerksync/clerksync/clerk"
)

// UserDoubted reports whether a user waits in the verify queue.
func (db *DB) UserDoubted(ctx context.Context, clerkUserID string) (bool, error) {
	n, err := db.number(ctx, "SELECT count(*) FROM clerk_verify WHERE kind = 'user' AND id = $1", clerkUserID)
	return n > 0, err
}

// SeatDoubted reports whether a membership, or a role of its key, waits in the verify queue.
func (db *DB) SeatDoubted(ctx context.Context, membershipID, roleKey string) (bool, error) {
	const text = `SELECT (SELECT count(*) FROM clerk_verify WHERE kind = 'organization_membership' AND id = $1)
		+ (SELECT count(*) FROM clerk_verify v JOIN clerk_roles_live r ON r.clerk_role_id = v.id WHERE v.kind = 'role' AND r.role_key IN ($2, $3))`
	with, without := spellings(roleKey)
	n, err := db.number(ctx, text, membershipID, with, without)
	return n > 0, err
}

// Doubted is what came into the verify queue, for those who keep copies.
type Doubted struct {
	Objects []Touched
	Writes  int64 // the number of the last transaction: less than was asked after is another history
	UpTo    int64 // where the next question goes on; if as many objects came as were allowed, some may be left out

	Settings int64 // the revision of the settings that are in force
}

// DoubtedAfter lists what facts hang on that was queued in transactions after one: users, memberships, roles and
// permissions. Numbers are given under the head lock, so that none comes late.
func (db *DB) DoubtedAfter(ctx context.Context, after int64, limit int) (d Doubted, err error) {
	const text = `SELECT h.writes, h.settings, COALESCE(v.queued_write, 0), COALESCE(v.kind, ''), COALESCE(v.id, ''),
		COALESCE(m.clerk_user_id, ''), COALESCE(m.clerk_organization_id, '')
		FROM clerk_head h LEFT JOIN clerk_verify v ON v.queued_write > $1 AND v.kind IN ('user', 'organization_membership', 'role', 'permission')
		LEFT JOIN clerk_memberships m ON v.kind = 'organization_membership' AND m.clerk_membership_id = v.id
		WHERE h.one = 1 ORDER BY v.queued_write LIMIT $2`
	d.UpTo = after
	rows, err := db.query(ctx, text, after, limit)
	_, err = scanAll(rows, err, func(r *sql.Rows) (struct{}, error) {
		var t Touched
		var write int64
		err := r.Scan(&d.Writes, &d.Settings, &write, &t.Key.Kind, &t.Key.ID, &t.UserID, &t.OrganizationID)
		if t.Key.Kind != "" {
			d.Objects = append(d.Objects, t.own())
			d.UpTo = max(d.UpTo, write)
		}
		return struct{}{}, err
	})
	return d, err
}

// Clock is the database's clock where all who share it have that one, else ours.
func (db *DB) Clock(ctx context.Context, ours clerk.Time) (clerk.Time, error) {
	if db.engine == SQLite {
		return ours, nil
	}
	n, err := db.number(ctx, selectClock)
	return clerk.Time(n), err
}
