package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Walk compares everything with Clerk and repairs what differs. If rows may be deleted, or older at
// Clerk, it waits the minute after which a second answer counts.
func (r *Reconciler) Walk(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	return r.withLease(ctx, o, func(ctx context.Context, current *run) error { return current.walk(ctx, o) })
}

func (r *run) walk(ctx context.Context, o mirror.ReconcileOptions) error {
	walks, err := r.DB.Walks(ctx)
	if err != nil {
		return err
	}
	kinds := o.Kinds
	if len(kinds) == 0 {
		kinds = Kinds()
	}
	var refused error // of some lists; the others are compared nevertheless
	for _, kind := range kinds {
		err := r.walkKind(ctx, kind, o, walks[string(kind)])
		if errors.Is(err, clerkapi.ErrRefused) {
			refused = errors.Join(refused, err)
		} else if err != nil {
			return err
		}
	}
	if o.DryRun {
		return refused
	}
	if len(o.Kinds) == 0 {
		if err := r.drainVerifyQueue(ctx); err != nil {
			return err
		}
	}
	if err := r.settleAll(ctx, o.Kinds, o.Progress); err != nil {
		return err
	}
	if err := r.saveTotals(ctx, kinds); err != nil {
		return err
	}
	for _, id := range o.AcceptRegression {
		if !slices.Contains(r.accepted, id) {
			return fmt.Errorf("%s: nothing to accept: Clerk did not return, twice and a minute apart, a state that contradicts "+
				"the stored one (older, or deleted here); an erased user stays erased", id)
		}
	}
	return refused
}

func (r *run) walkKind(ctx context.Context, kind clerk.Kind, o mirror.ReconcileOptions, before store.Walk) error {
	switch {
	case kind == clerk.KindSession:
		return r.walkSessions(ctx, o)
	case kind == clerk.KindUser && !o.Since.IsZero():
		r.kindReport(kind).Since = o.Since
		_, _, err := r.walkRecentUsers(ctx, clerk.TimeOf(o.Since), nil, o.Progress)
		return err
	}
	return r.walkList(ctx, kind, o, false, before)
}

// saveTotals adds to the stored walks the drift that was found while suspects were settled.
func (r *run) saveTotals(ctx context.Context, kinds []clerk.Kind) error {
	walks, err := r.DB.Walks(ctx)
	if err != nil {
		return err
	}
	return r.write(ctx, func(tx *store.Tx) error {
		for _, k := range r.report.Kinds {
			w, stored := walks[string(k.Kind)]
			unrepaired := int64(k.Found - k.Repaired)
			switch {
			case !stored || !slices.Contains(kinds, k.Kind):
				continue
			case !k.Since.IsZero(): // a part of the list says nothing about the rest
				if unrepaired <= w.Left {
					continue
				}
			case w.Found == int64(k.Found) && w.Repaired == int64(k.Repaired):
				continue
			default:
				w.Found, w.Repaired = int64(k.Found), int64(k.Repaired)
			}
			w.Left = unrepaired
			if err := tx.SaveWalk(ctx, w); err != nil {
				return err
			}
			if id := r.walked[k.Kind]; id != "" {
				if err := tx.CorrectWalkRun(ctx, id, w.Found, w.Repaired); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
