package store

import (
	"context"
	"database/sql"

	"github.com/clerksync/clerksync/clerk"
)

// Queued is an object in the verify queue, and the number of the transaction that queued it last. A read of the object
// settles it if the head's write counter was at least that number before the read began.
type Queued struct {
	Key   Key
	Write int64
}

// UserQueued returns the number of the transaction that last queued a user to be read again, 0 for a user who is not in
// the verify queue.
func (db *DB) UserQueued(ctx context.Context, clerkUserID string) (write int64, err error) {
	return db.number(ctx, "SELECT COALESCE(max(queued_write), 0) FROM clerk_verify WHERE kind = 'user' AND id = $1", clerkUserID)
}

// MembershipQueued lists what is in the verify queue of that on which a user's rights in an organization hang: the membership,
// the role that it names, and the permissions of that role. A role whose key is not known may be the one. A permission that
// was seen only inside the role is no doubt of the role's.
func (db *DB) MembershipQueued(ctx context.Context, clerkUserID, clerkOrganizationID string) ([]Queued, error) {
	// a role's key is written with and without the prefix org:
	const roles = `SELECT m.role FROM clerk_memberships_live m WHERE m.clerk_user_id = $1 AND m.clerk_organization_id = $2
		UNION ALL SELECT CASE WHEN m.role LIKE 'org:%' THEN substr(m.role, 5) ELSE 'org:' || m.role END
		FROM clerk_memberships_live m WHERE m.clerk_user_id = $1 AND m.clerk_organization_id = $2`
	const text = `SELECT kind, id, max(queued_write) FROM (
		SELECT v.kind, v.id, v.queued_write FROM clerk_memberships_live m
			JOIN clerk_verify v ON v.kind = 'organization_membership' AND v.id = m.clerk_membership_id
			WHERE m.clerk_user_id = $1 AND m.clerk_organization_id = $2
		UNION ALL SELECT v.kind, v.id, v.queued_write FROM clerk_verify v JOIN clerk_roles r ON r.clerk_role_id = v.id
			WHERE v.kind = 'role' AND r.sync_hidden = 0 AND (r.role_key IS NULL OR r.role_key IN (` + roles + `))
		UNION ALL SELECT v.kind, v.id, v.queued_write FROM clerk_verify v JOIN clerk_roles r ON r.permissions LIKE '%"' || v.id || '"%'
			WHERE v.kind = 'permission' AND v.reason <> 'stub' AND r.sync_hidden = 0 AND r.role_key IN (` + roles + `)
		) q GROUP BY kind, id ORDER BY kind, id`
	rows, err := db.query(ctx, text, clerkUserID, clerkOrganizationID)
	return scanAll(rows, err, func(r *sql.Rows) (q Queued, err error) { return q, r.Scan(&q.Key.Kind, &q.Key.ID, &q.Write) })
}

// QueuedRefs is what came into the verify queue, for those who keep copies.
type QueuedRefs struct {
	Objects []ChangeRef
	Writes  int64 // the number of the last transaction: less than was asked after is another history
	UpTo    int64 // where the next question goes on; if as many objects came as were allowed, some may be left out

	Settings int64 // the revision of the settings that are in force
}

// QueuedAfter lists what facts hang on that was queued in transactions after one: users, memberships, roles, permissions
// and subscriptions. Numbers are given under the head lock, so that none comes late.
func (db *DB) QueuedAfter(ctx context.Context, after int64, limit int) (d QueuedRefs, err error) {
	const text = `SELECT h.writes, h.settings, COALESCE(v.queued_write, 0), COALESCE(v.kind, ''), COALESCE(v.id, ''),
		COALESCE(m.clerk_user_id, s.clerk_user_id, i.clerk_user_id, ''),
		COALESCE(m.clerk_organization_id, s.clerk_organization_id, i.clerk_organization_id, '')
		FROM clerk_head h LEFT JOIN clerk_verify v ON v.queued_write > $1
			AND v.kind IN ('user', 'organization_membership', 'role', 'permission', 'subscription', 'subscription_item')
		LEFT JOIN clerk_memberships m ON v.kind = 'organization_membership' AND m.clerk_membership_id = v.id
		LEFT JOIN clerk_subscriptions s ON v.kind = 'subscription' AND s.clerk_subscription_id = v.id
		LEFT JOIN clerk_subscription_items i ON v.kind = 'subscription_item' AND i.clerk_subscription_item_id = v.id
		WHERE h.one = 1 ORDER BY v.queued_write LIMIT $2`
	d.UpTo = after
	rows, err := db.query(ctx, text, after, limit)
	_, err = scanAll(rows, err, func(r *sql.Rows) (struct{}, error) {
		var t ChangeRef
		var write int64
		err := r.Scan(&d.Writes, &d.Settings, &write, &t.Key.Kind, &t.Key.ID, &t.UserID, &t.OrganizationID)
		if t.Key.Kind != "" {
			d.Objects = append(d.Objects, t.WithOwnID())
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
