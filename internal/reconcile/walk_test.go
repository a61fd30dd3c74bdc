package reconcile_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// What was there before any event is read; what is read again without drift writes nothing; a
// deletion that no event told hides the row after a minute.
func TestBackfillAndWalk(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3000, Organizations: 60, Memberships: 3000}, func(l *lab) {
		began := time.Now()
		report := l.backfill()
		if !report.Complete() || report.Found != 0 {
			l.Errorf("%+v", report)
		}
		l.Logf("backfill: %s", time.Since(began))
		l.equal()
		before, err := l.db.Head(l.Context())
		l.must(err)
		if report := l.walk(reconcile.Options{}); !report.Complete() || report.Found != 0 {
			l.Errorf("%+v", report)
		}
		after, err := l.db.Head(l.Context())
		l.must(err)
		list, err := l.db.LiveRows(l.Context(), clerk.KindMembership, "", 10_000)
		l.must(err)
		for _, row := range list {
			if row.Written > before.Writes {
				l.Fatalf("a walk without drift wrote %s", row.ID)
			}
		}
		if len(list) != 3000 || after.Seq != before.Seq {
			l.Errorf("%d memberships, %d changes", len(list), after.Seq-before.Seq)
		}
		l.deaf()
		user := l.any(clerk.KindUser).ID
		l.call("DELETE", "/v1/users/"+user, nil)
		if report := l.walk(reconcile.Options{DryRun: true}); report.Found != 1 || report.Repaired != 0 {
			l.Errorf("%+v", report)
		}
		if report := l.walk(reconcile.Options{}); report.Repaired != 1 || l.waited() < 50*time.Second {
			l.Errorf("%+v after %s", report, l.waited())
		}
		l.equal()
		walks, err := l.db.Walks(l.Context())
		if w := walks["user"]; err != nil || w.Found != 1 || w.Repaired != 1 || !w.Complete {
			l.Errorf("kept: %+v, %v", w, err)
		}
		if drift, err := l.db.Drift(l.Context(), store.DriftFilter{}); err != nil || len(drift) != 1 || drift[0].ID != user || !drift[0].Repaired {
			l.Errorf("drift: %+v, %v", drift, err)
		}
	})
}

// People sign up and join all the while: walks are whole nevertheless, and a lost deletion is
// found.
func TestWalkOfAnInstanceThatIsNeverStill(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 60, Organizations: 6, Memberships: 60}, func(l *lab) {
		l.r = l.reconciler(20, 0)
		n := 0
		busy := func(reconcile.Progress) {
			n++
			l.later(time.Millisecond) // what is created in one millisecond can not be told apart
			var user struct{ ID string }
			l.must(l.e.Call(l.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprintf("new%d@example.com", n)}}, &user))
			organizations, err := l.listed("/v1/organizations")
			l.must(err)
			l.call("POST", "/v1/organizations/"+organizations[0]+"/memberships", map[string]any{"user_id": user.ID, "role": "org:member"})
		}
		report, err := l.r.Backfill(l.Context(), busy)
		if err != nil || !report.Complete() || report.Found != 0 || n < 7 {
			l.Errorf("backfill with %d sign-ups in it: %+v, %v", n, report, err)
		}
		l.deaf()
		user := l.any(clerk.KindUser)
		l.call("DELETE", "/v1/users/"+user.ID, nil)
		before := n
		if report := l.walk(reconcile.Options{Progress: busy}); !report.Complete() || n < before+7 || !l.hidden(user) {
			l.Errorf("walk with %d sign-ups in it: %+v; hidden: %v", n-before, report, l.hidden(user))
		}
	})
}

// Lost events are repaired, whatever share of them is lost, also while the API fails.
func TestLoss(t *testing.T) {
	t.Parallel()
	for _, loss := range []float64{0.1, 1} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: 200, Organizations: 40, Memberships: 300}, func(l *lab) {
				l.backfill()
				l.must(l.e.SetFaults(emulator.Faults{Drop: loss}))
				for range 200 {
					_, err := l.e.Live(l.Context())
					l.must(err)
				}
				l.must(l.e.Settle(l.Context()))
				l.must(l.e.SetFaults(emulator.Faults{API: emulator.APIFaults{TooMany: 0.02, ServerError: 0.05}}))
				all := append(reconcile.Kinds(), clerk.KindSession)
				if report := l.walk(reconcile.Options{Kinds: all, AllowMassDelete: true}); report.Found == 0 || report.Found != report.Repaired {
					l.Errorf("%d found, %d repaired", report.Found, report.Repaired)
				}
				l.must(l.e.SetFaults(emulator.Faults{}))
				l.equal()
			})
		})
	}
}

// Pages that shift prove nothing, and nothing is taken for deleted by them.
func TestShiftedPagesDeleteNothing(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 200, Organizations: 40, Memberships: 300}, func(l *lab) {
		l.backfill()
		l.r = l.reconciler(20, 0)
		l.must(l.e.SetFaults(emulator.Faults{API: emulator.APIFaults{PageShift: 1}}))
		report, err := l.r.Walk(l.Context(), reconcile.Options{Kinds: []clerk.Kind{clerk.KindMembership}})
		if err == nil && report.Complete() || report.Found > 0 {
			l.Errorf("%+v, %v", report, err)
		}
		l.must(l.e.SetFaults(emulator.Faults{}))
		l.equal()
	})
}

func TestMassDeletionWantsAWord(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
		l.backfill()
		l.deaf()
		list, err := l.db.LiveRows(l.Context(), clerk.KindUser, "", 12)
		l.must(err)
		for _, row := range list {
			l.call("DELETE", "/v1/users/"+row.ID, nil)
		}
		report, err := l.r.Walk(l.Context(), reconcile.Options{})
		var mass *reconcile.MassDeletion
		if !errors.As(err, &mass) || mass.Missing != 12 || report.Repaired != 0 || report.Found != 12 {
			l.Errorf("%+v, %v", report, err)
		}
		if report := l.walk(reconcile.Options{AllowMassDelete: true}); report.Repaired != 12 {
			l.Errorf("%+v", report)
		}
		l.equal()
	})
}
