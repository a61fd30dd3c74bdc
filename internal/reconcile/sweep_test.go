package reconcile_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// One change among many users costs a sweep few calls.
func TestSweep(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 600}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		e.Rename(e.AnyRow(clerk.KindUser).ID, "Augusta")
		before := e.Reconciler.API.Stats().Requests
		report, err := e.Reconciler.Tick(e.Context())
		e.Must(err)
		if calls := e.Reconciler.API.Stats().Requests - before; report.Repaired != 1 || calls > 3 {
			e.Errorf("%d calls, %+v", calls, report)
		}
		e.AssertMirrorsClerk()
	})
}

// Objects in the verify queue are read by id. What Clerk does not have is hidden after two such
// answers, a minute apart.
func TestVerify(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		gone := e.AnyRow(clerk.KindUser)
		e.Call("DELETE", "/v1/users/"+gone.ID, nil)
		e.Must(e.Ingest.QueueVerify(e.Context(), gone))
		for _, hidden := range []bool{false, false, true} {
			_, err := e.Reconciler.Tick(e.Context())
			e.Must(err)
			if s, err := e.DB.RowMeta(e.Context(), gone); err != nil || s.Hidden != hidden {
				e.Errorf("%+v, %v: want hidden %v", s, err, hidden)
			}
			e.AdvanceClock(35 * time.Second)
		}
		if left, err := e.DB.VerifyQueueOf(e.Context(), clerk.KindUser, clerk.TimeOf(e.Now().Add(time.Hour)), 10); len(left) != 0 || err != nil {
			e.Errorf("still in the verify queue: %v, %v", left, err)
		}
		e.AssertMirrorsClerk()
	})
}

// Only users that changed since a time are read. Deletions are not noticed.
func TestSince(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 600, Organizations: 3}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		users := e.FirstUsers(3)
		e.Rename(users[0], "Augusta")
		e.AdvanceClock(time.Hour)
		since := e.Clerk.Now()
		e.AdvanceClock(time.Second)
		e.Rename(users[1], "Grace")
		e.Call("DELETE", "/v1/users/"+users[2], nil)
		calls := e.CountCalls("/v1/users")
		only := mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindUser}, Since: since}
		report := e.Walk(only)
		if report.Repaired != 1 || report.Drift[0].ID != users[1] || calls.Load() != 1 || !report.Complete() || report.Kinds[0].Rows != 1 {
			e.Errorf("%+v, %d calls", report, calls.Load())
		}
		if report := e.Walk(mirror.ReconcileOptions{Since: since}); report.Found != 0 || len(report.Kinds) != 7 || report.Kinds[1].Rows != 3 || !report.Kinds[0].Since.Equal(since) {
			e.Errorf("all kinds: %+v", report)
		}
		if report := e.Walk(mirror.ReconcileOptions{}); report.Repaired != 2 {
			e.Errorf("a whole walk: %+v", report)
		}
		e.AssertMirrorsClerk()
	})
}

// A change whose event arrives a few seconds later is not drift, although a sweep sees it first. If
// its event never arrives, it is drift in the next sweep.
func TestChangeIsLeftToItsEvent(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 5}, func(e *env) {
		e.Backfill()
		users := e.FirstUsers(2)
		e.Rename(users[0], "Ada")
		e.AssertMirrorsClerk() // so that events of users are known to arrive
		e.LoseEvents()
		e.Rename(users[0], "Augusta")
		e.Rename(users[1], "Grace")
		if report := e.Tick(); report.Found != 0 || e.firstName(row.Key{Kind: clerk.KindUser, ID: users[0]}) != "Ada" {
			e.Errorf("a sweep right after the change: %+v", report)
		}
		e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{ // has the effect of the event
			Key: row.Key{Kind: clerk.KindUser, ID: users[0]}, Body: e.userAtClerk(users[0]), ObservedAt: clerk.TimeOf(e.Clerk.Now()),
		}))
		if report := e.Tick(); report.Found != 1 || report.Drift[0].ID != users[1] || report.Drift[0].Cause == mirror.CauseNotSubscribed {
			e.Errorf("the next one: %+v", report)
		}
		e.AssertMirrorsClerk()
	})
}

// A user whose events are lost and that changes every few seconds is repaired by the second sweep,
// although its last change is always recent.
func TestUserThatAlwaysChangesIsRepaired(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 5}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.Rename(user.ID, "Ada")
		e.AssertMirrorsClerk()
		e.LoseEvents()
		e.Rename(user.ID, "Augusta")
		e.Tick()
		walks, err := e.DB.Walks(e.Context())
		e.Must(err)
		if swept, ago := walks["user"].SweptAt, e.Now().Add(-time.Minute); swept > clerk.TimeOf(ago.Add(-10*time.Second)) {
			e.Errorf("swept at %s, although a change was deferred at %s", swept, ago)
		}
		if name := e.firstName(user); name != "Ada" {
			e.Errorf("the first sweep did not defer the change: %s", name)
		}
		e.Rename(user.ID, "Grace")
		if report := e.Tick(); report.Repaired != 1 || e.firstName(user) != "Grace" {
			e.Errorf("the second: %+v, %s", report, e.firstName(user))
		}
	})
}

// userAtClerk returns a user as Clerk has it.
func (e *env) userAtClerk(user string) clerk.Value {
	e.Helper()
	var body json.RawMessage
	e.Must(e.Clerk.Call(e.Context(), "GET", "/v1/users/"+user, nil, &body))
	return e.Parse(string(body))
}
