package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	leaseName = "reconcile"
	leaseTTL  = 30 * time.Second
)

// run is one piece of work under the lease.
type run struct {
	*Reconciler
	lease     store.Lease
	dryRun    bool
	report    *mirror.SyncReport
	known     *ingest.SeenSet
	listBegan map[clerk.Kind]int64      // the head's write counter before the first page of each list
	suspects  map[row.Key]store.Suspect // as stored; a dry run stores nothing of what it changes here
	accept    []string                  // ids of objects that the operator wants set back
	refused   map[row.Key]bool          // objects that the application's OnChange refused
	walked    map[clerk.Kind]string     // ids of the walks in the history
	accepted  []string                  // those of them that were set back

	unanswered int // reads by id in a row that Clerk did not answer
}

// withLease does work while this process alone reconciles the database. A dry run writes nothing
// and takes no lease.
func (r *Reconciler) withLease(ctx context.Context, o mirror.ReconcileOptions, work func(context.Context, *run) error) (*mirror.SyncReport, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := &run{
		Reconciler: r, dryRun: o.DryRun, accept: o.AcceptRegression, known: ingest.NewSeenSet(),
		listBegan: map[clerk.Kind]int64{}, walked: map[clerk.Kind]string{}, refused: map[row.Key]bool{},
		report: &mirror.SyncReport{DryRun: o.DryRun, Drift: []mirror.Drift{}},
	}
	if o.DryRun {
		return current.report, current.do(ctx, work)
	}
	var err error
	current.lease, err = r.DB.AcquireLease(ctx, leaseName, r.holder, clerk.TimeOf(r.Now()), r.Lease, holder.Dead)
	if errors.Is(err, store.ErrLeaseHeld) {
		err = mirror.ErrSyncBusy
	}
	if err != nil {
		return current.report, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var renewing sync.WaitGroup
	stop := make(chan struct{})
	renewing.Go(func() { current.renewLease(ctx, stop, cancel) })
	err = current.do(ctx, work) // no request is sent to Clerk while another process holds the lease
	close(stop)
	renewing.Wait()
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, store.ErrFenced) {
		err = cause
	}
	return current.report, errors.Join(err, r.DB.ReleaseLease(context.WithoutCancel(ctx), current.lease))
}

// do checks the instance and loads the suspects before the work.
func (r *run) do(ctx context.Context, work func(context.Context, *run) error) error {
	if err := r.checkInstance(ctx, r.dryRun); err != nil {
		return err
	}
	if err := r.loadSuspects(ctx); err != nil {
		return err
	}
	return work(ctx, r)
}

// renewLease renews the lease while the work goes on, also while it waits for Clerk. If another
// process took the lease, it cancels the work.
func (r *run) renewLease(ctx context.Context, stop <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(r.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.DB.RenewLease(ctx, r.lease, clerk.TimeOf(r.Now()), r.Lease); errors.Is(err, store.ErrFenced) {
				cancel(err)
				return
			}
		}
	}
}

// write runs a transaction under the lease.
func (r *run) write(ctx context.Context, fn func(*store.Tx) error) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CheckLease(ctx, r.lease); err != nil {
			return err
		}
		return fn(tx)
	})
}

func (r *run) now() clerk.Time { return clerk.TimeOf(r.Now()) }

// in returns the time that is d from now.
func (r *run) in(d time.Duration) clerk.Time { return clerk.TimeOf(r.Now().Add(d)) }
