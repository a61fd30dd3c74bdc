package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// maxAttempts is how often a list is walked that could not be proven whole: it may have changed
	// meanwhile.
	maxAttempts = 3
	// pagesPerTx is how many pages of a backfill one transaction writes, if pages arrive faster
	// than they are written. It bounds how long an event waits: 2,000 rows take 0.1 to 0.2 seconds.
	pagesPerTx = 4
)

// listWalk is the walk of one list.
type listWalk struct {
	*run
	kind      clerk.Kind
	backfill  bool // resumable, and what it brings is not drift
	progress  func(mirror.SyncProgress)
	evidence  eventEvidence
	walk      store.Walk
	report    mirror.KindReport
	seen      map[string]struct{} // ids of a dry run, which cannot record in the rows that the list has them
	conflicts map[row.Key]bool    // listed, although deleted here
	resumed   bool                // another process read the first pages
	began     time.Time           // by our own clock
}

// walkList walks one list until it is proven whole, at most maxAttempts times.
func (r *run) walkList(ctx context.Context, kind clerk.Kind, o mirror.ReconcileOptions, backfill bool, before store.Walk) error {
	ctx, span := r.Tracer.Start(ctx, "clerksync.walk "+string(kind))
	defer span.End()
	evidence, err := r.evidence(ctx, kind)
	if err != nil {
		return err
	}
	w := &listWalk{
		run: r, kind: kind, backfill: backfill, progress: o.Progress, evidence: evidence, walk: before,
		report: mirror.KindReport{Kind: kind},
	}
	w.walk.List, w.walk.LeaseToken = string(kind), r.lease.Token
	if w.progress == nil {
		w.progress = func(mirror.SyncProgress) {}
	}
	watermark, err := w.attempts(ctx, before)
	if Organizational(kind) && clerkapi.OrganizationsDisabled(err) {
		w.report.Refused, err = true, nil
	}
	if err == nil {
		err = w.finish(ctx, watermark, o)
	} else if errors.Is(err, clerkapi.ErrRefused) && !w.dryRun {
		err = errors.Join(err, w.saveRefused(ctx, err))
	}
	if err != nil && w.report.Reason == "" {
		w.report.Reason = err.Error()
	}
	r.report.Kinds = append(r.report.Kinds, w.report)
	return errors.Join(err, w.note(ctx))
}

