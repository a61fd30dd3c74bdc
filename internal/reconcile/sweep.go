package reconcile

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// verifyAtOnce bounds what one call of Tick reads by id.
const verifyAtOnce = 100

// Tick does what is due every minute: a sweep, the verify queue, and rows whose deletion wants confirming.
func (r *Reconciler) Tick(ctx context.Context) (*Report, error) {
	return r.lead(ctx, false, func(ctx context.Context, s *session) error {
		if err := s.sweep(ctx); err != nil {
			return err
		}
		if err := s.settle(ctx, false); err != nil {
			return err
		}
		return s.verify(ctx)
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
	signs, err := s.signs(ctx, clerk.KindUser)
	if err != nil {
		return err
	}
	k := s.of(clerk.KindUser)
	newest, met := walk.Watermark, false
	_, err = s.API.Walk(ctx, clerkapi.RecentUsers(), "", func(p clerkapi.Page) error {
		k.Rows += len(p.Rows)
		if p.Seen == len(p.Rows) { // the first page
			newest = max(newest, p.Rows[0].Get("updated_at").Time())
		}
		rows, end := p.Rows, false
		for i, row := range rows {
			if beyond(row.Get("updated_at").Time(), walk.Watermark) {
				rows, end = rows[:i], true
				break
			}
		}
		if err := s.news(ctx, k, signs, rows, p); err != nil {
			return err
		}
		if met = end; end {
			return clerkapi.ErrStop
		}
		return nil
	})
	if err == nil && !met {
		k.Total, err = s.API.Total(ctx, clerkapi.All(clerk.KindUser), clerkapi.Background)
	}
	switch {
	case err != nil:
		return err
	case !met && k.Rows < k.Total: // a page was cut short: what it lacks may be news
		k.Reason = "the list ended before what is known"
		return nil
	}
	k.Complete = true
	if newest == walk.Watermark {
		return nil
	}
	walk.Watermark = newest
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CheckLease(ctx, s.lease); err != nil {
			return err
		}
		return tx.SaveWalk(ctx, walk)
	})
}

// news applies rows of a sweep.
func (s *session) news(ctx context.Context, k *KindReport, signs signs, rows []clerk.Value, p clerkapi.Page) error {
	if len(rows) == 0 {
		return nil
	}
	var drift []store.Drift
	_, err := s.Ingest.ApplyPage(ctx, ingest.Page{Kind: clerk.KindUser, Rows: rows, ObservedAt: p.ObservedAt()},
		s.under(func(ctx context.Context, tx *store.Tx, found []ingest.Difference) error {
			drift = s.drift(found, signs, p.Date)
			return tx.AppendDrift(ctx, drift)
		}))
	if err == nil {
		s.count(k, drift)
	}
	return err
}

// verify reads by id what is in doubt, the oldest first.
func (s *session) verify(ctx context.Context) error {
	left := verifyAtOnce
	for _, kind := range append(Kinds(), clerk.KindSession) {
		if !readable(kind) || left <= 0 {
			continue
		}
		ids, err := s.DB.DoubtsOf(ctx, kind, left)
		if err != nil {
			return err
		}
		left -= len(ids)
		for _, id := range ids {
			key := store.Key{Kind: kind, ID: id}
			row, err := s.DB.Sight(ctx, key)
			if err != nil {
				return err
			}
			if _, err := s.ask(ctx, s.of(kind), suspect{key: key, user: row.UserID, organization: row.OrganizationID}); err != nil {
				return err
			}
		}
	}
	return nil
}
