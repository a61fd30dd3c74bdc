package reconcile

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

const (
	verifyAtOnce = 100 // reads of the verify queue in one call of Tick
	drainRounds  = 100 // how many times that in a walk
)

// ReadVerifyQueue reads by id the rows of the verify queue that are due, and nothing else. Such
// rows grant no access, and nothing is in sync while there are any, so they do not wait for the
// next call of Tick.
func (r *Reconciler) ReadVerifyQueue(ctx context.Context) (*mirror.SyncReport, error) {
	return r.withLease(ctx, mirror.ReconcileOptions{}, func(ctx context.Context, current *run) error {
		_, err := current.verify(ctx)
		return err
	})
}

// verify reads by id what is in the verify queue, the oldest first, and returns how many objects it
// read.
func (r *run) verify(ctx context.Context) (read int, err error) {
	for _, kind := range append(Kinds(), clerk.KindSession) {
		if !converge.Readable(kind) || read == verifyAtOnce {
			continue
		}
		ids, err := r.DB.VerifyQueueOf(ctx, kind, r.now(), verifyAtOnce-read)
		if err != nil {
			return read, err
		}
		for _, id := range ids {
			if _, err := r.readByID(ctx, r.kindReport(kind), row.Key{Kind: kind, ID: id}); err != nil {
				return read, err
			}
			read++
		}
	}
	return read, nil
}

// drainVerifyQueue empties the verify queue, unless it fills faster than it can be read.
func (r *run) drainVerifyQueue(ctx context.Context) error {
	for range drainRounds {
		if read, err := r.verify(ctx); err != nil || read < verifyAtOnce {
			return err
		}
	}
	return nil
}
