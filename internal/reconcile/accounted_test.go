package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// unaccounted returns how many live rows of a kind are not proven to have existed at Clerk when the
// last whole walk began.
func (e *env) unaccounted(kind clerk.Kind) int64 {
	e.Helper()
	walks, err := e.DB.Walks(e.Context())
	e.Must(err)
	tally, err := e.DB.KindCounts(e.Context(), kind, walks[string(kind)].Whole)
	e.Must(err)
	return tally.Unaccounted
}

// assertAccounted fails if rows of some kinds are not accounted for.
func (e *env) assertAccounted(kinds ...clerk.Kind) {
	e.Helper()
	for _, kind := range kinds {
		if n := e.unaccounted(kind); n != 0 {
			e.Errorf("%d rows of kind %s are not accounted for", n, kind)
		}
	}
}

// createUser creates a user at Clerk.
func (e *env) createUser(name string) row.Key {
	e.Helper()
	var user struct{ ID string }
	e.Must(e.Clerk.Call(e.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{name + "@example.com"}}, &user))
	return row.Key{Kind: clerk.KindUser, ID: user.ID}
}

// deleteUser deletes a user at Clerk.
func (e *env) deleteUser(user row.Key) {
	e.Helper()
	e.Call("DELETE", "/v1/users/"+user.ID, nil)
}

// beforePageTwo calls do when the second page of users is requested, before it is answered.
func (e *env) beforePageTwo(do func()) {
	var once sync.Once
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/users" && r.URL.Query().Has("starting_after") {
			once.Do(do)
		}
		e.Clerk.ServeHTTP(w, r)
	})
	e.Intercept(h)
}

// A user whose deletion sent no event is found and reported by a second backfill, as by a walk.
func TestSecondBackfillFindsDeletions(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 30}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		gone := e.AnyRow(clerk.KindUser)
		e.deleteUser(gone)
		e.AdvanceClock(time.Minute)
		report := e.Backfill()
		if !e.Hidden(gone) || report.Found != 1 || report.Repaired != 1 || len(report.Drift) != 1 || report.Drift[0].ID != gone.ID {
			e.Errorf("hidden %v: %+v", e.Hidden(gone), report)
		}
		e.assertAccounted(reconcile.Kinds()...)
		e.AssertMirrorsClerk()
	})
}

// A user that was read, and was deleted before the end of the backfill, does not count as existing.
func TestDeletionDuringTheFirstBackfill(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 100}, func(e *env) {
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		e.LoseEvents()
		var first []struct{ ID string }
		e.Must(e.Clerk.Call(e.Context(), "GET", "/v1/users?limit=1&order_by=%2Bcreated_at", nil, &first))
		gone := row.Key{Kind: clerk.KindUser, ID: first[0].ID}
		e.beforePageTwo(func() { e.deleteUser(gone) })
		report := e.Backfill()
		if !report.Complete() || !e.Hidden(gone) {
			e.Errorf("hidden %v: %+v", e.Hidden(gone), report)
		}
		e.assertAccounted(reconcile.Kinds()...)
		e.AssertMirrorsClerk()
	})
}

// A backfill that another process continues judges by the start of the first one: it finds earlier
// deletions, and reads nothing by id that the first one has read.
func TestResumedBackfillFindsDeletions(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before it began", "while it was interrupted"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 100}, func(e *env) {
				old := e.createUser("old")
				e.Must(e.Clerk.Settle(e.Context()))
				e.AdvanceClock(3 * time.Second)
				e.LoseEvents()
				if when == "before it began" {
					e.deleteUser(old)
				}
				e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
				ctx, cancel := context.WithCancel(e.Context())
				e.beforePageTwo(cancel)
				_, err := e.Reconciler.Backfill(ctx, nil)
				if !errors.Is(err, context.Canceled) {
					e.Fatal(err)
				}
				if when != "before it began" { // the new user is listed last, and not read yet
					e.deleteUser(old)
					e.createUser("new") // so that the count stays the same
				}
				e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
				asked := e.CountCalls("/v1/users/user_")
				report := e.Backfill()
				if !report.Complete() || !e.Hidden(old) {
					e.Errorf("hidden %v: %+v", e.Hidden(old), report)
				}
				if n := asked.Load(); n != 2 { // two answers that the user does not exist
					e.Errorf("%d users were read by id", n)
				}
				e.assertAccounted(reconcile.Kinds()...)
				e.AssertMirrorsClerk()
			})
		})
	}
}

// Too many missing rows of one kind stop a backfill from removing them, but not from reading the
// other kinds.
func TestBackfillStopsAtMassDeletion(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 40, Organizations: 2, Memberships: 5}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		e.AdvanceClock(3 * time.Second)
		users := e.FirstUsers(12)
		for _, user := range users {
			e.Call("DELETE", "/v1/users/"+user, nil)
		}
		var organization struct{ ID string }
		e.Must(e.Clerk.Call(e.Context(), "POST", "/v1/organizations", map[string]any{"name": "New"}, &organization))
		_, err := e.Reconciler.Backfill(e.Context(), nil)
		var mass *mirror.MassDeletionError
		if !errors.As(err, &mass) || mass.Missing != 12 || e.Hidden(row.Key{Kind: clerk.KindUser, ID: users[0]}) {
			e.Errorf("%v", err)
		}
		if n := e.unaccounted(clerk.KindUser); n != 12 {
			e.Errorf("%d users are not accounted for", n)
		}
		if _, err := e.DB.RowMeta(e.Context(), row.Key{Kind: clerk.KindOrganization, ID: organization.ID}); err != nil {
			e.Errorf("the organizations were not read: %v", err)
		}
		e.Walk(mirror.ReconcileOptions{AllowMassDelete: true})
		e.assertAccounted(reconcile.Kinds()...)
		e.AssertMirrorsClerk()
	})
}

