package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// Tally is what is known of the rows of one kind. Rows whose user or organization is gone count as gone.
type Tally struct {
	Rows             int64      // neither deleted nor hidden by a parent
	Stubs            int64      // of these: seen so far only inside other objects
	Gone             int64      // deleted, or hidden by a deleted parent
	Unverified       int64      // of Rows: never compared with Clerk
	Overlooked       int64      // of Unverified: written before the last complete walk began
	OldestVerifiedAt clerk.Time // of Rows: the longest ago that one was compared; 0: none ever was
}

const tallied = `SELECT count(*), COALESCE(sum(CASE WHEN sync_hidden = 0 THEN 1 ELSE 0 END), 0),
	COALESCE(sum(CASE WHEN sync_hidden = 0 AND sync_rank < 3 THEN 1 ELSE 0 END), 0),
	COALESCE(sum(CASE WHEN sync_hidden = 0 AND sync_verified_at IS NULL THEN 1 ELSE 0 END), 0) FROM `

// Tally counts the rows of a kind. since is the head's write counter when the last complete walk began. It reads no
// bodies, but whole tables or an index of them.
func (db *DB) Tally(ctx context.Context, kind clerk.Kind, since int64) (c Tally, err error) {
	t := tables[kind]
	type figures struct{ all, rows, stubs, unverified int64 }
	figuresOf := func(text string) (figures, error) {
		rows, err := db.query(ctx, tallied+text)
		return exactlyOne(scanAll(rows, err, func(r *sql.Rows) (f figures, err error) {
			return f, r.Scan(&f.all, &f.rows, &f.stubs, &f.unverified)
		}))
	}
	f, err := figuresOf(t.name)
	if err != nil {
		return c, err
	}
	below, standing := t.belowGone()
	var b figures
	if below != "" {
		if b, err = figuresOf(t.name + " WHERE " + below); err != nil {
			return c, err
		}
	}
	c = Tally{Rows: f.rows - b.rows, Stubs: f.stubs - b.stubs, Unverified: f.unverified - b.unverified, Gone: f.all - f.rows + b.rows}
	return c, db.compared(ctx, t, standing, since, &c)
}

// compared fills in what a tally knows of comparisons.
func (db *DB) compared(ctx context.Context, t *table, standing string, since int64, c *Tally) error {
	const from = " FROM %s t WHERE t.sync_hidden = 0 AND t.sync_verified_at IS %s%s"
	one := func(text string, args ...any) (clerk.Time, error) {
		rows, err := db.query(ctx, text, args...)
		list, err := scanAll(rows, err, scanOne[clerk.Time])
		if err != nil || len(list) == 0 {
			return 0, err
		}
		return list[0], nil
	}
	oldest, err := one("SELECT t.sync_verified_at" + fmt.Sprintf(from, t.name, "NOT NULL", standing) + " ORDER BY t.sync_verified_at LIMIT 1")
	if err != nil {
		return err
	}
	overlooked := clerk.Time(0)
	if c.Unverified > 0 {
		overlooked, err = one("SELECT count(*)"+fmt.Sprintf(from, t.name, "NULL", standing)+" AND t.sync_write <= $1", since)
	}
	c.OldestVerifiedAt, c.Overlooked = oldest, int64(overlooked)
	return err
}

// belowGone are conditions of rows whose parent is gone, and of those whose parents are not; "" for kinds without.
func (t *table) belowGone() (below, standing string) {
	var conditions []string
	for _, p := range t.hiddenBy() {
		conditions = append(conditions, fmt.Sprintf("%[1]s IN (SELECT %[1]s FROM %[2]s WHERE sync_hidden = 1)", p.key(), p.name))
		standing += fmt.Sprintf(" AND NOT EXISTS (SELECT 1 FROM %[2]s p WHERE p.%[1]s = t.%[1]s AND p.sync_hidden = 1)", p.key(), p.name)
	}
	return strings.Join(conditions, " OR "), standing
}

// Queue is what waits in the verify queue of one kind.
type Queue struct {
	Objects  int64
	OldestAt clerk.Time // when the one that waits longest was queued, by our clock
}

