package reconcile

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Tick does what is due every minute: a sweep, the due suspects, the verify queue, and the sessions
// of some recently active users. The number of its reads is bounded.
func (r *Reconciler) Tick(ctx context.Context) (*mirror.SyncReport, error) {
	ctx, span := r.Tracer.Start(ctx, "clerksync.sweep")
	defer span.End()
	return r.withLease(ctx, mirror.ReconcileOptions{}, func(ctx context.Context, current *run) error {
		for _, work := range []func(context.Context) error{
			current.sweep,
			func(ctx context.Context) error { return current.settleDue(ctx, suspectsPerTick) },
			func(ctx context.Context) error { _, err := current.verify(ctx); return err },
			current.someSessions,
		} {
			if err := work(ctx); err != nil {
				return err
			}
		}
		r.stats.ticked(current.Now())
		return nil
	})
}

// sweep reads the users that changed since the watermark. Before all users were read once, it does
// nothing. An instance that had no users then has no watermark, and a sweep reads all of them.
func (r *run) sweep(ctx context.Context) error {
	walks, err := r.DB.Walks(ctx)
	walk := walks[string(clerk.KindUser)]
	if err != nil || walk.Watermark == 0 && walk.BackfilledAt == 0 {
		return err
	}
	began, err := r.DB.Clock(ctx, clerk.TimeOf(r.Now()))
	if err != nil {
		return err
	}
	deferred := map[string]clerk.Time{}
	since := walk.Watermark - clerk.Time(sweepOverlap.Milliseconds())
	newest, whole, err := r.walkRecentUsers(ctx, since, r.deferToEvent(ctx, deferred), nil)
	if err != nil || !whole {
		return err
	}
	r.deferred = deferred
	if len(deferred) > 0 { // a deferred change may be that old
		began -= clerk.Time(eventDelay.Milliseconds())
	}
	walk.Watermark, walk.SweptAt = max(newest, walk.Watermark), began
	return r.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) })
}

// deferToEvent returns a function that decides whether a change is left to its event, and records
// it in deferred. A user that the last sweep deferred, and that no event has reached since, is not
// deferred again, however often it changes.
func (r *run) deferToEvent(ctx context.Context, deferred map[string]clerk.Time) func(user clerk.Value, date clerk.Time) bool {
	return func(user clerk.Value, date clerk.Time) bool {
		id, at := user.Get("id").String(), user.Get("updated_at").Time()
		if !changedWithin(at, date, eventDelay) || len(deferred) == idsAtOnce {
			return false
		}
		if before, again := r.deferred[id]; again {
			stored, err := r.DB.RowMeta(ctx, row.Key{Kind: clerk.KindUser, ID: id})
			if err != nil || stored.UpdatedAt < before {
				return false
			}
		}
		deferred[id] = at
		return true
	}
}

// walkRecentUsers reads the users that changed at since or later, the last changed first. It
// returns the time of the newest change, and whether it read all of them. If events of users
// arrive, users for which deferred returns true are skipped; deferred may be nil.
func (r *run) walkRecentUsers(
	ctx context.Context, since clerk.Time, deferred func(clerk.Value, clerk.Time) bool, progress func(mirror.SyncProgress),
) (newest clerk.Time, whole bool, err error) {
	evidence, err := r.evidence(ctx, clerk.KindUser)
	if err != nil {
		return 0, false, err
	}
	k := r.kindReport(clerk.KindUser)
	met := false // a user that did not change since
	_, err = r.API.Walk(ctx, clerkapi.RecentUsers(), "", func(p clerkapi.Page) error {
		if p.Seen == len(p.Rows) { // the first page
			newest = p.Rows[0].Get("updated_at").Time()
		}
		rows := p.Rows
		older := slices.IndexFunc(rows, func(row clerk.Value) bool { return row.Get("updated_at").Time() < since })
		if met = older >= 0; met {
			rows = rows[:older]
		}
		k.Rows += len(rows)
		if deferred != nil {
			rows = slices.DeleteFunc(rows, r.waitsForOnChange)
		}
		if evidence.seen && deferred != nil {
			rows = slices.DeleteFunc(rows, func(row clerk.Value) bool { return deferred(row, p.Date) })
		}
		if len(rows) > 0 {
			page := ingest.Page{Kind: clerk.KindUser, Rows: rows, ObservedAt: p.ObservedAt(), Since: p.Fence.Since}
			if err := r.applyPage(ctx, k, r.Ingest.PreparePage(page), r.recordList(evidence, p.Answer), nil); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(mirror.SyncProgress{Kind: clerk.KindUser, Rows: k.Rows, Total: -1})
		}
		if met {
			return clerkapi.ErrStop
		}
		return nil
	})
	if err == nil && !met {
		k.Total, err = r.API.Total(ctx, clerkapi.All(clerk.KindUser), clerkapi.Background)
	}
	if err == nil && !met && k.Rows < k.Total { // a page was cut short: the rest may have changed
		k.Complete, k.Reason = false, "the list ended before the watermark of the last sweep"
		return 0, false, nil
	}
	k.Complete = err == nil
	return newest, k.Complete, err
}
