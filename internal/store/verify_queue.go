package store

import (
	"context"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Queued is an object in the verify queue, and the number of the transaction that queued it last. A
// read of the object settles it if the write counter had reached that number before the read was
// sent.
type Queued struct {
	Key   row.Key
	Write int64
}

// QueuedRefs lists what was added to the verify queue, for caches.
type QueuedRefs struct {
	Objects []row.ChangeRef
	Writes  int64 // the write counter; lower than after means that the database was restored
	UpTo    int64 // where the next call continues; with as many objects as limit allows, some may be missing

	Settings    int64 // the revision of the settings that are in force
	Revocations int64 // the version of [DB.Revocations]: another one than before means that there are others
}

// QueuedAfter lists the users, memberships, roles, permissions and subscriptions that were queued
// by transactions after one. Write counters are taken under the lock of the head row, so none
// appears late.
func (db *DB) QueuedAfter(ctx context.Context, after int64, limit int) (d QueuedRefs, err error) {
	const text = `SELECT h.writes, h.settings, (SELECT COALESCE(max(revoked_write), 0) FROM clerk_revocations), COALESCE(v.queued_write, 0),
		COALESCE(v.kind, ''), COALESCE(v.id, ''), COALESCE(m.clerk_user_id, s.clerk_user_id, i.clerk_user_id, ''),
		COALESCE(m.clerk_organization_id, s.clerk_organization_id, i.clerk_organization_id, '')
		FROM clerk_head h LEFT JOIN clerk_verify v ON v.queued_write > $1
			AND v.kind IN ('user', 'organization_membership', 'role', 'permission', 'subscription', 'subscription_item')
		LEFT JOIN clerk_memberships m ON v.kind = 'organization_membership' AND m.clerk_membership_id = v.id
		LEFT JOIN clerk_subscriptions s ON v.kind = 'subscription' AND s.clerk_subscription_id = v.id
		LEFT JOIN clerk_subscription_items i ON v.kind = 'subscription_item' AND i.clerk_subscription_item_id = v.id
		WHERE h.one = 1 ORDER BY v.queued_write LIMIT $2`
	d.UpTo = after
	rows, err := db.query(ctx, text, after, limit)
	_, err = scanAll(rows, err, func(r Row) (struct{}, error) {
		var t row.ChangeRef
		var write int64
		err := r.Scan(&d.Writes, &d.Settings, &d.Revocations, &write, &t.Key.Kind, &t.Key.ID, &t.UserID, &t.OrganizationID)
		if t.Key.Kind != "" {
			d.Objects = append(d.Objects, t.WithOwnID())
			d.UpTo = max(d.UpTo, write)
		}
		return struct{}{}, err
	})
	return d, err
}

// VerifyQueueOf lists the objects of a kind in the verify queue, the oldest first, without suspects
// that are not due. An object with an inferred deletion that was queued has been seen since, so it
// does not wait until that is due.
func (db *DB) VerifyQueueOf(ctx context.Context, kind clerk.Kind, now clerk.Time, limit int) ([]string, error) {
	const text = "SELECT v.id FROM clerk_verify v WHERE " + isDue + " AND v.kind = $2 GROUP BY v.id ORDER BY min(v.queued_at), v.id LIMIT $3"
	rows, err := db.query(ctx, text, int64(now), string(kind), limit)
	return scanAll(rows, err, scanOne[string])
}

// isDue is the condition that an object of the verify queue v may be read at the time $1.
const isDue = "NOT EXISTS (SELECT 1 FROM clerk_suspects s WHERE s.kind = v.kind AND s.id = v.id AND s.due_at > $1 AND s.reason <> 'hidden')"

// VerifyDue reports whether the verify queue holds an object that may be read now.
func (db *DB) VerifyDue(ctx context.Context, now clerk.Time) (bool, error) {
	rows, err := db.query(ctx, "SELECT 1 FROM clerk_verify v WHERE "+isDue+" LIMIT 1", int64(now))
	found, err := scanAll(rows, err, scanOne[int])
	return len(found) > 0, err
}

// suspectedAs is the condition that an object of the verify queue v is suspected for a reason.
const suspectedAs = "EXISTS (SELECT 1 FROM clerk_suspects s WHERE s.kind = v.kind AND s.id = v.id AND s.reason "

// waits is the condition that an object of the verify queue v waits for a read, and not for an
// operator or the application.
const waits = "NOT " + suspectedAs + "IN ('unreadable', 'hook'))"

// Unreadable counts the objects in the verify queue that Clerk keeps refusing to return, by kind.
// They grant nothing, and [DB.Queues] does not count them.
func (db *DB) Unreadable(ctx context.Context) (map[clerk.Kind]int64, error) {
	rows, err := db.query(ctx, "SELECT v.kind, count(DISTINCT v.id) FROM clerk_verify v WHERE "+suspectedAs+"= 'unreadable') GROUP BY v.kind")
	return scanMap(rows, err, func(r Row) (kind clerk.Kind, n int64, err error) { return kind, n, r.Scan(&kind, &n) })
}

// VerifyQueue lists the verify queue, the oldest entry first.
func (db *DB) VerifyQueue(ctx context.Context, limit int) ([]row.VerifyItem, error) {
	rows, err := db.query(ctx, "SELECT kind, id, reason FROM clerk_verify ORDER BY queued_at, kind, id, reason LIMIT $1", pageSize(limit))
	return scanAll(rows, err, func(r Row) (d row.VerifyItem, err error) { return d, r.Scan(&d.Key.Kind, &d.Key.ID, &d.Reason) })
}

// Queue counts the objects of one kind in the verify queue.
type Queue struct {
	Objects  int64
	OldestAt clerk.Time // when the oldest of them was queued, by our clock
}

// Queues counts the objects in the verify queue by kind, without those of [DB.Unreadable] and those
// that the application's OnChange refused.
func (db *DB) Queues(ctx context.Context) (map[clerk.Kind]Queue, error) {
	rows, err := db.query(ctx, "SELECT v.kind, count(DISTINCT v.id), min(v.queued_at) FROM clerk_verify v WHERE "+waits+" GROUP BY v.kind")
	return scanMap(rows, err, func(r Row) (kind clerk.Kind, q Queue, err error) {
		return kind, q, r.Scan(&kind, &q.Objects, &q.OldestAt)
	})
}

var verifyUpsert = newBulk("INSERT INTO clerk_verify (kind, id, reason, queued_write, queued_at)",
	[]columnType{textColumn, textColumn, textColumn, intColumn, intColumn},
	" ON CONFLICT (kind, id, reason) DO UPDATE SET queued_write = excluded.queued_write")

// QueueVerify adds items to the verify queue. An item that is in the queue gets the write counter
// of this transaction.
func (tx *Tx) QueueVerify(ctx context.Context, items []row.VerifyItem) error {
	slices.SortFunc(items, func(a, b row.VerifyItem) int {
		return strings.Compare(string(a.Key.Kind)+a.Key.ID+a.Reason, string(b.Key.Kind)+b.Key.ID+b.Reason)
	})
	items = slices.Compact(items) // one statement must not write a row twice
	now := tx.db.now().UnixMilli()
	return tx.save(ctx, verifyUpsert, len(items), func(i int) []any {
		d := items[i]
		return []any{string(d.Key.Kind), d.Key.ID, d.Reason, tx.Head.Writes, now}
	})
}

// SettleVerify removes items that events have settled from the verify queue.
func (tx *Tx) SettleVerify(ctx context.Context, settled []row.VerifyItem) error {
	for _, d := range settled {
		const text = "DELETE FROM clerk_verify WHERE kind = $1 AND id = $2 AND reason = $3"
		if err := tx.exec(ctx, text, string(d.Key.Kind), d.Key.ID, d.Reason); err != nil {
			return err
		}
	}
	return nil
}

// ClearVerify removes one object from the verify queue, except for items that were queued after a
// read of it was sent: since is the head's write counter from before that.
func (tx *Tx) ClearVerify(ctx context.Context, key row.Key, since int64) error {
	const text = "DELETE FROM clerk_verify WHERE kind = $1 AND id = $2 AND queued_write <= $3"
	return tx.exec(ctx, text, string(key.Kind), key.ID, since)
}
