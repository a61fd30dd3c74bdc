package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// A cancelled backfill continues where it stopped.
func TestBackfillIsResumed(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 400, Organizations: 10, Memberships: 400}, func(e *env) {
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		ctx, cancel := context.WithCancel(e.Context())
		_, err := e.Reconciler.Backfill(ctx, func(p mirror.SyncProgress) {
			if p.Kind == clerk.KindMembership && p.Rows >= 200 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			e.Fatal(err)
		}
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		first := 0
		report, err := e.Reconciler.Backfill(e.Context(), func(p mirror.SyncProgress) {
			if first == 0 {
				first = p.Rows
			}
		})
		e.Must(err)
		if first < 200 || !report.Complete() {
			e.Errorf("went on at %d: %+v", first, report)
		}
		if done, err := e.Reconciler.Backfilled(e.Context()); !done || err != nil {
			e.Error(done, err)
		}
		e.AssertMirrorsClerk()
	})
}

// A process that sleeps longer than its lease writes nothing more.
func TestPausedReconcilerIsFenced(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 100}, func(e *env) {
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20, Lease: 9 * time.Minute}) // renews too late
		written := 0                                                                                    // transactions, of one page or several
		_, err := e.Reconciler.Backfill(e.Context(), func(mirror.SyncProgress) {
			if written++; written == 1 {
				_, err := e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20}).Backfill(e.Context(), nil)
				if !errors.Is(err, mirror.ErrSyncBusy) {
					e.Errorf("two processes at a time: %v", err)
				}
				e.Must(e.DB.ReleaseLease(e.Context(), store.Lease{Name: "reconcile", Token: 1})) // as if it had run out
				_, err = e.NewReconciler(testkit.ReconcilerOptions{}).Backfill(e.Context(), nil)
				e.Must(err)
			}
		})
		if !errors.Is(err, store.ErrFenced) || written != 1 {
			e.Errorf("%d pages were written, %v", written, err)
		}
		e.AssertMirrorsClerk()
	})
}

// An instance without organizations is complete without them.
func TestWithoutOrganizations(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.DisableOrganizations()
		if report := e.Backfill(); !report.Complete() || !report.Kinds[1].Refused {
			e.Errorf("%+v", report)
		}
		if done, err := e.Reconciler.Backfilled(e.Context()); !done || err != nil {
			e.Error(done, err)
		}
		e.AssertMirrorsClerk()
	})
}
