package reconcile

import (
	"context"
	"errors"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Backfill reads everything that Clerk has, and reads by id what is stored and was not listed, as a
// walk does. An interrupted backfill continues where it stopped. If everything was read before, it
// starts again.
func (r *Reconciler) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return r.withLease(ctx, mirror.ReconcileOptions{}, func(ctx context.Context, current *run) error {
		return current.backfill(ctx, progress)
	})
}

func (r *run) backfill(ctx context.Context, progress func(mirror.SyncProgress)) error {
	walks, err := r.DB.Walks(ctx)
	if err != nil {
		return err
	}
	again := backfilled(walks)
	read := Kinds()[:0:0]
	var failed error // of some kinds; the others are read nevertheless
	for _, kind := range Kinds() {
		w := walks[string(kind)]
		if w.BackfilledAt != 0 && !again {
			r.report.Kinds = append(r.report.Kinds, mirror.KindReport{
				Kind: kind, Rows: int(w.Rows), Total: int(w.Rows), Complete: w.Complete, Reason: w.Reason,
			})
			continue
		}
		read = append(read, kind)
		err := r.walkList(ctx, kind, mirror.ReconcileOptions{Progress: progress}, true, w)
		_, mass := errors.AsType[*mirror.MassDeletionError](err)
		switch {
		case mass || errors.Is(err, clerkapi.ErrRefused):
			failed = errors.Join(failed, err)
		case err != nil:
			return err
		}
	}
	if err := r.settleAll(ctx, nil, progress); err != nil {
		return err
	}
	return errors.Join(failed, r.saveTotals(ctx, read))
}

// Backfilled reports whether every kind was read to its end once.
func (r *Reconciler) Backfilled(ctx context.Context) (bool, error) {
	walks, err := r.DB.Walks(ctx)
	return backfilled(walks), err
}

func backfilled(walks map[string]store.Walk) bool {
	for _, kind := range Kinds() {
		if walks[string(kind)].BackfilledAt == 0 {
			return false
		}
	}
	return true
}
