package reconcile

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// verifyAtOnce bounds what one call of Tick reads by id of the verify queue.
const verifyAtOnce = 100

// Tick does what is due every minute: a sweep, suspects whose answer wants confirming, the verify queue, and the sessions
// of some users who were active lately. What it reads is bounded.
func (r *Reconciler) Tick(ctx context.Context) (*Report, error) {
	return r.lead(ctx, Options{}, func(ctx context.Context, s *session) error {
		for _, work := range []func(context.Context) error{
			s.sweep,
			func(ctx context.Context) error { return s.settle(ctx, settleAtOnce) },
			s.verify,
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

// sweep reads the users who were changed last, until what is known begins. Before there is a watermark it does nothing: a
// walk of all users sets the first.
func (s *session) sweep(ctx context.Context) error {
	walks, err := s.DB.Walks(ctx)
	walk := walks[string(clerk.KindUser)]
	if err != nil || walk.Watermark == 0 {
		return err
	}
	began, err := s.DB.Clock(ctx, clerk.At(s.Now()))
	if err != nil {
		return err
	}
	newest, err := s.recent(ctx, walk.Watermark-clerk.Time(overlap.Milliseconds()), nil)
	if err != nil {
		return err
	}
	walk.Watermark, walk.SweptAt = max(newest, walk.Watermark), began
	return s.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, walk) })
}

// recent reads the users who were changed at a time or later, the last changed first, and answers when the last was.
func (s *session) recent(ctx context.Context, since clerk.Time, progress func(Progress)) (newest clerk.Time, err error) {
	signs, err := s.signs(ctx, clerk.KindUser)
	if err != nil {
		return 0, err
	}
	k := s.of(clerk.KindUser)
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
		if len(rows) > 0 {
			page := ingest.Page{Kind: clerk.KindUser, Rows: rows, ObservedAt: p.ObservedAt()}
			if err := s.page(ctx, k, page.Prepare(), s.note(signs, p.Answer)); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(Progress{clerk.KindUser, k.Rows, -1})
		}
		if end {
			return clerkapi.ErrStop
		}
		return nil
	})
	k.Complete = err == nil
	return newest, err
}

// verify reads by id what is in doubt, the oldest first.
func (s *session) verify(ctx context.Context) error {
	left := verifyAtOnce
	for _, kind := range append(Kinds(), clerk.KindSession) {
		if !readable(kind) || left <= 0 {
			continue
		}
		ids, err := s.DB.DoubtsOf(ctx, kind, s.now(), left)
		if err != nil {
			return err
		}
		left -= len(ids)
		for _, id := range ids {
			if _, err := s.ask(ctx, s.of(kind), store.Key{Kind: kind, ID: id}); err != nil {
				return err
			}
		}
	}
	return nil
}
