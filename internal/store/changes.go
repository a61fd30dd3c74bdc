package store

import (
	"context"
	"database/sql"
)

// parentsOf is a join that finds whose a changed row is. Kinds without parents are left out.
const selectChangeRefs = `SELECT c.seq, c.kind, c.id, c.tag,
	COALESCE(s.clerk_user_id, m.clerk_user_id, b.clerk_user_id, i.clerk_user_id, ''),
	COALESCE(m.clerk_organization_id, b.clerk_organization_id, i.clerk_organization_id, '')
	FROM clerk_changes c
	LEFT JOIN clerk_sessions s ON c.kind = 'session' AND s.clerk_session_id = c.id
	LEFT JOIN clerk_memberships m ON c.kind = 'organization_membership' AND m.clerk_membership_id = c.id
	LEFT JOIN clerk_subscriptions b ON c.kind = 'subscription' AND b.clerk_subscription_id = c.id
	LEFT JOIN clerk_subscription_items i ON c.kind = 'subscription_item' AND i.clerk_subscription_item_id = c.id
	WHERE c.seq >= $1 ORDER BY c.seq LIMIT $2`

// ChangeRefsFrom lists changes from a sequence number on, that one included, so that a reader sees by its tag
// whether it is still the change it knew.
func (db *DB) ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]ChangeRef, error) {
	rows, err := db.query(ctx, selectChangeRefs, seq, limit)
	return scanAll(rows, err, func(r *sql.Rows) (t ChangeRef, err error) {
		err = r.Scan(&t.Seq, &t.Key.Kind, &t.Key.ID, &t.Tag, &t.UserID, &t.OrganizationID)
		return t.WithOwnID(), err
	})
}
