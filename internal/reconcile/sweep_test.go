package reconcile_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// One change among many costs a sweep few calls.
func TestSweep(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 600}, func(l *lab) {
		l.backfill()
		l.deaf()
		l.call("PATCH", "/v1/users/"+l.any(clerk.KindUser).ID, map[string]any{"first_name": "Augusta"})
		before := l.r.API.Stats().Requests
		report, err := l.r.Tick(l.Context())
		l.must(err)
		if calls := l.r.API.Stats().Requests - before; report.Repaired != 1 || calls > 3 {
			l.Errorf("%d calls, %+v", calls, report)
		}
		l.equal()
	})
}

// What waits in doubt is read by id, and what Clerk does not know goes once that was said twice, a minute apart.
func TestVerify(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		l.deaf()
		gone := l.any(clerk.KindUser)
		l.call("DELETE", "/v1/users/"+gone.ID, nil)
		l.must(l.in.Doubt(l.Context(), gone))
		for _, hidden := range []bool{false, false, true} {
			_, err := l.r.Tick(l.Context())
			l.must(err)
			if s, err := l.db.Sight(l.Context(), gone); err != nil || s.Hidden != hidden {
				l.Errorf("%+v, %v: want hidden %v", s, err, hidden)
			}
			l.e.Advance(35 * time.Second)
		}
		if left, err := l.db.DoubtsOf(l.Context(), clerk.KindUser, clerk.At(l.now().Add(time.Hour)), 10); len(left) != 0 || err != nil {
			l.Errorf("still in doubt: %v, %v", left, err)
		}
		l.equal()
	})
}

// Only users who were changed since a time are read; who was deleted is not noticed by that.
func TestSince(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 600, Organizations: 3}, func(l *lab) {
		l.backfill()
		l.deaf()
		users := l.firstUsers(3)
		l.call("PATCH", "/v1/users/"+users[0], map[string]any{"first_name": "Augusta"})
		l.e.Advance(time.Hour)
		since := clerk.At(l.now())
		l.e.Advance(time.Second)
		l.call("PATCH", "/v1/users/"+users[1], map[string]any{"first_name": "Grace"})
		l.call("DELETE", "/v1/users/"+users[2], nil)
		calls := l.counting("/v1/users")
		only := reconcile.Options{Kinds: []clerk.Kind{clerk.KindUser}, Since: since}
		report := l.walk(only)
		if report.Repaired != 1 || report.Drift[0].ID != users[1] || calls.Load() != 1 || !report.Complete() || report.Kinds[0].Rows != 1 {
			l.Errorf("%+v, %d calls", report, calls.Load())
		}
		if report := l.walk(reconcile.Options{Since: since}); report.Found != 0 || len(report.Kinds) != 7 || report.Kinds[1].Rows != 3 || report.Kinds[0].Since != since {
			l.Errorf("all kinds: %+v", report)
		}
		if report := l.walk(reconcile.Options{}); report.Repaired != 2 {
			l.Errorf("a whole walk: %+v", report)
		}
		l.equal()
	})
}
