package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// KindCounts counts the rows of one kind. Rows whose user or organization is deleted count as gone.
type KindCounts struct {
	Rows             int64      // neither deleted nor hidden by a parent
	Stubs            int64      // of Rows: seen only inside other objects so far
	Gone             int64      // deleted, or hidden by a deleted parent
	Unverified       int64      // of Rows: never compared with Clerk
	Unaccounted      int64      // of Rows: not proven to have been at Clerk when the last complete walk began, or later
	OldestVerifiedAt clerk.Time // of Rows: the oldest time at which one was compared; 0: none was
}

var selectKindCounts = fmt.Sprintf(`SELECT count(*), COALESCE(sum(CASE WHEN sync_hidden = 0 THEN 1 ELSE 0 END), 0),
	COALESCE(sum(CASE WHEN sync_hidden = 0 AND sync_rank < 3 THEN 1 ELSE 0 END), 0),
	COALESCE(sum(CASE WHEN sync_hidden = 0 AND sync_verified_at IS NULL THEN 1 ELSE 0 END), 0),
	COALESCE(sum(CASE WHEN sync_hidden = 0 AND %s THEN 1 ELSE 0 END), 0) FROM `, fmt.Sprintf(unproven, ""))

// unproven is the condition of rows that are not proven to have been at Clerk when a walk began, or
// later: no read that was sent after the start found them, and no later event was about them. $1 is
// the write counter at the start. $2 is the latest time by Clerk's clock at which the walk can have
// begun, or 0 if Clerk sent no time: then events prove nothing.
const unproven = "sync_read_after < $1 AND (CAST($2 AS BIGINT) = 0 OR sync_seen_at < CAST($2 AS BIGINT)%s)"

// beyond adds rows whose seen_at is later than any source time applied, which means a wrong clock
// or a forged time.
const beyond = " OR sync_seen_at > (SELECT high_water FROM clerk_head WHERE one = 1)"

// KindCounts counts the rows of a kind. whole is the start of the last complete walk. It reads
// whole tables, or an index of them, but no bodies.
func (db *DB) KindCounts(ctx context.Context, kind clerk.Kind, whole Start) (c KindCounts, err error) {
	t := tables[kind]
	type figures struct{ all, rows, stubs, unverified, unaccounted int64 }
	figuresOf := func(text string) (figures, error) {
		rows, err := db.query(ctx, selectKindCounts+text, whole.Write, int64(whole.By))
		return exactlyOne(scanAll(rows, err, func(r Row) (f figures, err error) {
			return f, r.Scan(&f.all, &f.rows, &f.stubs, &f.unverified, &f.unaccounted)
		}))
	}
	f, err := figuresOf(t.counted(db.engine))
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
	c = KindCounts{
		Rows: f.rows - b.rows, Stubs: f.stubs - b.stubs, Unverified: f.unverified - b.unverified, Gone: f.all - f.rows + b.rows,
		Unaccounted: f.unaccounted - b.unaccounted,
	}
	c.OldestVerifiedAt, err = db.oldestVerified(ctx, t, standing)
	return c, err
}

func (db *DB) oldestVerified(ctx context.Context, t *table, standing string) (clerk.Time, error) {
	const text = "SELECT t.sync_verified_at FROM %s t WHERE t.sync_hidden = 0 AND t.sync_verified_at IS NOT NULL%s ORDER BY t.sync_verified_at LIMIT 1"
	rows, err := db.query(ctx, fmt.Sprintf(text, t.name, standing))
	list, err := scanAll(rows, err, scanOne[clerk.Time])
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0], nil
}

// Unaccounted lists the rows of a kind that are visible, but that a complete walk with this start
// should have found and did not. It includes rows whose time cannot be true.
func (db *DB) Unaccounted(ctx context.Context, kind clerk.Kind, start Start) ([]RowMeta, error) {
	t := tables[kind]
	inner := fmt.Sprintf("SELECT %s FROM %s WHERE sync_hidden = 0 AND %s", db.engine.rowID(), t.counted(db.engine), fmt.Sprintf(unproven, beyond))
	_, standing := t.belowGone()
	rows, err := db.query(ctx, fmt.Sprintf("%st.%s IN (%s)%s ORDER BY t.%s", t.selectRowMeta(), db.engine.rowID(), inner, standing, t.key()),
		start.Write, int64(start.By))
	return scanAll(rows, err, scanRowMeta)
}

// counted returns the table, to read all of its rows. On SQLite large tables have an index for
// that. It lacks sync_seen_at, which each event changes. SQLite would rather read the whole table,
// but reads with the index only the rows that the other columns do not rule out.
func (t *table) counted(e Engine) string {
	if e == SQLite && indexedWords[t.name][verifiedAt] {
		return t.name + " INDEXED BY " + t.name + "_verified"
	}
	return t.name
}

