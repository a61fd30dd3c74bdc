package reconcile_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// A backfill reads what exists without events. A walk without drift writes nothing. A deletion
// whose event was lost hides the row after a minute. There are three full pages of users, and more
// memberships than are read from the database at once.
func TestBackfillAndWalk(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 1500, Organizations: 60, Memberships: 1500}, func(e *env) {
		began := time.Now()
		report := e.Backfill()
		if !report.Complete() || report.Found != 0 {
			e.Errorf("%+v", report)
		}
		e.Logf("backfill: %s", time.Since(began))
		e.AssertMirrorsClerk()
		before, err := e.DB.Head(e.Context())
		e.Must(err)
		if report := e.Walk(mirror.ReconcileOptions{}); !report.Complete() || report.Found != 0 {
			e.Errorf("%+v", report)
		}
		after, err := e.DB.Head(e.Context())
		e.Must(err)
		list, err := e.DB.LiveRows(e.Context(), clerk.KindMembership, "", 10_000)
		e.Must(err)
		for _, row := range list {
			if row.Written > before.Writes {
				e.Fatalf("a walk without drift wrote %s", row.ID)
			}
		}
		if len(list) != 1500 || after.Seq != before.Seq {
			e.Errorf("%d memberships, %d changes", len(list), after.Seq-before.Seq)
		}
		e.LoseEvents()
		user := e.AnyRow(clerk.KindUser).ID
		e.Call("DELETE", "/v1/users/"+user, nil)
		if report := e.Walk(mirror.ReconcileOptions{DryRun: true}); report.Found != 1 || report.Repaired != 0 {
			e.Errorf("%+v", report)
		}
		if report := e.Walk(mirror.ReconcileOptions{}); report.Repaired != 1 || e.Waited() < 50*time.Second {
			e.Errorf("%+v after %s", report, e.Waited())
		}
		e.AssertMirrorsClerk()
		walks, err := e.DB.Walks(e.Context())
		if w := walks["user"]; err != nil || w.Found != 1 || w.Repaired != 1 || !w.Complete {
			e.Errorf("stored: %+v, %v", w, err)
		}
		if drift, err := e.DB.Drift(e.Context(), mirror.DriftFilter{}); err != nil || len(drift.Items) != 1 || drift.Items[0].ID != user || !drift.Items[0].Repaired {
			e.Errorf("drift: %+v, %v", drift, err)
		}
	})
}

// Users sign up and join organizations all the time: walks are complete nevertheless, and a lost
// deletion is found.
func TestWalkOfAnInstanceThatAlwaysChanges(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 60, Organizations: 6, Memberships: 60}, func(e *env) {
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		n := 0
		busy := func(mirror.SyncProgress) {
			n++
			e.AdvanceClock(time.Millisecond) // objects that are created in the same millisecond cannot be told apart
			var user struct{ ID string }
			e.Must(e.Clerk.Call(e.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprintf("new%d@example.com", n)}}, &user))
			organizations, err := e.listIDs("/v1/organizations")
			e.Must(err)
			e.Call("POST", "/v1/organizations/"+organizations[0]+"/memberships", map[string]any{"user_id": user.ID, "role": "org:member"})
		}
		report, err := e.Reconciler.Backfill(e.Context(), busy)
		if err != nil || !report.Complete() || report.Found != 0 || n < 7 {
			e.Errorf("backfill with %d sign-ups in it: %+v, %v", n, report, err)
		}
		e.LoseEvents()
		user := e.AnyRow(clerk.KindUser)
		e.Call("DELETE", "/v1/users/"+user.ID, nil)
		before := n
		if report := e.Walk(mirror.ReconcileOptions{Progress: busy}); !report.Complete() || n < before+7 || !e.Hidden(user) {
			e.Errorf("walk with %d sign-ups in it: %+v; hidden: %v", n-before, report, e.Hidden(user))
		}
	})
}

// Lost events are repaired, however many are lost, also if the API fails.
func TestLostEventsAreRepaired(t *testing.T) {
	t.Parallel()
	for _, loss := range []float64{0.1, 1} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 200, Organizations: 40, Memberships: 300}, func(e *env) {
				e.Backfill()
				e.Must(e.Clerk.SetFaults(emulator.Faults{Drop: loss}))
				for range 200 {
					_, err := e.Clerk.Step(e.Context())
					e.Must(err)
				}
				e.Must(e.Clerk.Settle(e.Context()))
				e.Must(e.Clerk.SetFaults(emulator.Faults{API: emulator.APIFaults{TooMany: 0.02, ServerError: 0.05}}))
				all := append(reconcile.Kinds(), clerk.KindSession)
				if report := e.Walk(mirror.ReconcileOptions{Kinds: all, AllowMassDelete: true}); report.Found == 0 || report.Found != report.Repaired {
					e.Errorf("%d found, %d repaired", report.Found, report.Repaired)
				}
				e.Must(e.Clerk.SetFaults(emulator.Faults{}))
				e.AssertMirrorsClerk()
			})
		})
	}
}

// Pages that shift prove nothing: no row is hidden because of them.
func TestShiftedPagesDeleteNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 200, Organizations: 40, Memberships: 300}, func(e *env) {
		e.Backfill()
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		e.Must(e.Clerk.SetFaults(emulator.Faults{API: emulator.APIFaults{PageShift: 1}}))
		report, err := e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindMembership}})
		if err == nil && report.Complete() || report.Found > 0 {
			e.Errorf("%+v, %v", report, err)
		}
		e.Must(e.Clerk.SetFaults(emulator.Faults{}))
		e.AssertMirrorsClerk()
	})
}

func TestMassDeletionMustBeAllowed(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 100}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		list, err := e.DB.LiveRows(e.Context(), clerk.KindUser, "", 12)
		e.Must(err)
		for _, row := range list {
			e.Call("DELETE", "/v1/users/"+row.ID, nil)
		}
		report, err := e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{})
		var mass *mirror.MassDeletionError
		if !errors.As(err, &mass) || mass.Missing != 12 || report.Repaired != 0 || report.Found != 12 {
			e.Errorf("%+v, %v", report, err)
		}
		if report := e.Walk(mirror.ReconcileOptions{AllowMassDelete: true}); report.Repaired != 12 {
			e.Errorf("%+v", report)
		}
		e.AssertMirrorsClerk()
	})
}
