package store

import (
	"cmp"
	"context"
	"math"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Counts returns the figures of a mirror. It reads whole tables.
func (db *DB) Counts(ctx context.Context) (c mirror.Counts, err error) {
	c.Live = map[clerk.Kind]int64{}
	for kind := range tables {
		counts, err := db.KindCounts(ctx, kind, Start{})
		if err != nil {
			return c, err
		}
		c.Live[kind] = counts.Rows
	}
	if c.Deliveries, err = db.CountNotApplied(ctx); err != nil {
		return c, err
	}
	if c.RolesRejected, err = db.RolesRejected(ctx, math.MaxInt64); err != nil {
		return c, err
	}
	c.VerifyQueue, err = db.number(ctx, "SELECT count(*) FROM clerk_verify")
	return c, err
}

// CountNotApplied counts the deliveries in any state except applied, by state.
func (db *DB) CountNotApplied(ctx context.Context) (map[mirror.DeliveryState]int64, error) {
	rows, err := db.query(ctx, "SELECT state, count(*) FROM clerk_inbox WHERE state <> 'applied' GROUP BY state")
	return scanMap(rows, err, func(r Row) (s mirror.DeliveryState, n int64, err error) { return s, n, r.Scan(&s, &n) })
}

// CountProblems counts the dead and the quarantined deliveries, each up to a limit.
func (db *DB) CountProblems(ctx context.Context, limit int64) (dead, quarantined int64, err error) {
	const text = "SELECT count(*) FROM (SELECT 1 FROM clerk_inbox WHERE state = $1 AND state <> 'applied' LIMIT $2) AS counted"
	dead, err1 := db.number(ctx, text, string(mirror.DeliveryDead), limit)
	quarantined, err2 := db.number(ctx, text, string(mirror.DeliveryQuarantined), limit)
	return dead, quarantined, cmp.Or(err1, err2)
}

// CountStored counts all deliveries. It reads a whole index.
func (db *DB) CountStored(ctx context.Context) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM clerk_inbox")
}

// RolesRejected counts the live users whose metadata names a role that is not on the ladder, up to
// a limit.
func (db *DB) RolesRejected(ctx context.Context, limit int64) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM (SELECT 1 FROM clerk_users WHERE role_rejected IS NOT NULL AND sync_hidden = 0 LIMIT $1) AS counted", limit)
}

// Instances lists the instances whose events were received, the first one first.
func (db *DB) Instances(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, "SELECT instance_id FROM clerk_instances ORDER BY first_seen_at, instance_id")
	return scanAll(rows, err, scanOne[string])
}