// note adds the walk to the history, however it ended.
func (w *listWalk) note(ctx context.Context) error {
	if unasked := w.began.IsZero() && ctx.Err() != nil; w.dryRun || unasked {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	ended, err := w.DB.Clock(ctx, clerk.TimeOf(w.Now()))
	if err != nil {
		return err
	}
	past := mirror.WalkRun{
		Kind: w.kind, Work: mirror.WorkWalk, BegunAt: w.walk.BegunAt.Time(), EndedAt: ended.Time(), Complete: w.report.Complete,
		Refused: w.report.Refused, Reason: w.report.Reason, Rows: int64(w.report.Rows), Total: int64(w.report.Total),
		Found: int64(w.report.Found), Repaired: int64(w.report.Repaired),
	}
	if w.began.IsZero() { // not even the first page was requested
		past.BegunAt = past.EndedAt
	}
	if w.backfill {
		past.Work = mirror.WorkBackfill
	}
	err = w.write(ctx, func(tx *store.Tx) error { return tx.AppendWalkRun(ctx, &past) })
	w.walked[w.kind] = past.ID
	if errors.Is(err, store.ErrFenced) { // the process that has the lease now walks the list
		return nil
	}
	return err
}

// attempts walks the list until it is proven whole. It returns the watermark from before.
func (w *listWalk) attempts(ctx context.Context, before store.Walk) (watermark clerk.Time, err error) {
	from := clerkapi.Cursor("")
	if w.backfill && before.Start.ObservedAt != 0 { // earlier versions did not record when a backfill began
		from = clerkapi.Cursor(before.Cursor)
	}
	watermark, err = w.newestChange(ctx)
	switch {
	case w.backfill && from != "" && before.Watermark != 0: // it does not have the changes since it began
		watermark = before.Watermark
	case w.backfill:
		w.walk.Watermark = cmp.Or(before.Watermark, watermark)
	}
	for n := 1; err == nil; n++ {
		err = w.attempt(ctx, from)
		if err != nil || w.report.Complete || n == maxAttempts {
			break
		}
		from = ""
	}
	return watermark, err
}

// newestChange returns the time of the last change of any user, from before the walk: sweeps go on
// from there.
func (w *listWalk) newestChange(ctx context.Context) (newest clerk.Time, err error) {
	if w.kind != clerk.KindUser || w.dryRun {
		return 0, nil
	}
	_, err = w.API.Walk(ctx, clerkapi.RecentUsers(), "", func(p clerkapi.Page) error {
		newest = p.Rows[0].Get("updated_at").Time()
		return clerkapi.ErrStop
	})
	return newest, err
}

// attempt walks the list once, from a cursor on.
func (w *listWalk) attempt(ctx context.Context, from clerkapi.Cursor) error {
	w.seen, w.conflicts, w.resumed = map[string]struct{}{}, map[row.Key]bool{}, from != ""
	w.walk.EndedAt = 0
	w.began = w.Now()
	if !w.resumed {
		at, err := w.DB.Clock(ctx, clerk.TimeOf(w.began))
		if err != nil {
			return err
		}
		w.walk.BegunAt = at
	}
	batchSize := 1
	if w.backfill {
		batchSize = pagesPerTx
	}
	send, wait := pipeline(batchSize, func(pages []preparedPage) error { return w.writePage(ctx, joinPages(pages)) })
	started := w.resumed // a resumed walk keeps the start of the process that requested the first page
	walked, err := w.API.Walk(ctx, clerkapi.All(w.kind), from, func(p clerkapi.Page) error {
		if !started { // before the first page is sent on
			w.walk.Start, started = startOf(p.Answer), true
		}
		page := ingest.Page{Kind: w.kind, Rows: p.Rows, ObservedAt: p.ObservedAt(), Since: p.Fence.Since, New: w.backfill, Seen: w.known}
		return send(preparedPage{p, w.Ingest.PreparePage(page), page.ObservedAt})
	})
	err = cmp.Or(wait(), err)
	if !started { // the list is empty
		w.walk.Start = startOf(walked.Began)
	}
	w.report.Rows, w.report.Total = walked.Distinct, walked.After
	w.report.Complete, w.report.Reason = walked.Complete && err == nil, walked.Reason
	w.listBegan[w.kind] = w.walk.Start.Write
	if err != nil {
		w.report.Reason = err.Error()
	}
	return err
}

// startOf returns when a walk began, by its first answer. Clerk's clock gives whole seconds.
func startOf(a clerkapi.Answer) store.Start {
	start := store.Start{Write: a.Fence.Since, ObservedAt: a.ObservedAt()}
	if a.Date != 0 {
		start.By = max(a.Date+clerk.Time(time.Second.Milliseconds()), start.ObservedAt)
	}
	return start
}

// preparedPage is a page that is parsed and not written yet.
type preparedPage struct {
	clerkapi.Page
	prepared *ingest.PreparedPage
	earliest clerk.Time // the earliest ObservedAt of the pages that it was joined from
}

// joinPages makes one page of several. It ends where the last of them ends.
func joinPages(pages []preparedPage) preparedPage {
	joined := pages[len(pages)-1]
	prepared := make([]*ingest.PreparedPage, len(pages))
	for i := range pages {
		prepared[i] = pages[i].prepared
		joined.earliest = min(joined.earliest, pages[i].earliest)
	}
	joined.prepared = ingest.Join(prepared...)
	return joined
}

// writePage applies a page and saves with it how far the walk is.
func (w *listWalk) writePage(ctx context.Context, p preparedPage) error {
	if w.dryRun {
		for _, row := range p.Rows {
			w.seen[strings.Clone(row.Get("id").String())] = struct{}{} // a copy: the text is a part of the page
		}
	}
	next := w.walk
	next.Rows, next.Total = int64(p.Seen), int64(p.Total)
	next.Start.ObservedAt = min(next.Start.ObservedAt, p.earliest)
	if w.backfill {
		next.Cursor = string(p.Next)
	}
	record := w.recordList(w.evidence, p.Answer)
	// A page that has arrived is written, even if the walk is cancelled meanwhile.
	err := w.applyPage(context.WithoutCancel(ctx), &w.report, p.prepared,
		func(ctx context.Context, tx *store.Tx, found []ingest.Difference) (drift []mirror.Drift, err error) {
			for _, d := range found {
				if d.Conflict {
					w.conflicts[d.Key] = true
				}
			}
			if w.backfill { // what a backfill brings is not drift
				found = slices.DeleteFunc(slices.Clone(found), func(d ingest.Difference) bool { return !isContradiction(d) && !d.Altered })
			}
			return record(ctx, tx, found)
		},
		func(ctx context.Context, tx *store.Tx) error { return tx.SaveWalk(ctx, next) })
	if err != nil {
		return err
	}
	w.walk = next
	w.progress(mirror.SyncProgress{Kind: w.kind, Rows: p.Seen, Total: p.Total})
	return nil
}

// finish judges the rows that the list lacks, and saves how the walk went.
func (w *listWalk) finish(ctx context.Context, watermark clerk.Time, o mirror.ReconcileOptions) error {
	failed := w.clearListedSuspects(ctx)
	if failed == nil && w.report.Complete {
		if failed = w.saveWhole(ctx); failed == nil {
			failed = w.judgeMissing(ctx, o.AllowMassDelete)
		}
	}
	_, mass := errors.AsType[*mirror.MassDeletionError](failed)
	broken := failed != nil && !mass // the missing rows were not judged
	if broken {
		w.report.Complete, w.report.Reason = false, failed.Error()
	}
	if w.dryRun || broken && w.backfill { // a backfill continues from its last page
		return failed
	}
	ended, err := w.DB.Clock(ctx, clerk.TimeOf(w.Now()))
	if err != nil {
		return err
	}
	walk := w.walk
	walk.Cursor, walk.EndedAt, walk.Complete, walk.Reason = "", ended, w.report.Complete, w.report.Reason
	walk.Refused = w.report.Refused
	if walk.Complete {
		walk.CompleteAt = walk.BegunAt
	}
	walk.Rows, walk.Total = int64(w.report.Rows), int64(w.report.Total)
	walk.Found, walk.Repaired = int64(w.report.Found), int64(w.report.Repaired)
	walk.Left = walk.Found - walk.Repaired
	if walk.BackfilledAt == 0 {
		walk.BackfilledAt = walk.EndedAt
	}
	if walk.Complete || walk.Watermark == 0 { // otherwise sweeps go on from where they are
		walk.Watermark = max(walk.Watermark, watermark)
	}
	if err := w.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) }); err != nil {
		return err
	}
	return failed
}

// saveWhole stores when the walk of a whole list began, before the rows that the list lacks are
// judged: a later event that brings an old object is then judged by it. If the process dies in
// between, it stays visible which rows are not accounted for.
func (w *listWalk) saveWhole(ctx context.Context) error {
	w.walk.Whole = w.walk.Start
	if w.dryRun {
		return nil
	}
	return w.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, w.walk) })
}

// saveRefused stores that Clerk refused the list. The walk before it was whole, but it is no longer
// the last one: what Clerk refuses now cannot be compared.
func (w *listWalk) saveRefused(ctx context.Context, cause error) error {
	ended, err := w.DB.Clock(ctx, clerk.TimeOf(w.Now()))
	if err != nil {
		return err
	}
	walk := w.walk
	if w.began.IsZero() { // not even the first page was requested
		walk.BegunAt = ended
	}
	walk.EndedAt, walk.Complete, walk.Refused, walk.Reason = ended, false, false, cause.Error()
	return w.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) })
}
