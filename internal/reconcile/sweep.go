package reconcile

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// What is read by id of the verify queue in one call of Tick, and how many times that in a walk.
const (
	verifyAtOnce = 100
	drainRounds  = 100
)

// Tick does what is due every minute: a sweep, suspects whose answer wants confirming, the verify queue, and the sessions
// of some users who were active lately. What it reads is bounded.
func (r *Reconciler) Tick(ctx context.Context) (*Report, error) {
	ctx, span := r.Tracer.Start(ctx, "clerksync.sweep")
	defer span.End()
	return r.lead(ctx, Options{}, func(ctx context.Context, s *session) error {
		for _, work := range []func(context.Context) error{
			s.sweep,
			func(ctx context.Context) error { return s.settle(ctx, settleAtOnce) },
			func(ctx context.Context) error { _, err := s.verify(ctx); return err },
			s.someSessions,
		} {
			if err := work(ctx); err != nil {
				return err
			}
		}
		r.stats.sweptAt(s.Now())
		return nil
	})
}

// SettleDoubts reads by id what is in the verify queue and due, and nothing else: rows in doubt grant no access, and nothing
// is in sync while there are any, so that they do not wait for the next call of Tick.
func (r *Reconciler) SettleDoubts(ctx context.Context) (*Report, error) {
	return r.lead(ctx, Options{}, func(ctx context.Context, s *session) error {
		_, err := s.verify(ctx)
		return err
	})
}

// sweep reads the users who were changed last, until what is known begins. Before all users were read once it does nothing.
// An instance that had none then has no watermark: its users are all news.
func (s *session) sweep(ctx context.Context) error {
	walks, err := s.DB.Walks(ctx)
	walk := walks[string(clerk.KindUser)]
	if err != nil || walk.Watermark == 0 && walk.BackfilledAt == 0 {
		return err
	}
	began, err := s.DB.Clock(ctx, clerk.TimeOf(s.Now()))
	if err != nil {
		return err
	}
	left := map[string]clerk.Time{}
	newest, whole, err := s.recent(ctx, walk.Watermark-clerk.Time(overlap.Milliseconds()), s.leave(ctx, left), nil)
	if err != nil || !whole {
		return err
	}
	s.left = left
	if len(left) > 0 { // what was left may be as old
		began -= clerk.Time(onItsWay.Milliseconds())
	}
	walk.Watermark, walk.SweptAt = max(newest, walk.Watermark), began
	return s.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) })
}

// leave decides whether a change is left to its event, and notes it. A user who was left the last time, and whom no event
// has reached since, is not left again, however often they change.
func (s *session) leave(ctx context.Context, left map[string]clerk.Time) func(user clerk.Value, date clerk.Time) bool {
	return func(user clerk.Value, date clerk.Time) bool {
		id, at := user.Get("id").String(), user.Get("updated_at").Time()
		if !younger(at, date, onItsWay) || len(left) == idsAtOnce {
			return false
		}
		if before, again := s.left[id]; again {
			stored, err := s.DB.Sight(ctx, store.Key{Kind: clerk.KindUser, ID: id})
			if err != nil || stored.UpdatedAt < before {
				return false
			}
		}
		left[id] = at
		return true
	}
}

// recent reads the users who were changed at a time or later, the last changed first, and answers when the last was. Where
// events of users come, some may be left to them; nil: none.
func (s *session) recent(
	ctx context.Context, since clerk.Time, leave func(clerk.Value, clerk.Time) bool, progress func(Progress),
) (newest clerk.Time, whole bool, err error) {
	signs, err := s.signs(ctx, clerk.KindUser)
	if err != nil {
		return 0, false, err
	}
	k := s.of(clerk.KindUser)
	met := false
	_, err = s.API.Walk(ctx, clerkapi.RecentUsers(), "", func(p clerkapi.Page) error {
		if p.Seen == len(p.Rows) { // the first page
			newest = p.Rows[0].Get("updated_at").Time()
		}
		rows, end := p.Rows, false
		for i, row := range rows {
			if row.Get("updated_at").Time() < since {
				rows, end = rows[:i], true
				break
			}
		}
		k.Rows += len(rows)
		if signs.heard && leave != nil {
			rows = slices.DeleteFunc(rows, func(row clerk.Value) bool { return leave(row, p.Date) })
		}
		if len(rows) > 0 {
			page := ingest.Page{Kind: clerk.KindUser, Rows: rows, ObservedAt: p.ObservedAt(), Since: p.Horizon.Since}
			if err := s.page(ctx, k, s.Ingest.PreparePage(page), s.note(signs, p.Answer)); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(Progress{Kind: clerk.KindUser, Rows: k.Rows, Total: -1})
		}
		if met = end; end {
			return clerkapi.ErrStop
		}
		return nil
	})
	if err == nil && !met {
		k.Total, err = s.API.Total(ctx, clerkapi.All(clerk.KindUser), clerkapi.Background)
	}
	if err == nil && !met && k.Rows < k.Total { // a page was cut short: what it lacks may be news
		k.Complete, k.Reason = false, "the list ended before what is known"
		return 0, false, nil
	}
	k.Complete = err == nil
	return newest, k.Complete, err
}

// verify reads by id what is in doubt, the oldest first, and answers how many that were.
func (s *session) verify(ctx context.Context) (read int, err error) {
	for _, kind := range append(Kinds(), clerk.KindSession) {
		if !Readable(kind) || read == verifyAtOnce {
			continue
		}
		ids, err := s.DB.DoubtsOf(ctx, kind, s.now(), verifyAtOnce-read)
		if err != nil {
			return read, err
		}
		for _, id := range ids {
			if _, err := s.ask(ctx, s.of(kind), store.Key{Kind: kind, ID: id}); err != nil {
				return read, err
			}
			read++
		}
	}
	return read, nil
}

// drain empties the verify queue, unless it fills faster than it can be read.
func (s *session) drain(ctx context.Context) error {
	for range drainRounds {
		if read, err := s.verify(ctx); err != nil || read < verifyAtOnce {
			return err
		}
	}
	return nil
}
