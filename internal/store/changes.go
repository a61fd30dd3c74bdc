package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// ChangeRefsFrom lists changes from a sequence number on, including that one, so that a reader
// recognizes by its tag the change that it read last.
func (db *DB) ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]row.ChangeRef, error) {
	const text = `SELECT seq, kind, id, tag, COALESCE(clerk_user_id, ''), COALESCE(clerk_organization_id, '')
		FROM clerk_changes WHERE seq >= $1 ORDER BY seq LIMIT $2`
	rows, err := db.query(ctx, text, seq, limit)
	return scanAll(rows, err, func(r Row) (t row.ChangeRef, err error) {
		return t, r.Scan(&t.Seq, &t.Key.Kind, &t.Key.ID, &t.Tag, &t.UserID, &t.OrganizationID)
	})
}

const changeColumns = `seq, at, kind, id, COALESCE(clerk_user_id, ''), COALESCE(clerk_organization_id, ''), operation, version, fields, tag, origin`

// ChangesFrom lists changes from a sequence number on, including that one, in order.
func (db *DB) ChangesFrom(ctx context.Context, seq int64, limit int) ([]row.Change, error) {
	rows, err := db.query(ctx, "SELECT "+changeColumns+" FROM clerk_changes WHERE seq >= $1 ORDER BY seq LIMIT $2", seq, pageSize(limit))
	return scanAll(rows, err, func(r Row) (row.Change, error) { return scanChange(r) })
}

func scanChange(r Row, more ...any) (c row.Change, err error) {
	var fields string
	err = r.Scan(append([]any{
		&c.Seq, &c.At, &c.Key.Kind, &c.Key.ID, &c.UserID, &c.OrganizationID, &c.Operation, &c.Version, &fields, &c.Tag, &c.Origin,
	}, more...)...)
	c.Fields = splitFields(fields)
	return c, err
}

// windowOfBatch is how many changes are looked at for those of a delivery. A transaction applies
// 256 deliveries at most.
const windowOfBatch = 8192

// ChangesOf returns the changes that a delivery made, when it was applied or replayed last. The
// error is [mirror.ErrChangesRemoved] if they are older than the retention of the feed.
func (db *DB) ChangesOf(ctx context.Context, messageID string) ([]mirror.Change, error) {
	d, err := db.Delivery(ctx, messageID)
	if err != nil {
		return nil, err
	}
	const text = "SELECT " + changeColumns + " FROM clerk_changes WHERE seq > $1 AND seq <= $2 AND origin = $3 ORDER BY seq"
	rows, err := db.query(ctx, text, d.Seq, d.Seq+windowOfBatch, d.MessageID)
	changes, err := scanAll(rows, err, func(r Row) (mirror.Change, error) {
		c, err := scanChange(r)
		return FeedEntry(&c), err
	})
	if err != nil || len(changes) > 0 || d.State != mirror.DeliveryApplied {
		return append([]mirror.Change{}, changes...), err
	}
	oldest, _, err := db.FeedEnds(ctx)
	if err != nil {
		return nil, err
	}
	if first, _, err := oldest.Split(); err != nil || first > d.Seq+1 {
		return nil, errors.Join(mirror.ErrChangesRemoved, err)
	}
	return []mirror.Change{}, nil
}

var changeInsert = newBulk("INSERT INTO clerk_changes (seq, at, kind, id, clerk_user_id, clerk_organization_id, operation, version, fields, tag, origin)",
	[]columnType{
		intColumn, intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn,
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
			c.Operation, c.Version, strings.Join(c.Fields, ","), c.Tag, c.Origin,
		}
	})
	if err == nil {
		tx.noteChanges(changes)
	}
	return err
}