// Queues counts what waits in the verify queue, by kind, but for what is [DB.Unreadable].
func (db *DB) Queues(ctx context.Context) (map[clerk.Kind]Queue, error) {
	rows, err := db.query(ctx, "SELECT v.kind, count(DISTINCT v.id), min(v.queued_at) FROM clerk_verify v WHERE "+waits+" GROUP BY v.kind")
	return scanMap(rows, err, func(r *sql.Rows) (kind clerk.Kind, q Queue, err error) {
		return kind, q, r.Scan(&kind, &q.Objects, &q.OldestAt)
	})
}

// Suspected counts the objects that one answer of Clerk told to be gone or older than here, and no second one yet, by kind.
func (db *DB) Suspected(ctx context.Context) (map[clerk.Kind]int64, error) {
	rows, err := db.query(ctx, "SELECT kind, count(*) FROM clerk_suspects WHERE reason IN ('gone', 'unlisted', 'older') GROUP BY kind")
	return scanMap(rows, err, func(r *sql.Rows) (kind clerk.Kind, n int64, err error) { return kind, n, r.Scan(&kind, &n) })
}

// LastDelivery is the last delivery of one event type.
type LastDelivery struct {
	ReceivedAt clerk.Time // by our clock
	SignedAt   clerk.Time // by Svix's; 0: not known
}

// LastDeliveries are the last deliveries, by event type. It reads one row a type.
func (db *DB) LastDeliveries(ctx context.Context) (map[string]LastDelivery, error) {
	const text = `WITH RECURSIVE types(type) AS (
		SELECT min(type) FROM clerk_inbox
		UNION ALL SELECT (SELECT min(i.type) FROM clerk_inbox i WHERE i.type > types.type) FROM types WHERE types.type IS NOT NULL)
		SELECT t.type, (SELECT max(i.received_at) FROM clerk_inbox i WHERE i.type = t.type),
		COALESCE((SELECT i.signed_at FROM clerk_inbox i WHERE i.type = t.type ORDER BY i.received_at DESC LIMIT 1), 0)
		FROM types t WHERE t.type IS NOT NULL`
	rows, err := db.query(ctx, text)
	return scanMap(rows, err, func(r *sql.Rows) (eventType string, d LastDelivery, err error) {
		return eventType, d, r.Scan(&eventType, &d.ReceivedAt, &d.SignedAt)
	})
}

// DriftCount counts lines of the drift report.
type DriftCount struct {
	Found, Repaired           int64
	FoundSince, RepairedSince int64
}

// DriftCounts counts the drift report by kind, in all and since a time.
func (db *DB) DriftCounts(ctx context.Context, since clerk.Time) (map[clerk.Kind]DriftCount, error) {
	const text = `SELECT kind, count(*), COALESCE(sum(repaired), 0),
		COALESCE(sum(CASE WHEN found_at >= $1 THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN found_at >= $1 THEN repaired ELSE 0 END), 0)
		FROM clerk_drift GROUP BY kind`
	rows, err := db.query(ctx, text, int64(since))
	return scanMap(rows, err, func(r *sql.Rows) (kind clerk.Kind, c DriftCount, err error) {
		return kind, c, r.Scan(&kind, &c.Found, &c.Repaired, &c.FoundSince, &c.RepairedSince)
	})
}

// Unannounced is when a row of a kind was last found to differ of which no event had ever come, 0 for never.
func (db *DB) Unannounced(ctx context.Context, kind clerk.Kind) (clerk.Time, error) {
	const text = "SELECT COALESCE(max(found_at), 0) FROM clerk_drift WHERE cause = 'not_subscribed' AND kind = $1"
	n, err := db.number(ctx, text, string(kind))
	return clerk.Time(n), err
}

// LastForeign returns when an event of another Clerk instance was last quarantined, 0 for never.
func (db *DB) LastForeign(ctx context.Context) (clerk.Time, error) {
	const text = "SELECT COALESCE(max(received_at), 0) FROM clerk_inbox WHERE state = 'quarantined' AND reason = 'foreign_instance' AND state <> 'applied'"
	n, err := db.number(ctx, text)
	return clerk.Time(n), err
}

// LastDead is when an event last became a dead letter, 0 for never.
func (db *DB) LastDead(ctx context.Context) (clerk.Time, error) {
	n, err := db.number(ctx, "SELECT COALESCE(max(received_at), 0) FROM clerk_inbox WHERE state = 'dead' AND state <> 'applied'")
	return clerk.Time(n), err
}
