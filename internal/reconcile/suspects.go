package reconcile

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Suspects are stored, so that the next run settles them, after a restart or in another process.

const (
	suspectsPerTick = 100  // reads of suspects in one call of Tick
	settleRounds    = 5    // waits of settleAll; rows that are written again and again meanwhile are left to the next walk
	maxOlder        = 1000 // rows that are read because a list has an older state; enough to tell that Clerk was set back
)

// loadSuspects loads the stored suspects. If one is due later than it can have been postponed, the
// clock was set back since: its wait starts again.
func (r *run) loadSuspects(ctx context.Context) (err error) {
	if r.suspects, err = r.DB.Suspects(ctx, r.now()); err != nil {
		return err
	}
	var outdated []row.Key
	var restarted []store.Suspect
	for key, x := range r.suspects {
		switch latest := r.in(longestWait(x)); {
		case x.DueAt > latest:
			x.DueAt = latest
			restarted = append(restarted, x)
		case isRefused(x) && x.DueAt < r.in(-remindEvery): // it left the verify queue
			outdated = append(outdated, key)
		}
	}
	if err := r.saveSuspects(ctx, restarted...); err != nil || r.dryRun {
		return err
	}
	return r.clearSuspects(ctx, outdated...)
}

// saveSuspects adds or replaces suspects.
func (r *run) saveSuspects(ctx context.Context, list ...store.Suspect) error {
	for _, x := range list {
		r.suspects[x.Key] = x
	}
	if r.dryRun || len(list) == 0 {
		return nil
	}
	return r.write(ctx, func(tx *store.Tx) error { return tx.SaveSuspects(ctx, list...) })
}

// clearSuspects removes suspects.
func (r *run) clearSuspects(ctx context.Context, keys ...row.Key) error {
	keys = slices.DeleteFunc(keys, func(k row.Key) bool {
		_, suspected := r.suspects[k]
		delete(r.suspects, k)
		return !suspected
	})
	if r.dryRun || len(keys) == 0 {
		return nil
	}
	return r.write(ctx, func(tx *store.Tx) error { return tx.DropSuspects(ctx, keys...) })
}

// suspectContradictions suspects the rows that a list has in an older state, or that are deleted
// here, if they were not written since the list was requested. For a row that is a suspect already,
// seeing the same again is not a write that would restart its wait.
func (r *run) suspectContradictions(ctx context.Context, tx *store.Tx, differences []ingest.Difference, since int64) error {
	if !slices.ContainsFunc(differences, isContradiction) {
		return nil
	}
	var list []store.Suspect
	count := len(r.readableSuspects(isContradicted))
	for _, d := range differences {
		if !isContradiction(d) || d.Written > since || !converge.Readable(d.Key.Kind) && !d.Conflict {
			continue
		}
		reason := contradictionReason(d)
		x, suspected := r.suspects[d.Key]
		switch {
		case !suspected && count >= maxOlder:
			continue
		case !suspected || x.Reason != reason && d.Conflict: // a deletion since then outweighs the earlier suspicion
			count++
			x = store.Suspect{Key: d.Key, Reason: reason, DueAt: r.now()}
		case x.Reason != reason || d.Written > x.Since:
			continue
		}
		x.Since = tx.Head.Writes
		list = append(list, x)
	}
	if err := tx.SaveSuspects(ctx, list...); err != nil {
		return err
	}
	for _, x := range list {
		r.suspects[x.Key] = x
	}
	return nil
}

// settleDue reads again the suspects that are due, at most limit of them.
func (r *run) settleDue(ctx context.Context, limit int) error {
	list := r.readableSuspects(r.isDue)
	return r.readAll(ctx, list[:min(len(list), limit)])
}

// settleAll reads again all suspects of some kinds (nil: of all kinds), and waits for those that
// need a second answer. Contradictions that are proven already are read too, so that the report has
// them.
func (r *run) settleAll(ctx context.Context, kinds []clerk.Kind, progress func(mirror.SyncProgress)) error {
	where := func(matches func(store.Suspect) bool) []store.Suspect {
		return r.readableSuspects(func(x store.Suspect) bool {
			return (kinds == nil || slices.Contains(kinds, x.Key.Kind)) && matches(x)
		})
	}
	proven := where(func(x store.Suspect) bool { return isContradicted(x) && x.Attempts > 1 })
	if err := r.readAll(ctx, proven); err != nil {
		return err
	}
	for round := 1; ; round++ {
		if err := r.readAll(ctx, where(r.isDue)); err != nil {
			return err
		}
		waiting := where(func(x store.Suspect) bool {
			return x.Reason == store.SuspectGone || isContradicted(x) && x.Attempts < 2
		})
		if len(waiting) == 0 || round == settleRounds {
			for _, x := range waiting { // left to the next walk
				r.countUnrepaired(r.kindReport(x.Key.Kind), mirror.CauseUnknown, x.Key)
			}
			return nil
		}
		due := waiting[len(waiting)-1].DueAt.Time()
		if progress != nil {
			progress(mirror.SyncProgress{Rows: len(waiting), Total: -1, AskedAgain: due})
		}
		if err := r.Sleep(ctx, max(0, due.Sub(r.Now()))+time.Millisecond); err != nil {
			return err
		}
	}
}

func (r *run) readAll(ctx context.Context, list []store.Suspect) error {
	for _, x := range list {
		if _, err := r.readByID(ctx, r.kindReport(x.Key.Kind), x.Key); err != nil {
			return err
		}
	}
	return nil
}

// isDue reports whether a suspect is to be read again now. Objects that Clerk refused to return, or
// that the application's OnChange refused, are read while they are in the verify queue.
func (r *run) isDue(x store.Suspect) bool {
	return !isRefused(x) && x.Reason != store.SuspectHook && x.DueAt <= r.now()
}

// isContradicted reports whether a suspect is a contradiction that a person has to decide.
func isContradicted(x store.Suspect) bool {
	return x.Reason == store.SuspectOlder || x.Reason == store.SuspectConflict
}

// isRefused reports whether a suspect is an object that Clerk refused to return.
func isRefused(x store.Suspect) bool {
	return x.Reason == store.SuspectRefused || x.Reason == store.SuspectUnreadable
}

// readableSuspects returns the matching suspects of kinds that can be read by id, in the order in
// which they are due.
func (r *run) readableSuspects(matches func(store.Suspect) bool) (list []store.Suspect) {
	for _, x := range r.suspects {
		if converge.Readable(x.Key.Kind) && matches(x) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b store.Suspect) int {
		return cmp.Or(cmp.Compare(a.DueAt, b.DueAt), cmp.Compare(a.Key.Kind, b.Key.Kind), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	return list
}

// readSinceList reports whether a list of this run, or a read since it began, found an object. row
// must have been loaded before the object was read.
func (r *run) readSinceList(key row.Key, row store.RowMeta) bool {
	began, walked := r.listBegan[key.Kind]
	return walked && row.ReadAfter >= began
}
