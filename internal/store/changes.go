package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// ChangeRefsFrom lists changes from a sequence number on, including that one, so that a reader
// recognizes by its tag the change that it read last.
func (db *DB) ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]row.ChangeRef, error) {
	const text = `SELECT seq, kind, id, tag, COALESCE(clerk_user_id, ''), COALESCE(clerk_organization_id, '')
		FROM clerk_changes WHERE seq >= $1 ORDER BY seq LIMIT $2`
	rows, err := db.query(ctx, text, seq, limit)
	return scanAll(rows, err, func(r *sql.Rows) (t row.ChangeRef, err error) {
		return t, r.Scan(&t.Seq, &t.Key.Kind, &t.Key.ID, &t.Tag, &t.UserID, &t.OrganizationID)
	})
}

const changeColumns = `seq, at, kind, id, COALESCE(clerk_user_id, ''), COALESCE(clerk_organization_id, ''), operation, version, fields, tag`

// ChangesFrom lists changes from a sequence number on, including that one, in order.
func (db *DB) ChangesFrom(ctx context.Context, seq int64, limit int) ([]row.Change, error) {
	rows, err := db.query(ctx, "SELECT "+changeColumns+" FROM clerk_changes WHERE seq >= $1 ORDER BY seq LIMIT $2", seq, pageSize(limit))
	return scanAll(rows, err, func(r *sql.Rows) (row.Change, error) { return scanChange(r) })
}

func scanChange(r *sql.Rows, more ...any) (c row.Change, err error) {
	var fields string
	err = r.Scan(append([]any{
		&c.Seq, &c.At, &c.Key.Kind, &c.Key.ID, &c.UserID, &c.OrganizationID, &c.Operation, &c.Version, &fields, &c.Tag,
	}, more...)...)
	c.Fields = splitFields(fields)
	return c, err
}

var changeInsert = newBulk("INSERT INTO clerk_changes (seq, at, kind, id, clerk_user_id, clerk_organization_id, operation, version, fields, tag)",
	[]columnType{
		intColumn, intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn,
	}, "")

// AppendChanges adds changes to the feed, and sets Seq, At and Tag. The function of the application
// gets them before the commit.
func (tx *Tx) AppendChanges(ctx context.Context, changes []row.Change) error {
	if tx.Head.Writes == 0 { // see updateWithoutHead
		return errors.New("changes need the lock of the head row")
	}
	tags := make([]byte, 4*len(changes))
	_, _ = rand.Read(tags)
	now := clerk.TimeOf(tx.db.now())
	err := tx.save(ctx, changeInsert, len(changes), func(i int) []any {
		c := &changes[i]
		tx.Head.Seq++
		c.Seq, c.At, c.Tag = tx.Head.Seq, now, hex.EncodeToString(tags[4*i:4*i+4])
		return []any{
			c.Seq, int64(c.At), string(c.Key.Kind), c.Key.ID, textOrNull(c.UserID), textOrNull(c.OrganizationID),
			c.Operation, c.Version, strings.Join(c.Fields, ","), c.Tag,
		}
	})
	if err == nil {
		tx.noteChanges(changes)
	}
	return err
}
