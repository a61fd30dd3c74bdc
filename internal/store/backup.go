package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// metaCopied is when this copy of a database was made, in milliseconds. The process that first
// looks after the copy removes it; see [Tx.closeGap].
const metaCopied = "copied_at"

// MarkCopied notes in a copy of a database when it was made. It touches nothing else, so that it
// works with the schema of any version.
func (db *DB) MarkCopied(ctx context.Context, at time.Time) error {
	const text = "INSERT INTO clerk_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	_, err := db.write.ExecContext(ctx, text, metaCopied, strconv.FormatInt(at.UnixMilli(), 10))
	return err
}

// CopiedAt returns when this copy of a database was made; zero if it is no copy, or in use already.
func (db *DB) CopiedAt(ctx context.Context) (clerk.Time, error) {
	text, err := db.Meta(ctx, metaCopied)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return clerk.Time(n), err
}

// forgetCopied removes the note that this is a copy, and reports whether there was one.
func (tx *Tx) forgetCopied(ctx context.Context) (bool, error) {
	rows, err := tx.query(ctx, "DELETE FROM clerk_meta WHERE name = $1 RETURNING value", metaCopied)
	notes, err := scanAll(rows, err, scanOne[string])
	return len(notes) > 0, err
}

// CheckIntegrity reads the whole SQLite file, and returns a mirror.ErrDamaged with the first
// faults.
func (db *DB) CheckIntegrity(ctx context.Context) error {
	rows, err := db.read.QueryContext(ctx, "PRAGMA integrity_check(10)") // it takes long: the context can end it
	faults, err := scanAll(rows, err, scanOne[string])
	var result interface{ Code() int }
	if errors.As(err, &result) && result.Code()&0xff == 11 { // SQLITE_CORRUPT
		return fmt.Errorf("%w: %w", mirror.ErrDamaged, err)
	}
	if err != nil || len(faults) == 1 && faults[0] == "ok" {
		return err
	}
	return fmt.Errorf("%w: %s", mirror.ErrDamaged, strings.Join(faults, "; "))
}

// Describe returns what a database holds, without File and Bytes. It changes nothing, and counts by
// reading indexes.
func (db *DB) Describe(ctx context.Context) (b mirror.Backup, err error) {
	c, err := db.Inspect(ctx)
	if err != nil {
		return b, err
	}
	if errors.Is(c.Schema, ErrNoMirror) {
		return b, c.Schema
	}
	b.Schema, b.Upgradable = c.SchemaNumber, c.Schema == nil || errors.Is(c.Schema, ErrOlderSchema)
	if c.Schema != nil {
		b.SchemaProblem = c.Schema.Error()
	}
	if !b.Upgradable { // who knows what is where
		return b, nil
	}
	copied, err := db.CopiedAt(ctx)
	if err != nil {
		return b, err
	}
	if b.Instance, err = db.Meta(ctx, metaInstance); err != nil && !errors.Is(err, ErrNotFound) {
		return b, err
	}
	times, err := db.query(ctx, `SELECT COALESCE((SELECT CAST(value AS BIGINT) FROM clerk_meta WHERE name = 'alive_at'), 0),
		(SELECT last_received_at FROM clerk_head WHERE one = 1), COALESCE((SELECT at FROM clerk_changes ORDER BY seq DESC LIMIT 1), 0)`)
	at, err := exactlyOne(scanAll(times, err, func(r Row) (at [3]clerk.Time, err error) { return at, r.Scan(&at[0], &at[1], &at[2]) }))
	if err != nil {
		return b, err
	}
	b.TakenAt, b.AliveAt, b.ReceivedAt, b.ChangedAt = copied.Time(), at[0].Time(), at[1].Time(), at[2].Time()
	b.Rows, err = db.countAll(ctx)
	return b, err
}

// countAll counts visible rows by kind, and the rows of the tables that Clerk cannot bring back.
func (db *DB) countAll(ctx context.Context) (map[string]int64, error) {
	counts := map[string]string{
		"deliveries": "clerk_inbox", "changes": "clerk_changes", "audit": "clerk_audit", "consumers": "clerk_consumers", "erasures": "clerk_erasures",
	}
	for kind, t := range tables {
		counts[string(kind)] = t.name + " WHERE sync_hidden = 0"
	}
	all := map[string]int64{}
	for name, from := range counts {
		n, err := db.number(ctx, "SELECT count(*) FROM "+from)
		if err != nil {
			return nil, err
		}
		all[name] = n
	}
	return all, nil
}

// Extent is how far a database has come.
type Extent struct {
	seq        int64 // of the last change
	tag        string
	receivedAt clerk.Time
	audit      string
	erased     map[string]bool
	instance   string
}

// Extent returns how far the database has come.
func (db *DB) Extent(ctx context.Context) (e Extent, err error) {
	rows, err := db.query(ctx, `SELECT COALESCE((SELECT max(seq) FROM clerk_changes), 0),
		COALESCE((SELECT tag FROM clerk_changes ORDER BY seq DESC LIMIT 1), ''), (SELECT last_received_at FROM clerk_head WHERE one = 1),
		COALESCE((SELECT max(audit_id) FROM clerk_audit), ''), COALESCE((SELECT value FROM clerk_meta WHERE name = 'instance'), '')`)
	e, err = exactlyOne(scanAll(rows, err, func(r Row) (e Extent, err error) {
		return e, r.Scan(&e.seq, &e.tag, &e.receivedAt, &e.audit, &e.instance)
	}))
	if err != nil {
		return e, err
	}
	rows, err = db.query(ctx, "SELECT clerk_user_id FROM clerk_erasures ORDER BY at, clerk_user_id")
	e.erased, err = scanMap(rows, err, func(r Row) (id string, erased bool, err error) { return id, true, r.Scan(&id) })
	return e, err
}

// Since returns what the database holds beyond an extent.
func (db *DB) Since(ctx context.Context, before Extent) (l mirror.BackupLoss, err error) {
	own, err := db.Extent(ctx)
	if err != nil {
		return l, err
	}
	l.Instance, l.Related = own.instance, before.seq == 0 && own.seq == 0
	if before.seq > 0 {
		rows, err := db.query(ctx, "SELECT tag FROM clerk_changes WHERE seq = $1", before.seq)
		tags, err := scanAll(rows, err, scanOne[string])
		if err != nil {
			return l, err
		}
		l.Related = len(tags) == 1 && tags[0] == before.tag
	}
	if !l.Related {
		before = Extent{}
	}
	for text, into := range map[string]*int64{
		"SELECT count(*) FROM clerk_inbox WHERE received_at > $1": &l.Deliveries,
		"SELECT count(*) FROM clerk_changes WHERE seq > $1":       &l.Changes,
		"SELECT count(*) FROM clerk_audit WHERE audit_id > $1":    &l.Audit,
	} {
		var from any = before.seq
		switch into {
		case &l.Deliveries:
			from = int64(before.receivedAt)
		case &l.Audit:
			from = before.audit
		}
		if *into, err = db.number(ctx, text, from); err != nil {
			return l, err
		}
	}
	l.Erased = []string{}
	for _, id := range slices.Sorted(maps.Keys(own.erased)) {
		if !before.erased[id] {
			l.Erased = append(l.Erased, id)
		}
	}
	return l, nil
}
