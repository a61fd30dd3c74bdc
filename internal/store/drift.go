package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// Drift is a row that was found to differ from Clerk. It holds names of fields, never values.
type Drift struct {
	Kind     clerk.Kind `json:"kind"`
	ID       string     `json:"id"`
	FoundAt  clerk.Time `json:"found_at"`
	Fields   []string   `json:"fields"` // none: the whole row was missing, or too much
	Cause    string     `json:"cause"`
	Since    clerk.Time `json:"since"` // Clerk's updated_at of what was missed; 0: not known
	Repaired bool       `json:"repaired"`
}

var driftInsert = newBulk("INSERT INTO clerk_drift (kind, id, found_at, fields, cause, since, repaired)",
	[]columnType{textColumn, textColumn, intColumn, textColumn, textColumn, intColumn, intColumn},
	" ON CONFLICT (kind, id, found_at) DO NOTHING")

// AppendDrift adds to the report.
func (tx *Tx) AppendDrift(ctx context.Context, list []Drift) error {
	return tx.save(ctx, driftInsert, len(list), func(i int) []any {
		d := list[i]
		return []any{string(d.Kind), d.ID, int64(d.FoundAt), strings.Join(d.Fields, ","), d.Cause, int64(d.Since), flag(d.Repaired)}
	})
}

// DriftFilter selects drift; the zero value selects all.
type DriftFilter struct {
	Kind  clerk.Kind
	Since clerk.Time // found then or later
	Limit int        // 0 = 50, at most 500
	After Drift      // the last row of the page before
}

// Drift lists what was found, the latest first.
func (db *DB) Drift(ctx context.Context, f DriftFilter) ([]Drift, error) {
	if f.Kind != "" && tables[f.Kind] == nil {
		return nil, fmt.Errorf("there is no kind %q", string(f.Kind))
	}
	var w where
	if f.Kind != "" {
		w.add("kind = ?", string(f.Kind))
	}
	if f.Since != 0 {
		w.add("found_at >= ?", int64(f.Since))
	}
	if a := f.After; a.ID != "" {
		w.add("(found_at < ? OR found_at = ? AND (kind > ? OR kind = ? AND id > ?))",
			int64(a.FoundAt), int64(a.FoundAt), string(a.Kind), string(a.Kind), a.ID)
	}
	rest, args := w.pageBy("found_at DESC, kind, id", f.Limit)
	rows, err := db.query(ctx, "SELECT kind, id, found_at, fields, cause, since, repaired FROM clerk_drift"+rest, args...)
	return scanAll(rows, err, func(r *sql.Rows) (d Drift, err error) {
		var fields string
		err = r.Scan(&d.Kind, &d.ID, &d.FoundAt, &fields, &d.Cause, &d.Since, &d.Repaired)
		d.Fields = splitFields(fields)
		return d, err
	})
}

// PurgeDrift removes drift that was found before a time, a bounded number of rows at a time, and answers how many.
func (db *DB) PurgeDrift(ctx context.Context, before clerk.Time) (n int64, err error) {
	return db.inPages(ctx, `DELETE FROM clerk_drift WHERE (kind, id, found_at) IN
		(SELECT kind, id, found_at FROM clerk_drift WHERE found_at < $1 ORDER BY found_at LIMIT $2)`, int64(before), purgePage)
}
