package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

var driftInsert = newBulk("INSERT INTO clerk_drift (kind, id, found_at, fields, cause, since, repaired)",
	[]columnType{textColumn, textColumn, intColumn, textColumn, textColumn, intColumn, intColumn},
	" ON CONFLICT (kind, id, found_at) DO NOTHING")

// AppendDrift adds to the report.
func (tx *Tx) AppendDrift(ctx context.Context, list []mirror.Drift) error {
	return tx.save(ctx, driftInsert, len(list), func(i int) []any {
		d := list[i]
		found, since := int64(clerk.TimeOf(d.FoundAt)), int64(clerk.TimeOf(d.Since))
		return []any{string(d.Kind), d.ID, found, strings.Join(d.Fields, ","), string(d.Cause), since, flag(d.Repaired)}
	})
}

const (
	driftColumns = "kind, id, found_at, fields, cause, since, repaired"
	selectDrift  = "SELECT " + driftColumns + " FROM clerk_drift"
)

func scanDrift(r Row) (d mirror.Drift, err error) {
	var fields string
	err = r.Scan(&d.Kind, &d.ID, (*instant)(&d.FoundAt), &fields, &d.Cause, (*instant)(&d.Since), &d.Repaired)
	d.Fields = splitFields(fields)
	return d, err
}

// Drift returns a page of what was found, the latest first.
func (db *DB) Drift(ctx context.Context, f mirror.DriftFilter) (p mirror.Page[mirror.Drift], err error) {
	if f.Kind != "" && tables[f.Kind] == nil {
		return p, fmt.Errorf("there is no kind %q", string(f.Kind))
	}
	var w where
	if err := w.afterDrift(f.After); err != nil {
		return p, err
	}
	if f.Kind != "" {
		w.add("kind = ?", string(f.Kind))
	}
	if !f.Since.IsZero() {
		w.add("found_at >= ?", int64(clerk.TimeOf(f.Since)))
	}
	rest, args := w.pageBy("found_at DESC, kind, id", f.Limit)
	rows, err := db.query(ctx, selectDrift+rest, args...)
	list, err := scanAll(rows, err, scanDrift)
	return pageOf(list, err, f.Limit, driftList, func(d *mirror.Drift) place {
		return place{clerk.TimeOf(d.FoundAt), string(d.Kind) + ":" + d.ID}
	})
}

// afterDrift adds the condition that a page begins at a cursor.
func (w *where) afterDrift(c mirror.Cursor) error {
	p, found, err := placeOf(driftList, c)
	if found {
		kind, id, _ := strings.Cut(p.id, ":")
		w.add("found_at <= ?", int64(p.at)) // by this an index is searched
		w.add("(found_at < ? OR found_at = ? AND (kind > ? OR kind = ? AND id > ?))", int64(p.at), int64(p.at), kind, kind, id)
	}
	return err
}

// PurgeDrift removes drift that was found before a time, in pages, and returns how many rows.
func (db *DB) PurgeDrift(ctx context.Context, before clerk.Time) (n int64, err error) {
	return db.inPages(ctx, `DELETE FROM clerk_drift WHERE (kind, id, found_at) IN
		(SELECT kind, id, found_at FROM clerk_drift WHERE found_at < $1 ORDER BY found_at LIMIT $2)`, int64(before), purgePage)
}