// belowGone returns the conditions of rows with a hidden parent and of rows without one. Both are
// "" for kinds without parents.
func (t *table) belowGone() (below, standing string) {
	var conditions []string
	for _, p := range t.hiddenBy() {
		conditions = append(conditions, fmt.Sprintf("%[1]s IN (SELECT %[1]s FROM %[2]s WHERE sync_hidden = 1)", p.key(), p.name))
		standing += fmt.Sprintf(" AND NOT EXISTS (SELECT 1 FROM %[2]s p WHERE p.%[1]s = t.%[1]s AND p.sync_hidden = 1)", p.key(), p.name)
	}
	return strings.Join(conditions, " OR "), standing
}

// Suspected counts the objects that one answer from Clerk reported as gone or older, and that no
// second answer has confirmed, by kind. It does not count objects that were hidden in the meantime.
func (db *DB) Suspected(ctx context.Context) (map[clerk.Kind]int64, error) {
	const open = "s.reason IN ('gone', 'unlisted', 'older')"
	rows, err := db.query(ctx, "SELECT s.kind, count(*) FROM clerk_suspects s WHERE "+open+" GROUP BY s.kind")
	suspected, err := scanMap(rows, err, func(r Row) (kind clerk.Kind, n int64, err error) { return kind, n, r.Scan(&kind, &n) })
	for kind := range suspected {
		t := tables[kind]
		hidden, err := db.number(ctx, fmt.Sprintf(`SELECT count(*) FROM clerk_suspects s JOIN %s t ON t.%s = s.id
			WHERE s.kind = $1 AND %s AND (t.sync_hidden = 1 OR %s)`, t.name, t.key(), open, t.parentIs("p.sync_hidden = 1")), string(kind))
		if err != nil {
			return nil, err
		}
		if suspected[kind] -= hidden; suspected[kind] == 0 {
			delete(suspected, kind)
		}
	}
	return suspected, err
}

// Conflicts counts the objects that Clerk has although they are permanently deleted here, by kind.
func (db *DB) Conflicts(ctx context.Context) (map[clerk.Kind]int64, error) {
	rows, err := db.query(ctx, "SELECT kind, count(*) FROM clerk_suspects WHERE reason = 'conflict' GROUP BY kind")
	return scanMap(rows, err, func(r Row) (kind clerk.Kind, n int64, err error) { return kind, n, r.Scan(&kind, &n) })
}

// LastDelivery is the last delivery of one event type.
type LastDelivery struct {
	ReceivedAt clerk.Time // by our clock
	SignedAt   clerk.Time // by Svix's; 0: not known
}

// LastDeliveries returns the last delivery of each event type. It reads one row for each type.
func (db *DB) LastDeliveries(ctx context.Context) (map[string]LastDelivery, error) {
	const text = `WITH RECURSIVE types(type) AS (
		SELECT min(type) FROM clerk_inbox
		UNION ALL SELECT (SELECT min(i.type) FROM clerk_inbox i WHERE i.type > types.type) FROM types WHERE types.type IS NOT NULL)
		SELECT t.type, (SELECT max(i.received_at) FROM clerk_inbox i WHERE i.type = t.type),
		COALESCE((SELECT i.signed_at FROM clerk_inbox i WHERE i.type = t.type ORDER BY i.received_at DESC LIMIT 1), 0)
		FROM types t WHERE t.type IS NOT NULL`
	rows, err := db.query(ctx, text)
	return scanMap(rows, err, func(r Row) (eventType string, d LastDelivery, err error) {
		return eventType, d, r.Scan(&eventType, &d.ReceivedAt, &d.SignedAt)
	})
}

// DriftCount counts rows of the drift report.
type DriftCount struct {
	Found, Repaired           int64
	FoundSince, RepairedSince int64
}

// DriftCounts counts the drift report by kind, in total and since a time.
func (db *DB) DriftCounts(ctx context.Context, since clerk.Time) (map[clerk.Kind]DriftCount, error) {
	const text = `SELECT kind, count(*), COALESCE(sum(repaired), 0),
		COALESCE(sum(CASE WHEN found_at >= $1 THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN found_at >= $1 THEN repaired ELSE 0 END), 0)
		FROM clerk_drift GROUP BY kind`
	rows, err := db.query(ctx, text, int64(since))
	return scanMap(rows, err, func(r Row) (kind clerk.Kind, c DriftCount, err error) {
		return kind, c, r.Scan(&kind, &c.Found, &c.Repaired, &c.FoundSince, &c.RepairedSince)
	})
}

// LastNotSubscribed returns when a row of a kind was last found to differ without any event of its
// type having arrived, 0 for never.
func (db *DB) LastNotSubscribed(ctx context.Context, kind clerk.Kind) (clerk.Time, error) {
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

// LastDeadLetter returns when an event last became a dead letter, 0 for never.
func (db *DB) LastDeadLetter(ctx context.Context) (clerk.Time, error) {
	n, err := db.number(ctx, "SELECT COALESCE(max(received_at), 0) FROM clerk_inbox WHERE state = 'dead' AND state <> 'applied'")
	return clerk.Time(n), err
}
