package store

import (
	"context"
	"database/sql"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Counts returns what the database knows of a mirror's figures. It reads whole tables.
func (db *DB) Counts(ctx context.Context) (c mirror.Counts, err error) {
	c.Live = map[clerk.Kind]int64{}
	for kind, t := range tables {
		if c.Live[kind], err = db.number(ctx, "SELECT count(*) FROM "+t.name+"_live"); err != nil {
			return c, err
		}
	}
	if c.Deliveries, err = db.CountNotApplied(ctx); err != nil {
		return c, err
	}
	if c.RolesRejected, err = db.RolesRejected(ctx); err != nil {
		return c, err
	}
	c.VerifyQueue, err = db.number(ctx, "SELECT count(*) FROM clerk_verify")
	return c, err
}

// CountNotApplied counts the deliveries that were not simply applied, by state.
func (db *DB) CountNotApplied(ctx context.Context) (map[mirror.DeliveryState]int64, error) {
	rows, err := db.query(ctx, "SELECT state, count(*) FROM clerk_inbox WHERE state <> 'applied' GROUP BY state")
	return scanMap(rows, err, func(r *sql.Rows) (s mirror.DeliveryState, n int64, err error) { return s, n, r.Scan(&s, &n) })
}

// RolesRejected counts the live users whose metadata names a role that is not on the ladder.
func (db *DB) RolesRejected(ctx context.Context) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM clerk_users WHERE role_rejected IS NOT NULL AND sync_hidden = 0")
}

// Instances lists the instances whose events were seen here, the first seen first.
func (db *DB) Instances(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, "SELECT instance_id FROM clerk_instances ORDER BY first_seen_at, instance_id")
	return scanAll(rows, err, scanOne[string])
}

// VerifyQueue lists what waits in the verify queue, the oldest first.
func (db *DB) VerifyQueue(ctx context.Context, limit int) ([]VerifyItem, error) {
	rows, err := db.query(ctx, "SELECT kind, id, reason FROM clerk_verify ORDER BY queued_at, kind, id, reason LIMIT $1", pageSize(limit))
	return scanAll(rows, err, func(r *sql.Rows) (d VerifyItem, err error) { return d, r.Scan(&d.Key.Kind, &d.Key.ID, &d.Reason) })
}

// ChangesAfter lists the feed above a sequence number, in order.
func (db *DB) ChangesAfter(ctx context.Context, seq int64, limit int) ([]Change, error) {
	rows, err := db.query(ctx, "SELECT seq, kind, id, operation, fields, tag FROM clerk_changes WHERE seq > $1 ORDER BY seq LIMIT $2", seq, pageSize(limit))
	return scanAll(rows, err, func(r *sql.Rows) (c Change, err error) {
		var fields string
		err = r.Scan(&c.Seq, &c.Key.Kind, &c.Key.ID, &c.Operation, &fields, &c.Tag)
		c.Fields = splitFields(fields)
		return c, err
	})
}