// A user created and deleted in the second in which a walk begins. Neither Clerk's clock nor the
// order of writes distinguishes it from one that was created later.
func TestUserDeletedInTheSecondInWhichAWalkBegins(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 30}, func(e *env) {
		e.Backfill()
		young := e.createUser("young")
		e.Must(e.Clerk.Settle(e.Context()))
		e.LoseEvents()
		e.deleteUser(young)
		if report := e.Walk(mirror.ReconcileOptions{}); !e.Hidden(young) || report.Found != 1 {
			e.Errorf("hidden %v: %+v", e.Hidden(young), report)
		}
		e.assertAccounted(clerk.KindUser)
		e.AssertMirrorsClerk()
	})
}

// An event that arrives after a walk that no longer found the object does not prove that it exists:
// it is read by id.
func TestLateEventOfADeletedUser(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]func(e *env) row.Key{
		"a row that never was": func(e *env) row.Key {
			e.LoseEvents()
			ghost := e.createUser("ghost")
			e.deleteUser(ghost)
			e.AdvanceClock(time.Minute)
			e.Walk(mirror.ReconcileOptions{})
			e.Redeliver("user.created")
			return ghost
		},
		"a row that is deleted by deduction": func(e *env) row.Key {
			e.LoseEvents()
			ghost := e.AnyRow(clerk.KindUser)
			e.Rename(ghost.ID, "Late")
			e.AdvanceClock(time.Minute)
			e.deleteUser(ghost)
			e.Walk(mirror.ReconcileOptions{})
			at, err := e.Ingest.ReadFence(e.Context())
			e.Must(err)
			e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{Key: ghost, Body: e.Parse(fmt.Sprintf(`{"id":%q,"updated_at":1}`, ghost.ID)), ObservedAt: at.ObservedAt}))
			return ghost
		},
		"a stub that becomes whole": func(e *env) row.Key {
			e.LoseEvents()
			ghost := e.createUser("ghost")
			e.Call("POST", "/v1/organizations/"+e.AnyRow(clerk.KindOrganization).ID+"/memberships", map[string]any{"user_id": ghost.ID, "role": "org:member"})
			e.deleteUser(ghost)
			e.AdvanceClock(time.Minute)
			e.Walk(mirror.ReconcileOptions{})
			e.Redeliver("organizationMembership.created")
			e.Redeliver("user.created")
			return ghost
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 10, Organizations: 2, Memberships: 4}, func(e *env) {
				e.Backfill()
				e.AdvanceClock(3 * time.Second)
				ghost := late(e)
				if ids, err := e.DB.VerifyQueueOf(e.Context(), clerk.KindUser, clerk.TimeOf(e.Now()), 10); err != nil || len(ids) != 1 || e.Hidden(ghost) {
					e.Errorf("the verify queue has %v, %v; hidden %v", ids, err, e.Hidden(ghost))
				}
				e.Tick()
				e.Tick()
				if !e.Hidden(ghost) {
					e.Error("the row is not hidden")
				}
				e.Tick()
				e.assertAccounted(reconcile.Kinds()...)
				e.AssertMirrorsClerk()
			})
		})
	}
}

// A domain, which cannot be read by id, is not accounted for until whole lists have it or lack it.
func TestLateDomainIsNotAccountedFor(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 3, Organizations: 1}, func(e *env) {
		e.Backfill()
		path := "/v1/organizations/" + e.AnyRow(clerk.KindOrganization).ID + "/domains"
		e.Call("POST", path, map[string]any{"name": "another.example"})
		e.Must(e.Clerk.Settle(e.Context()))
		e.AdvanceClock(3 * time.Second)
		e.LoseEvents()
		var domain struct{ ID string }
		e.Must(e.Clerk.Call(e.Context(), "POST", path, map[string]any{"name": "late.example"}, &domain))
		e.Call("DELETE", path+"/"+domain.ID, nil)
		e.AdvanceClock(time.Minute)
		e.Walk(mirror.ReconcileOptions{})
		e.Redeliver("organizationDomain.created")
		e.Tick()
		if n := e.unaccounted(clerk.KindDomain); n != 1 {
			e.Errorf("%d domains are not accounted for", n)
		}
		e.Walk(mirror.ReconcileOptions{})
		e.AdvanceClock(11 * time.Minute)
		if e.Walk(mirror.ReconcileOptions{}); !e.Hidden(row.Key{Kind: clerk.KindDomain, ID: domain.ID}) {
			e.Error("the row is not hidden")
		}
		e.assertAccounted(reconcile.Kinds()...)
		e.AssertMirrorsClerk()
	})
}

// Objects with an event, or a read by id, since a walk began are accounted for without another
// read.
func TestYoungerEventsAreAccountedFor(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10, Organizations: 1}, func(e *env) {
		e.Backfill()
		e.AdvanceClock(3 * time.Second)
		asked := e.CountCalls("/v1/users/")
		e.createUser("young")
		e.Must(e.Clerk.Settle(e.Context()))
		e.Tick()
		e.assertAccounted(clerk.KindUser)
		if n := asked.Load(); n != 0 {
			e.Errorf("%d users were read by id", n)
		}
		e.assertAccounted(reconcile.Kinds()...)
	})
}
