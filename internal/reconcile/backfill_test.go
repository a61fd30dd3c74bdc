package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// A backfill that was ended goes on where it was.
func TestBackfillIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 400, Organizations: 10, Memberships: 400}, func(l *lab) {
		l.r = l.reconciler(20, 0)
		ctx, cancel := context.WithCancel(l.Context())
		_, err := l.r.Backfill(ctx, func(p reconcile.Progress) {
			if p.Kind == clerk.KindMembership && p.Rows >= 200 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			l.Fatal(err)
		}
		l.r = l.reconciler(20, 0)
		first := 0
		report, err := l.r.Backfill(l.Context(), func(p reconcile.Progress) {
			if first == 0 {
				first = p.Rows
			}
		})
		l.must(err)
		if first < 200 || !report.Complete() {
			l.Errorf("went on at %d: %+v", first, report)
		}
		if done, err := l.r.Backfilled(l.Context()); !done || err != nil {
			l.Error(done, err)
		}
		l.equal()
	})
}

// Who sleeps longer than his lease writes nothing more.
func TestPausedReconcilerIsFenced(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
		l.r = l.reconciler(20, 9*time.Minute) // renews too late
		written := 0                          // transactions, of a page or some that came together
		_, err := l.r.Backfill(l.Context(), func(reconcile.Progress) {
			if written++; written == 1 {
				_, err := l.reconciler(20, 0).Backfill(l.Context(), nil)
				if !errors.Is(err, reconcile.ErrBusy) {
					l.Errorf("two at a time: %v", err)
				}
				l.must(l.db.ReleaseLease(l.Context(), store.Lease{Name: "reconcile", Token: 1})) // as if it had run out
				_, err = l.reconciler(0, 0).Backfill(l.Context(), nil)
				l.must(err)
			}
		})
		if !errors.Is(err, store.ErrFenced) || written != 1 {
			l.Errorf("%d pages were written, %v", written, err)
		}
		l.equal()
	})
}

// An instance without organizations is whole without them.
func TestWithoutOrganizations(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.no.Store(true)
		if report := l.backfill(); !report.Complete() || !report.Kinds[1].Refused {
			l.Errorf("%+v", report)
		}
		if done, err := l.r.Backfilled(l.Context()); !done || err != nil {
			l.Error(done, err)
		}
		l.equal()
	})
}
