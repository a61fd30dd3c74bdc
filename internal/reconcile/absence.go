package reconcile

import (
	"context"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// absences asks for each row that the whole list lacks, unless they are too many.
func (w *walking) absences(ctx context.Context, allowed bool) error {
	lacking, err := w.lacking(ctx)
	if err != nil || len(lacking) == 0 && Readable(w.kind) {
		return err
	}
	rows, err := w.standing(ctx)
	if err != nil {
		return err
	}
	// What came in the second in which the walk began may be younger than it.
	sure := 0
	for _, row := range lacking {
		if !w.young(row) {
			sure++
		}
	}
	if tooMany(sure, rows) && !allowed {
		w.left(lacking)
		failed := &MassDeletion{w.kind, len(lacking), rows}
		w.report.Reason = failed.Error()
		return failed
	}
	if !Readable(w.kind) {
		return w.unlisted(ctx, lacking)
	}
	for _, row := range lacking {
		answer, err := w.ask(ctx, &w.report, store.Key{Kind: w.kind, ID: row.ID})
		if err != nil {
			return err
		}
		if answer == refused || answer == unknown && w.dryRun {
			w.left([]store.Sight{row})
		}
	}
	return nil
}

// young reports whether a row may be younger than the walk: its last event is of about the time at which the walk began.
func (w *walking) young(row store.Sight) bool {
	start := w.walk.Start
	return row.SeenAt >= start.ObservedAt && (start.By == 0 || row.SeenAt < start.By)
}

// lacking are the rows that the list should have had. A row says by itself whether this walk has seen it, whichever process
// read the page; but in a dry run rows are not written.
func (w *walking) lacking(ctx context.Context) ([]store.Sight, error) {
	rows, err := w.DB.Unaccounted(ctx, w.kind, w.walk.Start)
	return slices.DeleteFunc(rows, func(row store.Sight) bool {
		_, seen := w.seen[row.ID]
		return seen || w.suspected(row)
	}), err
}

// standing counts the rows that a list should have.
func (w *walking) standing(ctx context.Context) (rows int, err error) {
	for after, more := "", true; more; {
		list, err := w.DB.Standing(ctx, w.kind, after, idsAtOnce)
		if err != nil {
			return 0, err
		}
		rows += len(list)
		if more = len(list) == idsAtOnce; more {
			after = list[len(list)-1].ID
		}
	}
	return rows, nil
}

// suspected reports whether a row will be hidden by its parent, if that is gone.
func (w *walking) suspected(row store.Sight) bool {
	user := w.suspects[store.Key{Kind: clerk.KindUser, ID: row.UserID}]
	organization := w.suspects[store.Key{Kind: clerk.KindOrganization, ID: row.OrganizationID}]
	return user.Reason == store.SuspectGone || organization.Reason == store.SuspectGone
}

// acquitListed forgets what was thought to be gone, and was listed; and conflicts about what is listed no more.
func (w *walking) acquitListed(ctx context.Context) error {
	var listed []store.Key
	for key, x := range w.suspects {
		if key.Kind != w.kind {
			continue
		}
		switch x.Reason {
		case store.SuspectGone, store.SuspectUnlisted:
			row, err := w.DB.Sight(ctx, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if _, seen := w.seen[key.ID]; seen || w.shown(key, row) {
				listed = append(listed, key)
			}
		case store.SuspectConflict: // of others one asks by id
			if w.report.Complete && !w.resumed && !Readable(w.kind) && !w.conflict[key] {
				listed = append(listed, key)
			}
		default:
		}
	}
	return w.acquit(ctx, listed...)
}

// left counts rows that are missing at Clerk and stay.
func (w *walking) left(rows []store.Sight) {
	for _, row := range rows {
		w.count(&w.report, []store.Drift{{
			Kind: w.kind, ID: row.ID, FoundAt: clerk.TimeOf(w.Now()), Cause: w.signs.cause(0, 0),
		}})
	}
}

// unlisted hides rows of a kind without a read by id once two whole lists, some time apart, lack them.
func (w *walking) unlisted(ctx context.Context, lacking []store.Sight) error {
	var first []store.Suspect
	for _, row := range lacking {
		if w.young(row) { // the next walk judges it
			continue
		}
		key := store.Key{Kind: w.kind, ID: row.ID}
		before := w.suspects[key]
		twice := before.Reason == store.SuspectUnlisted && row.Written <= before.Since
		if twice && clerk.TimeOf(w.began) >= before.DueAt && !w.dryRun {
			if err := w.hide(ctx, &w.report, before, 0); err != nil {
				return err
			}
			continue
		}
		w.left([]store.Sight{row})
		if !twice {
			due := clerk.TimeOf(w.began.Add(listsApart))
			first = append(first, store.Suspect{Key: key, Reason: store.SuspectUnlisted, Since: w.walk.Start.Write, DueAt: due, Attempts: 1})
		}
	}
	return w.suspect(ctx, first...)
}
