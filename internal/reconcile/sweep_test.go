package reconcile_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// One change among many costs a sweep few calls.
func TestSweep(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 600}, func(l *lab) {
		l.backfill()
		l.deaf()
		l.rename(l.any(clerk.KindUser).ID, "Augusta")
		before := l.r.API.Stats().Requests
		report, err := l.r.Tick(l.Context())
		l.must(err)
		if calls := l.r.API.Stats().Requests - before; report.Repaired != 1 || calls > 3 {
			l.Errorf("%d calls, %+v", calls, report)
		}
		l.equal()
	})
}

// What waits in doubt is read by id, and what Clerk does not know goes once that was said twice, a
// minute apart.
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
			if s, err := l.db.RowMeta(l.Context(), gone); err != nil || s.Hidden != hidden {
				l.Errorf("%+v, %v: want hidden %v", s, err, hidden)
			}
			l.later(35 * time.Second)
		}
		if left, err := l.db.VerifyQueueOf(l.Context(), clerk.KindUser, clerk.TimeOf(l.now().Add(time.Hour)), 10); len(left) != 0 || err != nil {
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
		l.rename(users[0], "Augusta")
		l.later(time.Hour)
		since := clerk.TimeOf(l.e.Now())
		l.later(time.Second)
		l.rename(users[1], "Grace")
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

// A change whose event comes a few seconds later is no drift, though a sweep stands between; one
// whose event never comes is drift in the next sweep.
func TestEventOnItsWayIsNoDrift(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 5}, func(l *lab) {
		l.backfill()
		users := l.firstUsers(2)
		l.rename(users[0], "Ada")
		l.equal() // so that users' events are known to come
		l.deaf()
		l.rename(users[0], "Augusta")
		l.rename(users[1], "Grace")
		if report := l.tick(); report.Found != 0 || l.firstName(store.Key{Kind: clerk.KindUser, ID: users[0]}) != "Ada" {
			l.Errorf("a sweep right after the change: %+v", report)
		}
		l.must(l.in.Apply(l.Context(), ingest.Reading{ // as good as the event
			Key: store.Key{Kind: clerk.KindUser, ID: users[0]}, Body: l.asTold(users[0]), ObservedAt: clerk.TimeOf(l.e.Now()),
		}))
		if report := l.tick(); report.Found != 1 || report.Drift[0].ID != users[1] || report.Drift[0].Cause == reconcile.CauseNotSubscribed {
			l.Errorf("the next one: %+v", report)
		}
		l.equal()
	})
}

// A user whose events are lost and who changes every few seconds is repaired by the second sweep,
// though always young.
func TestUserWhoNeverRestsIsRepaired(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 5}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.rename(user.ID, "Ada")
		l.equal()
		l.deaf()
		l.rename(user.ID, "Augusta")
		l.tick()
		walks, err := l.db.Walks(l.Context())
		l.must(err)
		if swept, ago := walks["user"].SweptAt, l.now().Add(-time.Minute); swept > clerk.TimeOf(ago.Add(-10*time.Second)) {
			l.Errorf("swept at %s, though a change was left at %s", swept, ago)
		}
		if name := l.firstName(user); name != "Ada" {
			l.Errorf("the first sweep did not leave it: %s", name)
		}
		l.rename(user.ID, "Grace")
		if report := l.tick(); report.Repaired != 1 || l.firstName(user) != "Grace" {
			l.Errorf("the second: %+v, %s", report, l.firstName(user))
		}
	})
}

// asTold is a user as Clerk has them.
func (l *lab) asTold(user string) clerk.Value {
	l.Helper()
	var body json.RawMessage
	l.must(l.e.Call(l.Context(), "GET", "/v1/users/"+user, nil, &body))
	return parse(l.T, string(body))
}
