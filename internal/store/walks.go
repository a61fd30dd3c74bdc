package store

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
)

// Walk is what is known of the walks of one list. Times are by the database's clock on Postgres,
// else by that of the process that walked.
type Walk struct {
	List         string     `json:"-"`
	BackfilledAt clerk.Time `json:"backfilled_at"` // when it was first read to its end
	Cursor       string     `json:"-"`             // of a backfill that has not ended
	Watermark    clerk.Time `json:"-"`             // Clerk's time up to which the last sweep knew everything
	BegunAt      clerk.Time `json:"begun_at"`
	EndedAt      clerk.Time `json:"ended_at"` // 0: it has not
	Complete     bool       `json:"complete"`
	CompleteAt   clerk.Time `json:"complete_at"` // when the last complete one began
	Reason       string     `json:"reason,omitempty"`
	Refused      bool       `json:"refused"`  // Clerk has no such list for this instance: there is nothing to read
	SweptAt      clerk.Time `json:"swept_at"` // when the last sweep that ended well began; 0 for lists without sweeps
	Start        Start      `json:"-"`        // of the walk under way, which may go on in another process, or of the last one
	Whole        Start      `json:"-"`        // of the last complete one
	Rows         int64      `json:"rows"`
	Total        int64      `json:"-"` // by Clerk's own count; -1: Clerk gives none
	LeaseToken   int64      `json:"-"` // of the last process that walked
	Found        int64      `json:"drift_found"`
	Repaired     int64      `json:"drift_repaired"`
	// Left is how many differences the last comparison found and did not repair, also a dry run or
	// a run over a part of the list.
	Left int64 `json:"drift_left"`
}

// Start is when a walk began: when its first page was asked for. What was sure by then, it proves
// again or finds to be missing.
type Start struct {
	Write      int64      // the head's write counter by then
	ObservedAt clerk.Time // by Clerk's clock, not before this; what a page of the walk shows is seen then or later
	By         clerk.Time // … and not after this; 0: Clerk told no time
}

const walkColumns = "list, backfilled_at, cursor, watermark, begun_at, ended_at, complete, complete_at, reason, " +
	"rows_read, found, repaired, refused, swept_at, begun_write, observed_at, begun_by, complete_write, complete_observed_at, complete_by, known_left, " +
	"rows_total, lease_token"

// Walks is what is known of all lists.
func (db *DB) Walks(ctx context.Context) (map[string]Walk, error) {
	rows, err := db.query(ctx, "SELECT "+walkColumns+" FROM clerk_walks")
	return scanMap(rows, err, func(r Row) (_ string, w Walk, err error) {
		err = r.Scan(&w.List, &w.BackfilledAt, &w.Cursor, &w.Watermark, &w.BegunAt, &w.EndedAt, &w.Complete, &w.CompleteAt,
			&w.Reason, &w.Rows, &w.Found, &w.Repaired, &w.Refused, &w.SweptAt,
			&w.Start.Write, &w.Start.ObservedAt, &w.Start.By, &w.Whole.Write, &w.Whole.ObservedAt, &w.Whole.By, &w.Left, &w.Total, &w.LeaseToken)
		return w.List, w, err
	})
}

// NoteLeft records that differences between lists and the mirror are known, and were not repaired,
// by the name of the list.
func (db *DB) NoteLeft(ctx context.Context, left map[string]int64) error {
	return db.Update(ctx, func(tx *Tx) error {
		for list, n := range left {
			const text = "UPDATE clerk_walks SET known_left = CASE WHEN known_left < $1 THEN $1 ELSE known_left END WHERE list = $2"
			if err := tx.exec(ctx, text, n, list); err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveWalk keeps what is known of a list.
func (tx *Tx) SaveWalk(ctx context.Context, w Walk) error {
	return tx.exec(ctx, "INSERT INTO clerk_walks ("+walkColumns+") VALUES ("+params(1, 23)+`)
		ON CONFLICT (list) DO UPDATE SET backfilled_at = excluded.backfilled_at, cursor = excluded.cursor, watermark = excluded.watermark,
		begun_at = excluded.begun_at, ended_at = excluded.ended_at, complete = excluded.complete, complete_at = excluded.complete_at,
		reason = excluded.reason, rows_read = excluded.rows_read, found = excluded.found, repaired = excluded.repaired,
		refused = excluded.refused, swept_at = excluded.swept_at, begun_write = excluded.begun_write, observed_at = excluded.observed_at,
		begun_by = excluded.begun_by, complete_write = excluded.complete_write,
		complete_observed_at = excluded.complete_observed_at, complete_by = excluded.complete_by,
		known_left = excluded.known_left, rows_total = excluded.rows_total, lease_token = excluded.lease_token`,
		w.List, int64(w.BackfilledAt), w.Cursor, int64(w.Watermark), int64(w.BegunAt), int64(w.EndedAt), flag(w.Complete), int64(w.CompleteAt),
		w.Reason, w.Rows, w.Found, w.Repaired, flag(w.Refused), int64(w.SweptAt),
		w.Start.Write, int64(w.Start.ObservedAt), int64(w.Start.By), w.Whole.Write, int64(w.Whole.ObservedAt), int64(w.Whole.By), w.Left, w.Total, w.LeaseToken)
}

// Proves reports whether a row is proven to have been at Clerk when the walk began, or later: by a
// read that was sent since, or by an event of a later time. It is what [DB.KindCounts] counts by.
func (s Start) Proves(readAfter int64, seenAt clerk.Time) bool {
	return readAfter >= s.Write || s.By != 0 && seenAt >= s.By
}
