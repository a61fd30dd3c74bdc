package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"strings"

	"github.com/clerksync/clerksync/internal/row"
)

// selectChangeRefs joins the parents of the changed rows. Kinds without parents are not joined.
const selectChangeRefs = `SELECT c.seq, c.kind, c.id, c.tag,
	COALESCE(s.clerk_user_id, m.clerk_user_id, b.clerk_user_id, i.clerk_user_id, ''),
	COALESCE(m.clerk_organization_id, b.clerk_organization_id, i.clerk_organization_id, '')
	FROM clerk_changes c
	LEFT JOIN clerk_sessions s ON c.kind = 'session' AND s.clerk_session_id = c.id
	LEFT JOIN clerk_memberships m ON c.kind = 'organization_membership' AND m.clerk_membership_id = c.id
	LEFT JOIN clerk_subscriptions b ON c.kind = 'subscription' AND b.clerk_subscription_id = c.id
	LEFT JOIN clerk_subscription_items i ON c.kind = 'subscription_item' AND i.clerk_subscription_item_id = c.id
	WHERE c.seq >= $1 ORDER BY c.seq LIMIT $2`

// ChangeRefsFrom lists changes from a sequence number on, including that one, so that a reader
// recognizes by its tag the change that it read last.
func (db *DB) ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]row.ChangeRef, error) {
	rows, err := db.query(ctx, selectChangeRefs, seq, limit)
	return scanAll(rows, err, func(r *sql.Rows) (t row.ChangeRef, err error) {
		err = r.Scan(&t.Seq, &t.Key.Kind, &t.Key.ID, &t.Tag, &t.UserID, &t.OrganizationID)
		return t.WithOwnID(), err
	})
}

// ChangesAfter lists the changes after a sequence number, in order.
func (db *DB) ChangesAfter(ctx context.Context, seq int64, limit int) ([]row.Change, error) {
	rows, err := db.query(ctx, "SELECT seq, kind, id, operation, fields, tag FROM clerk_changes WHERE seq > $1 ORDER BY seq LIMIT $2", seq, pageSize(limit))
	return scanAll(rows, err, func(r *sql.Rows) (c row.Change, err error) {
		var fields string
		err = r.Scan(&c.Seq, &c.Key.Kind, &c.Key.ID, &c.Operation, &fields, &c.Tag)
		c.Fields = splitFields(fields)
		return c, err
	})
}

var changeInsert = newBulk("INSERT INTO clerk_changes (seq, kind, id, operation, version, fields, tag)",
	[]columnType{intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn}, "")

// AppendChanges adds changes to the feed, and sets Seq and Tag.
func (tx *Tx) AppendChanges(ctx context.Context, changes []row.Change) error {
	tags := make([]byte, 4*len(changes))
	_, _ = rand.Read(tags)
	return tx.save(ctx, changeInsert, len(changes), func(i int) []any {
		c := &changes[i]
		tx.Head.Seq++
		c.Seq, c.Tag = tx.Head.Seq, hex.EncodeToString(tags[4*i:4*i+4])
		return []any{c.Seq, string(c.Key.Kind), c.Key.ID, c.Operation, c.Version.Text(), strings.Join(c.Fields, ","), c.Tag}
	})
}
