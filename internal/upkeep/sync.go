package upkeep

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/mirror"
)

const (
	sweepEvery = time.Minute
	// verifyEvery is how often the verify queue is read in between.
	verifyEvery = 5 * time.Second
	// leaseWait is how long a command waits for another process that reads Clerk: longer than a
	// sweep takes.
	leaseWait = 90 * time.Second
	// leaseRetry is how often the lease is tried for: a process that died with it keeps it for 30
	// seconds.
	leaseRetry = 5 * time.Second
)

// Work names what was done in the background.
type Work string

// The kinds of background work with Clerk.
const (
	Nothing  Work = ""
	Backfill Work = "backfill"
	Walk     Work = "walk"
	Sweep    Work = "sweep"
	Reading  Work = "status" // of what is due
)

// Backfill reads everything from Clerk, or the rest of an interrupted backfill. It waits for
// another process that reads.
func (u *Upkeep) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return u.waitForLease(ctx, func() (*mirror.SyncReport, error) { return u.TryBackfill(ctx, progress) })
}

// TryBackfill is Backfill, and returns [mirror.ErrSyncBusy] while another process reads.
func (u *Upkeep) TryBackfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	if u.config.Reconciler == nil {
		return nil, mirror.ErrNoSecretKey
	}
	if err := u.closeGap(ctx); err != nil {
		return nil, err
	}
	return u.config.Reconciler.Backfill(ctx, progress)
}

// Reconcile compares everything with Clerk and repairs what differs. It waits for another process
// that reads.
func (u *Upkeep) Reconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	return u.waitForLease(ctx, func() (*mirror.SyncReport, error) { return u.TryReconcile(ctx, o) })
}

// TryReconcile is Reconcile, and returns [mirror.ErrSyncBusy] while another process reads.
func (u *Upkeep) TryReconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	if u.config.Reconciler == nil {
		return nil, mirror.ErrNoSecretKey
	}
	if !o.DryRun {
		if err := u.closeGap(ctx); err != nil {
			return nil, err
		}
	}
	return u.config.Reconciler.Walk(ctx, o)
}

// closeGap forgets processes that were killed: what is compared from now on is proven again.
func (u *Upkeep) closeGap(ctx context.Context) error {
	return u.db.CloseGap(ctx, clerk.TimeOf(u.config.Now()), status.Abandoned)
}

// waitForLease repeats work while another process reads Clerk, for a while.
func (u *Upkeep) waitForLease(ctx context.Context, work func() (*mirror.SyncReport, error)) (*mirror.SyncReport, error) {
	for end := time.Now().Add(leaseWait); ; {
		report, err := work()
		if !errors.Is(err, mirror.ErrSyncBusy) || time.Now().After(end) {
			return report, err
		}
		if !wait(ctx, time.Second) {
			return report, ctx.Err()
		}
	}
}

// runReconcile reads Clerk in the background until the context ends.
func (u *Upkeep) runReconcile(ctx context.Context) {
	if u.config.Reconciler == nil || u.config.DisableBackfill && u.config.DisableReconcile {
		return
	}
	var walked time.Time // when a walk was tried last: a walk that fails is not tried again each minute
	for ctx.Err() == nil {
		work, report, err := u.SyncOnce(ctx, walked.IsZero() || time.Since(walked) >= u.config.Schedule.Retry())
		if work == Walk {
			walked = time.Now()
		}
		pause := sweepEvery
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, mirror.ErrSyncBusy): // another replica reads
			pause = leaseRetry
		case err != nil:
			u.config.Logger.Error("Clerk could not be read", "work", work, "error", err)
		case report != nil && (work != Sweep || report.Found > 0):
			u.config.Logger.Info("Clerk was read", "work", work, "complete", report.Complete(), "drift_found", report.Found, "drift_repaired", report.Repaired)
		}
		if u.Pause(ctx, pause) {
			walked = time.Time{}
		}
	}
}

// Pause waits for the next work. Meanwhile, rows that come into the verify queue are read within
// seconds. It returns true at once when everything has to be compared again.
func (u *Upkeep) Pause(ctx context.Context, pause time.Duration) bool {
	for end := time.Now().Add(pause); ctx.Err() == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
		case <-u.resync:
			return true
		case <-time.After(min(verifyEvery, time.Until(end))):
			if err := u.Verify(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, mirror.ErrSyncBusy) {
				u.config.Logger.Debug("the verify queue could not be read from Clerk", "error", err) // the next sweep reports it
			}
		}
	}
	return false
}

// Verify reads from Clerk what waits in the verify queue.
func (u *Upkeep) Verify(ctx context.Context) error {
	if u.config.DisableReconcile {
		return nil
	}
	due, err := u.db.VerifyDue(ctx, clerk.TimeOf(u.config.Now()))
	if err == nil && due {
		_, err = u.config.Reconciler.ReadVerifyQueue(ctx)
	}
	return err
}

// SyncOnce does what is due: the backfill, else a walk of everything, else a sweep.
func (u *Upkeep) SyncOnce(ctx context.Context, mayWalk bool) (Work, *mirror.SyncReport, error) {
	walks, err1 := u.db.Walks(ctx)
	now, err2 := u.db.Clock(ctx, clerk.TimeOf(u.config.Now()))
	life, err3 := u.db.Life(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return Reading, nil, err
	}
	due := u.config.Schedule.Due(reconcile.Kinds(), walks, life.ProvenFrom, now)
	filled := !slices.ContainsFunc(reconcile.Kinds(), func(kind clerk.Kind) bool { return walks[string(kind)].BackfilledAt == 0 })
	switch {
	case !filled && !u.config.DisableBackfill:
		report, err := u.config.Reconciler.Backfill(ctx, nil)
		return Backfill, report, err
	case u.config.DisableReconcile:
		return Nothing, nil, nil
	case due && filled && mayWalk:
		report, err := u.config.Reconciler.Walk(ctx, mirror.ReconcileOptions{})
		return Walk, report, err
	}
	report, err := u.config.Reconciler.Tick(ctx)
	return Sweep, report, err
}
