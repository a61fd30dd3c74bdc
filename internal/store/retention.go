package store

import (
	"context"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
)

// purgePage bounds the rows of one transaction of a purge, so that events wait for it no longer
// than for a commit.
const purgePage = 500

// PurgeBodies removes the bodies of deliveries received between two times that were applied,
// ignored or dismissed. Dead letters and quarantined deliveries keep their bodies until they are
// removed.
func (db *DB) PurgeBodies(ctx context.Context, from, before clerk.Time) (int64, error) {
	return db.purgeInbox(ctx, from, "received_at < $3 AND body IS NOT NULL AND state IN ('applied', 'ignored', 'dismissed')",
		"UPDATE clerk_inbox SET problem = NULL, body = NULL WHERE state IN ('applied', 'ignored', 'dismissed') AND ", int64(before))
}

// PurgeDeliveries removes deliveries received before a time, and dead and quarantined ones received
// before exceptions. A message that Svix sends again afterwards is applied again, which is
// harmless.
func (db *DB) PurgeDeliveries(ctx context.Context, before, exceptions clerk.Time) (int64, error) {
	const due = "received_at < $3 AND (state NOT IN ('dead', 'quarantined') OR received_at < $4)"
	return db.purgeInbox(ctx, 0, due, "DELETE FROM clerk_inbox WHERE ", int64(before), int64(exceptions))
}

// purgeInbox runs an action on the deliveries that are due, in pages, in the order in which they
// were received.
func (db *DB) purgeInbox(ctx context.Context, from clerk.Time, due, action string, args ...any) (total int64, err error) {
	type place struct {
		at clerk.Time
		id string
	}
	for last := (place{from, ""}); ; {
		rows, err := db.query(ctx, "SELECT received_at, message_id FROM clerk_inbox WHERE (received_at, message_id) > ($1, $2) AND "+due+
			fmt.Sprintf(" ORDER BY received_at, message_id LIMIT %d", purgePage), append([]any{int64(last.at), last.id}, args...)...)
		page, err := scanAll(rows, err, func(r Row) (p place, err error) { return p, r.Scan(&p.at, &p.id) })
		if err != nil || len(page) == 0 {
			return total, err
		}
		last = page[len(page)-1]
		ids := make([]string, len(page))
		for i, p := range page {
			ids[i] = p.id
		}
		err = db.Update(ctx, func(tx *Tx) error {
			condition, arg := db.engine.oneOf("message_id", ids)
			return tx.exec(ctx, action+condition, arg)
		})
		if err == nil {
			total, err = total+int64(len(page)), ctx.Err()
		}
		if err != nil {
			return total, err
		}
	}
}

// PurgeChanges records how far the feed has come, and removes changes that were appended before a
// time, as far as earlier calls recorded that. The last change always stays, because readers know
// their place by it.
func (db *DB) PurgeChanges(ctx context.Context, now, before clerk.Time) (int64, error) {
	var through int64
	err := db.Update(ctx, func(tx *Tx) error {
		err := tx.exec(ctx, "INSERT INTO clerk_feed_marks (at, seq) VALUES ($1, $2) ON CONFLICT (at) DO UPDATE SET seq = excluded.seq", int64(now), tx.Head.Seq)
		if err != nil {
			return err
		}
		rows, err := tx.query(ctx, "SELECT COALESCE(max(seq), 0) FROM clerk_feed_marks WHERE at <= $1", int64(before))
		through, err = exactlyOne(scanAll(rows, err, scanOne[int64]))
		if err != nil {
			return err
		}
		through = min(through, tx.Head.Seq-1)
		return tx.exec(ctx, "DELETE FROM clerk_feed_marks WHERE at < $1", int64(before))
	})
	if err != nil || through <= 0 {
		return 0, err
	}
	return db.inPages(ctx, "DELETE FROM clerk_changes WHERE seq IN (SELECT seq FROM clerk_changes WHERE seq <= $1 ORDER BY seq LIMIT $2)", through, purgePage)
}

// inPages runs a statement in one transaction a page, until it changes no more rows. The last
// argument of the statement is the size of a page.
func (db *DB) inPages(ctx context.Context, text string, args ...any) (total int64, err error) {
	for {
		var n int64
		err := db.Update(ctx, func(tx *Tx) (err error) {
			n, err = tx.execOnce(text, args...)
			return err
		})
		if total += n; err != nil || n < purgePage {
			return total, err
		}
		if ctx.Err() != nil {
			return total, ctx.Err()
		}
	}
}
