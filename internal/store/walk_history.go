package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

const walkRunColumns = "walk_id, list, work, begun_at, ended_at, complete, refused, reason, rows_read, rows_total, found, repaired"

// AppendWalkRun adds a walk that has ended to the history, and sets its id.
func (tx *Tx) AppendWalkRun(ctx context.Context, w *mirror.WalkRun) error {
	ended := int64(clerk.TimeOf(w.EndedAt))
	w.ID = entryID(ended, tx.db.audited.Add(1))
	return tx.exec(ctx, "INSERT INTO clerk_walk_history ("+walkRunColumns+") VALUES ("+params(1, 12)+")",
		w.ID, string(w.Kind), string(w.Work), int64(clerk.TimeOf(w.BegunAt)), ended, flag(w.Complete), flag(w.Refused), w.Reason,
		w.Rows, w.Total, w.Found, w.Repaired)
}

// CorrectWalkRun stores what was found and repaired after a walk had ended, while suspects were
// settled.
func (tx *Tx) CorrectWalkRun(ctx context.Context, id string, found, repaired int64) error {
	return tx.exec(ctx, "UPDATE clerk_walk_history SET found = $1, repaired = $2 WHERE walk_id = $3", found, repaired, id)
}

// WalkRuns returns a page of the walks of lists, the latest first. The first page begins with the
// walk under way, if there is one.
func (db *DB) WalkRuns(ctx context.Context, f mirror.WalkFilter) (p mirror.Page[mirror.WalkRun], err error) {
	if f.Kind != "" && tables[f.Kind] == nil {
		return p, fmt.Errorf("there is no kind %q", string(f.Kind))
	}
	after, found, err := placeOf(walksList, f.After)
	if err != nil {
		return p, err
	}
	var w where
	if found {
		w.add("walk_id < ?", after.id)
	}
	if f.Kind != "" {
		w.add("list = ?", string(f.Kind))
	}
	rest, args := w.pageBy("walk_id DESC", f.Limit)
	rows, err := db.query(ctx, "SELECT "+walkRunColumns+" FROM clerk_walk_history"+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (w mirror.WalkRun, err error) {
		return w, r.Scan(&w.ID, &w.Kind, &w.Work, (*instant)(&w.BegunAt), (*instant)(&w.EndedAt), &w.Complete, &w.Refused, &w.Reason,
			&w.Rows, &w.Total, &w.Found, &w.Repaired)
	})
	p, err = pageOf(list, err, f.Limit, walksList, func(w *mirror.WalkRun) place { return place{id: w.ID} })
	if err != nil || found {
		return p, err
	}
	current, err := db.CurrentWalk(ctx)
	if current != nil && (f.Kind == "" || f.Kind == current.Kind) {
		p.Items = append([]mirror.WalkRun{*current}, p.Items...)
	}
	return p, err
}

// maxCurrentDrift bounds what is counted of the drift of a walk under way.
const maxCurrentDrift = 10_000

// CurrentWalk returns the walk under way, nil if there is none: the list that was begun and has not
// ended, under the lease that a process holds now.
func (db *DB) CurrentWalk(ctx context.Context) (*mirror.WalkRun, error) {
	now, err := db.Clock(ctx, clerk.TimeOf(db.now()))
	if err != nil {
		return nil, err
	}
	const text = `SELECT w.list, w.begun_at, w.cursor, w.rows_read, w.rows_total FROM clerk_walks w
		JOIN clerk_leases l ON l.name = 'reconcile' AND l.token = w.lease_token AND l.expires_at > $1
		WHERE w.ended_at = 0 AND w.begun_at > 0 AND w.begun_at = (SELECT max(begun_at) FROM clerk_walks WHERE ended_at = 0)`
	rows, err := db.query(ctx, text, int64(now))
	w, err := exactlyOne(scanAll(rows, err, func(r Row) (w mirror.WalkRun, err error) {
		var cursor string
		err = r.Scan(&w.Kind, (*instant)(&w.BegunAt), &cursor, &w.Rows, &w.Total)
		w.Work = mirror.WorkWalk
		if cursor != "" {
			w.Work = mirror.WorkBackfill
		}
		return w, err
	}))
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // none is no error
	}
	if err != nil {
		return nil, err
	}
	rows, err = db.query(ctx, `SELECT count(*), COALESCE(sum(repaired), 0) FROM
		(SELECT repaired FROM clerk_drift WHERE found_at >= $1 AND kind = $2 LIMIT $3) AS found`,
		int64(clerk.TimeOf(w.BegunAt)), string(w.Kind), maxCurrentDrift)
	counts, err := exactlyOne(scanAll(rows, err, func(r Row) (n [2]int64, err error) { return n, r.Scan(&n[0], &n[1]) }))
	w.Found, w.Repaired = counts[0], counts[1]
	return &w, err
}

// PurgeWalkRuns removes walks that ended before a time.
func (db *DB) PurgeWalkRuns(ctx context.Context, before clerk.Time) error {
	_, err := db.inPages(ctx, `DELETE FROM clerk_walk_history WHERE walk_id IN
		(SELECT walk_id FROM clerk_walk_history WHERE walk_id < $1 ORDER BY walk_id LIMIT $2)`, fmt.Sprintf("%012x", int64(before)), purgePage)
	return err
}
