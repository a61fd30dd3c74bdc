package reconcile_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
)

// One change among many costs a sweep few calls.
func TestSweep(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 600}, func(l *lab) {
		l.backfill()
		l.deaf()
		l.call("PATCH", "/v1/users/"+l.anyUser(), map[string]any{"first_name": "Augusta"})
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
		gone := store.Key{Kind: clerk.KindUser, ID: l.anyUser()}
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
