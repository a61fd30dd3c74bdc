package reconcile

import (
	"context"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// judgeMissing reads by id each row that the whole list lacks, unless they are too many.
func (w *listWalk) judgeMissing(ctx context.Context, allowMass bool) error {
	missing, err := w.missing(ctx)
	if err != nil || len(missing) == 0 && converge.Readable(w.kind) {
		return err
	}
	rows, err := w.countLiveRows(ctx)
	if err != nil {
		return err
	}
	older := 0 // a row whose event came in the second in which the walk began may be younger than it
	for _, stored := range missing {
		if !w.mayBeYounger(stored) {
			older++
		}
	}
	if isMassDeletion(older, rows) && !allowMass {
		w.leave(missing...)
		failed := &mirror.MassDeletionError{Kind: w.kind, Missing: len(missing), Rows: rows}
		w.report.Reason = failed.Error()
		return failed
	}
	if !converge.Readable(w.kind) {
		return w.judgeUnlisted(ctx, missing)
	}
	for _, stored := range missing {
		result, err := w.readByID(ctx, &w.report, row.Key{Kind: w.kind, ID: stored.ID})
		if err != nil {
			return err
		}
		if result == unanswered || result == notFound && w.dryRun {
			w.leave(stored)
		}
	}
	return nil
}

// mayBeYounger reports whether a row may be younger than the walk, because its last event is of
// about the time at which the walk began.
func (w *listWalk) mayBeYounger(stored store.RowMeta) bool {
	start := w.walk.Start
	return stored.SeenAt >= start.ObservedAt && (start.By == 0 || stored.SeenAt < start.By)
}

// missing returns the rows that the list should have had. Each row records whether this walk has
// seen it, whichever process read the page; a dry run, which writes no rows, remembers the ids. A
// row that the application's OnChange refused is not missing.
func (w *listWalk) missing(ctx context.Context) ([]store.RowMeta, error) {
	rows, err := w.DB.Unaccounted(ctx, w.kind, w.walk.Start)
	return slices.DeleteFunc(rows, func(stored store.RowMeta) bool {
		_, seen := w.seen[stored.ID]
		return seen || w.refused[row.Key{Kind: w.kind, ID: stored.ID}] || w.parentSuspected(stored)
	}), err
}

// countLiveRows counts the rows that the list should have.
func (w *listWalk) countLiveRows(ctx context.Context) (rows int, err error) {
	for after, more := "", true; more; {
		list, err := w.DB.LiveRows(ctx, w.kind, after, idsAtOnce)
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

// parentSuspected reports whether the user or the organization of a row is suspected to be gone. If
// it is gone, that hides the row.
func (w *listWalk) parentSuspected(stored store.RowMeta) bool {
	user := w.suspects[row.Key{Kind: clerk.KindUser, ID: stored.UserID}]
	organization := w.suspects[row.Key{Kind: clerk.KindOrganization, ID: stored.OrganizationID}]
	return user.Reason == store.SuspectGone || organization.Reason == store.SuspectGone
}

// clearListedSuspects clears suspects that were thought to be gone and were listed, conflicts about
// objects that are no longer listed, and what OnChange refused before and not in this walk.
func (w *listWalk) clearListedSuspects(ctx context.Context) error {
	var cleared []row.Key
	for key, x := range w.suspects {
		if key.Kind != w.kind {
			continue
		}
		switch x.Reason {
		case store.SuspectGone, store.SuspectUnlisted:
			stored, err := w.DB.RowMeta(ctx, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if _, seen := w.seen[key.ID]; seen || w.readSinceList(key, stored) {
				cleared = append(cleared, key)
			}
		case store.SuspectHook: // this list has brought it, or Clerk has it no more
			if w.report.Complete && !w.resumed && !w.refused[key] {
				cleared = append(cleared, key)
			}
		case store.SuspectConflict: // other kinds are read by id
			if w.report.Complete && !w.resumed && !converge.Readable(w.kind) && !w.conflicts[key] {
				cleared = append(cleared, key)
			}
		default:
		}
	}
	return w.clearSuspects(ctx, cleared...)
}

// leave counts rows that are missing at Clerk and stay as they are.
func (w *listWalk) leave(rows ...store.RowMeta) {
	for _, stored := range rows {
		w.countUnrepaired(&w.report, w.evidence.cause(0, 0), row.Key{Kind: w.kind, ID: stored.ID})
	}
}

// judgeUnlisted hides rows of a kind that cannot be read by id, once two whole lists, some time
// apart, lack them.
func (w *listWalk) judgeUnlisted(ctx context.Context, missing []store.RowMeta) error {
	var first []store.Suspect
	for _, stored := range missing {
		if w.mayBeYounger(stored) { // the next walk judges it
			continue
		}
		key := row.Key{Kind: w.kind, ID: stored.ID}
		before := w.suspects[key]
		again := before.Reason == store.SuspectUnlisted && stored.Written <= before.Since
		if again && clerk.TimeOf(w.began) >= before.DueAt && !w.dryRun {
			if err := w.hide(ctx, &w.report, before, 0); err != nil {
				return err
			}
			continue
		}
		w.leave(stored)
		if !again {
			due := clerk.TimeOf(w.began.Add(listsApart))
			first = append(first, store.Suspect{Key: key, Reason: store.SuspectUnlisted, Since: w.walk.Start.Write, DueAt: due, Attempts: 1})
		}
	}
	return w.saveSuspects(ctx, first...)
}
