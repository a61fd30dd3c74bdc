package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// tries is how often a list is walked that could not be proven to be whole: it may have changed meanwhile.
const tries = 3

// MassDeletion says that more is missing at Clerk than is believed without a person's word.
type MassDeletion struct {
	Kind          clerk.Kind
	Missing, Rows int
}

// Error is one line.
func (e *MassDeletion) Error() string {
	return fmt.Sprintf("%d of %d rows of kind %s are missing at Clerk: nothing is taken for deleted; if that is right, allow it with --allow-mass-delete",
		e.Missing, e.Rows, e.Kind)
}

// walking is the walk of one list.
type walking struct {
	*session
	kind     clerk.Kind
	first    bool // a backfill: resumable, and what it brings is no drift
	progress func(Progress)
	signs    signs
	walk     store.Walk
	report   KindReport
	seen     map[string]struct{}
	since    int64 // write counter from before the first page was asked for
}

// Backfill reads everything that Clerk has. One that was ended goes on where it was; when all was read, it begins anew.
func (r *Reconciler) Backfill(ctx context.Context, progress func(Progress)) (*Report, error) {
	return r.lead(ctx, false, func(ctx context.Context, s *session) error {
		walks, err := r.DB.Walks(ctx)
		if err != nil {
			return err
		}
		anew := backfilled(walks)
		for _, kind := range Kinds() {
			w := walks[string(kind)]
			if w.BackfilledAt != 0 && !anew {
				s.report.Kinds = append(s.report.Kinds, KindReport{Kind: kind, Rows: int(w.Rows), Total: int(w.Rows), Complete: w.Complete, Reason: w.Reason})
				continue
			}
			if err := s.list(ctx, kind, Options{Progress: progress}, true, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// backfilled reports whether all kinds were read to their end once.
func backfilled(walks map[string]store.Walk) bool {
	for _, kind := range Kinds() {
		if walks[string(kind)].BackfilledAt == 0 {
			return false
		}
	}
	return true
}

// Backfilled reports whether all kinds were read to their end once.
func (r *Reconciler) Backfilled(ctx context.Context) (bool, error) {
	walks, err := r.DB.Walks(ctx)
	return backfilled(walks), err
}

// Walk compares everything with Clerk and repairs what differs. Where rows may be deleted it waits for the minute after
// which that is asked again.
func (r *Reconciler) Walk(ctx context.Context, o Options) (*Report, error) {
	return r.lead(ctx, o.DryRun, func(ctx context.Context, s *session) error {
		walks, err := r.DB.Walks(ctx)
		if err != nil {
			return err
		}
		kinds := o.Kinds
		if len(kinds) == 0 {
			kinds = Kinds()
		}
		for _, kind := range kinds {
			if err := s.list(ctx, kind, o, false, walks[string(kind)]); err != nil {
				return err
			}
		}
		if o.DryRun {
			return nil
		}
		if err := s.settle(ctx, true); err != nil {
			return err
		}
		return s.recount(ctx)
	})
}

// recount keeps what settling added to the walks' figures.
func (s *session) recount(ctx context.Context) error {
	walks, err := s.DB.Walks(ctx)
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CheckLease(ctx, s.lease); err != nil {
			return err
		}
		for _, k := range s.report.Kinds {
			w, known := walks[string(k.Kind)]
			if !known || w.Found == int64(k.Found) && w.Repaired == int64(k.Repaired) {
				continue
			}
			w.Found, w.Repaired = int64(k.Found), int64(k.Repaired)
			if err := tx.SaveWalk(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// list walks one list until it is proven to be whole, or tried often enough.
func (s *session) list(ctx context.Context, kind clerk.Kind, o Options, first bool, before store.Walk) error {
	signs, err := s.signs(ctx, kind)
	if err != nil {
		return err
	}
	w := &walking{session: s, kind: kind, first: first, progress: o.Progress, signs: signs, walk: before, report: KindReport{Kind: kind}}
	w.walk.List = string(kind)
	if w.progress == nil {
		w.progress = func(Progress) {}
	}
	from := clerkapi.Cursor("")
	if first {
		from = clerkapi.Cursor(before.Cursor)
	}
	watermark, err := w.watermark(ctx)
	switch {
	case first && from != "" && before.Watermark != 0: // changes since it began are news to what was read then
		watermark = before.Watermark
	case first:
		w.walk.Watermark = cmp.Or(before.Watermark, watermark)
	}
	for n := 1; err == nil; n++ {
		err = w.once(ctx, from)
		if err != nil || w.report.Complete || n == tries {
			break
		}
		from = ""
	}
	if errors.Is(err, clerkapi.ErrRefused) {
		w.report.Refused, err = true, nil
	}
	if err == nil {
		err = w.end(ctx, watermark, o)
	}
	if err != nil && w.report.Reason == "" {
		w.report.Reason = err.Error()
	}
	s.report.Kinds = append(s.report.Kinds, w.report)
	return err
}

// watermark is the time of the last change to any user, from before the walk: from there sweeps go on.
func (w *walking) watermark(ctx context.Context) (newest clerk.Time, err error) {
	if w.kind != clerk.KindUser || w.dryRun {
		return 0, nil
	}
	_, err = w.API.Walk(ctx, clerkapi.RecentUsers(), "", func(p clerkapi.Page) error {
		newest = p.Rows[0].Get("updated_at").Time()
		return clerkapi.ErrStop
	})
	return newest, err
}

// once walks the list from a cursor on.
func (w *walking) once(ctx context.Context, from clerkapi.Cursor) error {
	w.seen = map[string]struct{}{}
	w.since = -1
	w.walk.EndedAt = 0
	if from == "" {
		w.walk.BegunAt = clerk.At(w.Now())
	}
	walked, err := w.API.Walk(ctx, clerkapi.All(w.kind), from, func(p clerkapi.Page) error { return w.page(ctx, p) })
	w.report.Rows, w.report.Total = walked.Distinct, walked.After
	w.report.Complete, w.report.Reason = walked.Complete, walked.Reason
	if err != nil {
		w.report.Reason = err.Error()
	}
	if w.since < 0 { // not a single row came
		head, failed := w.DB.Head(ctx)
		if failed != nil {
			return failed
		}
		w.since = head.Writes
	}
	return err
}

// page applies a page, and keeps with it how far the walk is.
func (w *walking) page(ctx context.Context, p clerkapi.Page) error {
	if w.since < 0 {
		w.since = p.Horizon.Since
	}
	if !w.first {
		for _, row := range p.Rows {
			w.seen[row.Get("id").String()] = struct{}{}
		}
	}
	next := w.walk
	next.Rows = int64(p.Seen)
	if w.first {
		next.Cursor = string(p.Next)
	}
	var drift []store.Drift
	also := func(ctx context.Context, tx *store.Tx, found []ingest.Difference) error {
		if !w.first {
			drift = w.drift(found, w.signs, p.Date)
			if err := tx.AppendDrift(ctx, drift); err != nil {
				return err
			}
		}
		return tx.SaveWalk(ctx, next)
	}
	found, err := w.Ingest.ApplyPage(ctx, ingest.Page{Kind: w.kind, Rows: p.Rows, ObservedAt: p.ObservedAt()}, w.under(also))
	if err != nil {
		return err
	}
	if w.dryRun {
		drift = w.drift(found, w.signs, p.Date)
	}
	w.walk = next
	w.count(&w.report, drift)
	w.progress(Progress{w.kind, p.Seen, p.Total})
	return nil
}

// end judges what the walk did not bring, and keeps how it went.
func (w *walking) end(ctx context.Context, watermark clerk.Time, o Options) error {
	var failed error
	if w.report.Complete && !w.first {
		failed = w.absences(ctx, o.AllowMassDelete)
	}
	if w.dryRun {
		return failed
	}
	walk := w.walk
	walk.Cursor, walk.EndedAt, walk.Complete, walk.Reason = "", clerk.At(w.Now()), w.report.Complete, w.report.Reason
	walk.Rows, walk.Found, walk.Repaired = int64(w.report.Rows), int64(w.report.Found), int64(w.report.Repaired)
	if walk.Complete {
		walk.CompleteAt = walk.BegunAt
	}
	if walk.BackfilledAt == 0 {
		walk.BackfilledAt = walk.EndedAt
	}
	if walk.Complete || walk.Watermark == 0 { // else sweeps go on from where they are
		walk.Watermark = max(walk.Watermark, watermark)
	}
	err := w.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CheckLease(ctx, w.lease); err != nil {
			return err
		}
		return tx.SaveWalk(ctx, walk)
	})
	if err != nil {
		return err
	}
	return failed
}

// absences asks for each row that the whole list lacks, unless they are too many.
func (w *walking) absences(ctx context.Context, allowed bool) error {
	var lacking []store.Sight
	rows, after := 0, ""
	for {
		list, err := w.DB.Standing(ctx, w.kind, after, idsAtOnce)
		if err != nil {
			return err
		}
		rows += len(list)
		for _, row := range missing(list, w.seen, w.since) {
			if !w.suspected(row) {
				lacking = append(lacking, row)
			}
		}
		if len(list) < idsAtOnce {
			break
		}
		after = list[len(list)-1].ID
	}
	if tooMany(len(lacking), rows) && !allowed {
		w.left(lacking)
		failed := &MassDeletion{w.kind, len(lacking), rows}
		w.report.Reason = failed.Error()
		return failed
	}
	if !readable(w.kind) {
		return w.unlisted(ctx, lacking)
	}
	for _, row := range lacking {
		key := store.Key{Kind: w.kind, ID: row.ID}
		gone, err := w.ask(ctx, &w.report, suspect{key: key, user: row.UserID, organization: row.OrganizationID})
		if err != nil {
			return err
		}
		if gone && w.dryRun {
			w.left([]store.Sight{row})
		}
	}
	return nil
}

// suspected reports whether a row will be hidden by its parent, if that is gone.
func (w *walking) suspected(row store.Sight) bool {
	_, user := w.suspects[store.Key{Kind: clerk.KindUser, ID: row.UserID}]
	_, organization := w.suspects[store.Key{Kind: clerk.KindOrganization, ID: row.OrganizationID}]
	return user && row.UserID != "" || organization && row.OrganizationID != ""
}

// left counts rows that are missing at Clerk and stay.
func (w *walking) left(rows []store.Sight) {
	for _, row := range rows {
		w.count(&w.report, []store.Drift{{
			Kind: w.kind, ID: row.ID, FoundAt: clerk.At(w.Now()), Cause: w.signs.cause(0, 0),
		}})
	}
}

// unlisted hides rows of a kind without a read by id once two whole lists, some time apart, lack them.
func (w *walking) unlisted(ctx context.Context, lacking []store.Sight) error {
	now := w.Now()
	maps.DeleteFunc(w.suspects, func(key store.Key, _ suspect) bool {
		_, listed := w.seen[key.ID]
		return key.Kind == w.kind && listed
	})
	for _, row := range lacking {
		key := store.Key{Kind: w.kind, ID: row.ID}
		before, twice := w.suspects[key]
		switch {
		case !twice || w.dryRun:
			w.left([]store.Sight{row})
			if !w.dryRun {
				w.suspects[key] = suspect{key: key, since: w.since, at: w.walk.BegunAt.Time()}
			}
		case now.Sub(before.at) >= listsApart:
			if err := w.hide(ctx, &w.report, before, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
