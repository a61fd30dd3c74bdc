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
	seen     map[string]struct{}
	since    int64     // write counter from before the first page was asked for
	began    time.Time // the walk, by our own clock
}

// Backfill reads everything that Clerk has. One that was ended goes on where it was; when all was read, it begins anew.
func (r *Reconciler) Backfill(ctx context.Context, progress func(Progress)) (*Report, error) {
	return r.lead(ctx, Options{}, func(ctx context.Context, s *session) error {
		walks, err := r.DB.Walks(ctx)
		if err != nil {
			return err
		}
		var refused error
		anew := backfilled(walks)
		for _, kind := range Kinds() {
			w := walks[string(kind)]
			if w.BackfilledAt != 0 && !anew {
				s.report.Kinds = append(s.report.Kinds, KindReport{Kind: kind, Rows: int(w.Rows), Total: int(w.Rows), Complete: w.Complete, Reason: w.Reason})
				continue
			}
			if err := s.list(ctx, kind, Options{Progress: progress}, true, w); errors.Is(err, clerkapi.ErrRefused) {
				refused = errors.Join(refused, err) // of one list; the others are read all the same
			} else if err != nil {
				return err
			}
		}
		return refused
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
				return fmt.Errorf("%s: Clerk did not tell twice something older than what is stored; there is no regression to accept", id)
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
	if Organizational(kind) && clerkapi.OrganizationsDisabled(err) {
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
	w.began = w.Now()
	if from == "" {
		at, err := w.DB.Clock(ctx, clerk.At(w.began))
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
	walked, err := w.API.Walk(ctx, clerkapi.All(w.kind), from, func(p clerkapi.Page) error {
		if w.since < 0 {
			w.since = p.Horizon.Since
		}
		page := ingest.Page{Kind: w.kind, Rows: p.Rows, ObservedAt: p.ObservedAt(), Since: p.Horizon.Since, New: w.first, Known: w.known}
		return apply(prepared{p, w.Ingest.PreparePage(page)})
	})
	err = cmp.Or(end(), err)
	w.report.Rows, w.report.Total = walked.Distinct, walked.After
	w.report.Complete, w.report.Reason = walked.Complete && err == nil, walked.Reason
	w.listed[w.kind] = w.seen
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

// prepared is a page on its way into the mirror.
type prepared struct {
	clerkapi.Page
	read *ingest.PreparedPage
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
	}
	p.read = ingest.Join(reads...)
	return p
}

// page applies a page, and keeps with it how far the walk is.
func (w *walking) page(ctx context.Context, p prepared) error {
	if !w.first {
		for _, row := range p.Rows {
			w.seen[strings.Clone(row.Get("id").String())] = struct{}{} // a copy: the text is a part of the page
		}
	}
	next := w.walk
	next.Rows = int64(p.Seen)
	if w.first {
		next.Cursor = string(p.Next)
	}
	note := w.note(w.signs, p.Answer)
	// who ends the walk does not take back a page that has come
	err := w.session.page(context.WithoutCancel(ctx), &w.report, p.read,
		func(ctx context.Context, tx *store.Tx, found []ingest.Difference) (drift []store.Drift, err error) {
			if !w.first {
				drift, err = note(ctx, tx, found)
			}
			if err != nil || w.dryRun {
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
	if failed == nil && w.report.Complete && !w.first {
		failed = w.absences(ctx, o.AllowMassDelete)
	}
	if w.dryRun {
		return failed
	}
	ended, err := w.DB.Clock(ctx, clerk.At(w.Now()))
	if err != nil {
		return err
	}
	walk := w.walk
	walk.Cursor, walk.EndedAt, walk.Complete, walk.Reason = "", ended, w.report.Complete, w.report.Reason
	walk.Refused = w.report.Refused
	walk.Rows, walk.Found, walk.Repaired = int64(w.report.Rows), int64(w.report.Found), int64(w.report.Repaired)
	walk.Left = walk.Found - walk.Repaired
	if walk.Complete {
		walk.CompleteAt, walk.CompleteWrite = walk.BegunAt, w.since
	}
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
	if tooMany(len(lacking), rows) && !allowed {
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

// lacking are the rows that the list should have had.
func (w *walking) lacking(ctx context.Context) (lacking []store.Sight, err error) {
	for after, more := "", true; more; {
		ids, err := w.DB.IDs(ctx, w.kind, after, idsAtOnce)
		if err != nil {
			return nil, err
		}
		if more = len(ids) == idsAtOnce; more {
			after = ids[len(ids)-1]
		}
		unseen := slices.DeleteFunc(ids, func(id string) bool { _, seen := w.seen[id]; return seen })
		rows, err := w.DB.StandingOf(ctx, w.kind, unseen)
		if err != nil {
			return nil, err
		}
		for _, row := range missing(rows, w.seen, w.since) {
			if !w.suspected(row) {
				lacking = append(lacking, row)
			}
		}
	}
	return lacking, nil
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

// acquitListed forgets what was thought to be gone, and was listed.
func (w *walking) acquitListed(ctx context.Context) error {
	var listed []store.Key
	for key, x := range w.suspects {
		if _, seen := w.seen[key.ID]; seen && key.Kind == w.kind && (x.Reason == store.SuspectGone || x.Reason == store.SuspectUnlisted) {
			listed = append(listed, key)
		}
	}
	return w.acquit(ctx, listed...)
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
	var first []store.Suspect
	for _, row := range lacking {
		key := store.Key{Kind: w.kind, ID: row.ID}
		before := w.suspects[key]
		twice := before.Reason == store.SuspectUnlisted && row.Written <= before.Since
		if twice && clerk.At(w.began) >= before.DueAt && !w.dryRun {
			if err := w.hide(ctx, &w.report, before, 0); err != nil {
				return err
			}
			continue
		}
		w.left([]store.Sight{row})
		if !twice {
			due := clerk.At(w.began.Add(listsApart))
			first = append(first, store.Suspect{Key: key, Reason: store.SuspectUnlisted, Since: w.since, DueAt: due, Attempts: 1})
		}
	}
	return w.suspect(ctx, first...)
}
