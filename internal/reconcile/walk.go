package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	seen     map[string]struct{} // ids, in a dry run: it cannot note in the rows that the list has them
	conflict map[store.Key]bool  // listed, although deleted here
	resumed  bool                // the first pages were read by another process
	began    time.Time           // the walk, by our own clock
}

// Backfill reads everything that Clerk has, and asks for what is stored and was not listed, as a walk does. One that was
// interrupted continues where it was; when everything was read before, it starts again.
func (r *Reconciler) Backfill(ctx context.Context, progress func(Progress)) (*Report, error) {
	return r.lead(ctx, Options{}, func(ctx context.Context, s *session) error {
		walks, err := r.DB.Walks(ctx)
		if err != nil {
			return err
		}
		var refused error
		anew := backfilled(walks)
		var kinds []clerk.Kind
		var mass error // of one kind; the others are read all the same
		for _, kind := range Kinds() {
			w := walks[string(kind)]
			if w.BackfilledAt != 0 && !anew {
				s.report.Kinds = append(s.report.Kinds, KindReport{Kind: kind, Rows: int(w.Rows), Total: int(w.Rows), Complete: w.Complete, Reason: w.Reason})
				continue
			}
			kinds = append(kinds, kind)
			err := s.list(ctx, kind, Options{Progress: progress}, true, w)
			if _, many := errors.AsType[*MassDeletion](err); many {
				mass = errors.Join(mass, err)
			} else if errors.Is(err, clerkapi.ErrRefused) {
				refused = errors.Join(refused, err) // of one list; the others are read all the same
			} else if err != nil {
				return err
			}
		}
		if err := s.settleAll(ctx, nil, progress); err != nil {
			return err
		}
		return errors.Join(mass, refused, s.recount(ctx, kinds))
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

// Walk compares everything with Clerk and repairs what differs. Where rows may be deleted, or older at Clerk, it waits for
// the minute after which that is asked again.
func (r *Reconciler) Walk(ctx context.Context, o Options) (*Report, error) {
	return r.lead(ctx, o, func(ctx context.Context, s *session) error {
		walks, err := r.DB.Walks(ctx)
		if err != nil {
			return err
		}
		var refused error
		kinds := o.Kinds
		if len(kinds) == 0 {
			kinds = Kinds()
		}
		for _, kind := range kinds {
			switch {
			case kind == clerk.KindSession:
				err = s.allSessions(ctx, o)
			case kind == clerk.KindUser && o.Since != 0:
				s.of(kind).Since = o.Since
				_, _, err = s.recent(ctx, o.Since, nil, o.Progress)
			default:
				err = s.list(ctx, kind, o, false, walks[string(kind)])
			}
			switch {
			case errors.Is(err, clerkapi.ErrRefused): // one list; the others are compared all the same
				refused = errors.Join(refused, err)
			case err != nil:
				return err
			}
		}
		if o.DryRun {
			return refused
		}
		if len(o.Kinds) == 0 {
			if err := s.drain(ctx); err != nil {
				return err
			}
		}
		if err := s.settleAll(ctx, o.Kinds, o.Progress); err != nil {
			return err
		}
		if err := s.recount(ctx, kinds); err != nil {
			return err
		}
		for _, id := range o.AcceptRegression {
			if !slices.Contains(s.accepted, id) {
				return fmt.Errorf("%s: Clerk did not tell twice, a minute apart, something that contradicts what is stored (older, or deleted here), "+
					"so that there is nothing to accept; who was erased here stays erased", id)
			}
		}
		return refused
	})
}

// recount keeps what settling added to the walks' figures.
func (s *session) recount(ctx context.Context, kinds []clerk.Kind) error {
	walks, err := s.DB.Walks(ctx)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *store.Tx) error {
		for _, k := range s.report.Kinds {
			w, known := walks[string(k.Kind)]
			left := int64(k.Found - k.Repaired)
			switch {
			case !known || !slices.Contains(kinds, k.Kind):
				continue
			case k.Since != 0: // a part of the list: what it left is known, and says nothing of the rest
				if left <= w.Left {
					continue
				}
			case w.Found == int64(k.Found) && w.Repaired == int64(k.Repaired):
				continue
			default:
				w.Found, w.Repaired = int64(k.Found), int64(k.Repaired)
			}
			w.Left = left
			if err := tx.SaveWalk(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// list walks one list until it is proven to be whole, or tried often enough.
func (s *session) list(ctx context.Context, kind clerk.Kind, o Options, first bool, before store.Walk) error {
	ctx, span := s.Tracer.Start(ctx, "clerksync.walk "+string(kind))
	defer span.End()
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
	if first && before.Start.ObservedAt != 0 { // earlier versions did not note when a backfill began
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
	if Organizational(kind) && clerkapi.OrganizationsDisabled(err) {
		w.report.Refused, err = true, nil
	}
	if err == nil {
		err = w.end(ctx, watermark, o)
	} else if errors.Is(err, clerkapi.ErrRefused) && !w.dryRun {
		err = errors.Join(err, w.turnedAway(ctx, err))
	}
	if err != nil && w.report.Reason == "" {
		w.report.Reason = err.Error()
	}
	s.report.Kinds = append(s.report.Kinds, w.report)
	return err
}

// turnedAway keeps that Clerk refused the list. The walk before was whole, but it is not the last one any more: what Clerk
// refuses now cannot be compared, and that is known.
func (w *walking) turnedAway(ctx context.Context, cause error) error {
	ended, err := w.DB.Clock(ctx, clerk.TimeOf(w.Now()))
	if err != nil {
		return err
	}
	walk := w.walk
	if w.began.IsZero() { // not even its first page was asked for
		walk.BegunAt = ended
	}
	walk.EndedAt, walk.Complete, walk.Refused, walk.Reason = ended, false, false, cause.Error()
	return w.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) })
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
	w.seen, w.conflict, w.resumed = map[string]struct{}{}, map[store.Key]bool{}, from != ""
	w.walk.EndedAt = 0
	w.began = w.Now()
	if !w.resumed {
		at, err := w.DB.Clock(ctx, clerk.TimeOf(w.began))
		if err != nil {
			return err
		}
		w.walk.BegunAt = at
	}
	most := 1
	if w.first {
		most = pagesAtOnce
	}
	apply, end := aside(most, func(pages []prepared) error { return w.page(ctx, joined(pages)) })
	begun := w.resumed // its start is that of the process that asked for the first page
	walked, err := w.API.Walk(ctx, clerkapi.All(w.kind), from, func(p clerkapi.Page) error {
		if !begun { // before the first page is given away
			w.walk.Start, begun = startOf(p.Answer), true
		}
		page := ingest.Page{Kind: w.kind, Rows: p.Rows, ObservedAt: p.ObservedAt(), Since: p.Horizon.Since, New: w.first, Known: w.known}
		return apply(prepared{p, w.Ingest.PreparePage(page), page.ObservedAt})
	})
	err = cmp.Or(end(), err)
	if !begun { // not a single row came
		w.walk.Start = startOf(walked.Began)
	}
	w.report.Rows, w.report.Total = walked.Distinct, walked.After
	w.report.Complete, w.report.Reason = walked.Complete && err == nil, walked.Reason
	w.listed[w.kind] = w.walk.Start.Write
	if err != nil {
		w.report.Reason = err.Error()
	}
	return err
}

// startOf is when a walk began, by its first answer. Clerk's clock tells whole seconds.
func startOf(a clerkapi.Answer) store.Start {
	start := store.Start{Write: a.Horizon.Since, ObservedAt: a.ObservedAt()}
	if a.Date != 0 {
		start.By = max(a.Date+clerk.Time(time.Second.Milliseconds()), start.ObservedAt)
	}
	return start
}

// prepared is a page on its way into the mirror.
type prepared struct {
	clerkapi.Page
	read     *ingest.PreparedPage
	earliest clerk.Time // the ObservedAt of the earliest of the pages that it was joined from
}

// pagesAtOnce is how many pages of a backfill are written in one transaction, where they come faster than they are
// written. It bounds how long an event waits for them: 2,000 rows take a tenth of a second or two.
const pagesAtOnce = 4

// joined makes one page of several, which ends where the last of them does.
func joined(pages []prepared) prepared {
	p := pages[len(pages)-1]
	reads := make([]*ingest.PreparedPage, len(pages))
	for i := range pages {
		reads[i] = pages[i].read
		p.earliest = min(p.earliest, pages[i].earliest)
	}
	p.read = ingest.Join(reads...)
	return p
}

// page applies a page, and keeps with it how far the walk is.
func (w *walking) page(ctx context.Context, p prepared) error {
	if w.dryRun {
		for _, row := range p.Rows {
			w.seen[strings.Clone(row.Get("id").String())] = struct{}{} // a copy: the text is a part of the page
		}
	}
	next := w.walk
	next.Rows = int64(p.Seen)
	next.Start.ObservedAt = min(next.Start.ObservedAt, p.earliest)
	if w.first {
		next.Cursor = string(p.Next)
	}
	note := w.note(w.signs, p.Answer)
	// who ends the walk does not take back a page that has come
	err := w.session.page(context.WithoutCancel(ctx), &w.report, p.read,
		func(ctx context.Context, tx *store.Tx, found []ingest.Difference) (drift []store.Drift, err error) {
			for _, d := range found {
				if d.Conflict {
					w.conflict[d.Key] = true
				}
			}
			if w.first { // what a backfill brings is no drift
				found = slices.DeleteFunc(slices.Clone(found), func(d ingest.Difference) bool { return !stays(d) && !d.Altered })
			}
			if drift, err = note(ctx, tx, found); err != nil || w.dryRun {
				return drift, err
			}
			return drift, tx.SaveWalk(ctx, next)
		})
	if err != nil {
		return err
	}
	w.walk = next
	w.progress(Progress{Kind: w.kind, Rows: p.Seen, Total: p.Total})
	return nil
}

// end judges what the walk did not bring, and keeps how it went.
func (w *walking) end(ctx context.Context, watermark clerk.Time, o Options) error {
	failed := w.acquitListed(ctx)
	if failed == nil && w.report.Complete {
		if failed = w.proves(ctx); failed == nil {
			failed = w.absences(ctx, o.AllowMassDelete)
		}
	}
	_, mass := errors.AsType[*MassDeletion](failed)
	broken := failed != nil && !mass // what the list lacks was not judged
	if broken {
		w.report.Complete, w.report.Reason = false, failed.Error()
	}
	if w.dryRun || broken && w.first { // a backfill goes on from its last page
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
	walk.Rows, walk.Found, walk.Repaired = int64(w.report.Rows), int64(w.report.Found), int64(w.report.Repaired)
	walk.Left = walk.Found - walk.Repaired
	if walk.BackfilledAt == 0 {
		walk.BackfilledAt = walk.EndedAt
	}
	if walk.Complete || walk.Watermark == 0 { // else sweeps go on from where they are
		walk.Watermark = max(walk.Watermark, watermark)
	}
	if err := w.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) }); err != nil {
		return err
	}
	return failed
}

// proves stores when the walk of a whole list began, before the rows that the list lacks are judged: an event that comes
// later and brings an old object is then judged by it. If the process dies in between, what is not accounted for stays
// visible.
func (w *walking) proves(ctx context.Context) error {
	w.walk.Whole = w.walk.Start
	if w.dryRun {
		return nil
	}
	return w.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, w.walk) })
}
