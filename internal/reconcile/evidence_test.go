package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// unaccounted is how many live rows of a kind nothing proves to have been at Clerk when the last
// whole walk began.
func (l *lab) unaccounted(kind clerk.Kind) int64 {
	l.Helper()
	walks, err := l.db.Walks(l.Context())
	l.must(err)
	tally, err := l.db.KindCounts(l.Context(), kind, walks[string(kind)].Whole)
	l.must(err)
	return tally.Unaccounted
}

// accounted wants nothing to be left of a kind that is not accounted for.
func (l *lab) accounted(kinds ...clerk.Kind) {
	l.Helper()
	for _, kind := range kinds {
		if n := l.unaccounted(kind); n != 0 {
			l.Errorf("%d rows of kind %s are not accounted for", n, kind)
		}
	}
}

// create makes a user at Clerk.
func (l *lab) create(name string) store.Key {
	l.Helper()
	var user struct{ ID string }
	l.must(l.e.Call(l.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{name + "@example.com"}}, &user))
	return store.Key{Kind: clerk.KindUser, ID: user.ID}
}

// remove deletes a user at Clerk.
func (l *lab) remove(user store.Key) {
	l.Helper()
	l.call("DELETE", "/v1/users/"+user.ID, nil)
}

// beforePageTwo does something when the second page of users is asked for, before it is answered.
func (l *lab) beforePageTwo(do func()) {
	var once sync.Once
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/users" && r.URL.Query().Has("starting_after") {
			once.Do(do)
		}
		l.e.ServeHTTP(w, r)
	})
	l.intercept.Store(&h)
}

// deliver hands over the last message of a type, whenever that was sent.
func (l *lab) deliver(eventType string) {
	l.Helper()
	all := l.e.Deliveries()
	for _, m := range slices.Backward(all) {
		if m.Type != eventType {
			continue
		}
		p, err := l.in.Prepare(ingest.Message{ID: m.ID, SignedAt: l.now(), Body: m.Body})
		l.must(err)
		if o := l.in.Submit(p); o.Status != ingest.Processed {
			l.Fatalf("%s: %+v", eventType, o)
		}
		return
	}
	l.Fatalf("no %s was sent", eventType)
}

// A user whose deletion no event told is found by a second backfill, as by a walk, and told of.
func TestSecondBackfillFindsWhatWasDeleted(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 30}, func(l *lab) {
		l.backfill()
		l.deaf()
		gone := l.any(clerk.KindUser)
		l.remove(gone)
		l.later(time.Minute)
		report := l.backfill()
		if !l.hidden(gone) || report.Found != 1 || report.Repaired != 1 || len(report.Drift) != 1 || report.Drift[0].ID != gone.ID {
			l.Errorf("hidden %v: %+v", l.hidden(gone), report)
		}
		l.accounted(reconcile.Kinds()...)
		l.equal()
	})
}

// A user who was read and is deleted before the backfill has ended is not taken for one that Clerk
// has.
func TestDeletionWhileTheFirstBackfillReads(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
		l.r = l.reconciler(20, 0)
		l.deaf()
		var first []struct{ ID string }
		l.must(l.e.Call(l.Context(), "GET", "/v1/users?limit=1&order_by=%2Bcreated_at", nil, &first))
		gone := store.Key{Kind: clerk.KindUser, ID: first[0].ID}
		l.beforePageTwo(func() { l.remove(gone) })
		report := l.backfill()
		if !report.Complete() || !l.hidden(gone) {
			l.Errorf("hidden %v: %+v", l.hidden(gone), report)
		}
		l.accounted(reconcile.Kinds()...)
		l.equal()
	})
}

// A backfill that another process takes up again judges by when the first one began: it finds what
// was deleted before, and asks for nothing that the first one has read.
func TestResumedBackfillFindsWhatWasDeleted(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before it began", "while it was interrupted"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
				old := l.create("old")
				l.must(l.e.Settle(l.Context()))
				l.later(3 * time.Second)
				l.deaf()
				if when == "before it began" {
					l.remove(old)
				}
				l.r = l.reconciler(20, 0)
				ctx, cancel := context.WithCancel(l.Context())
				l.beforePageTwo(cancel)
				_, err := l.r.Backfill(ctx, nil)
				if !errors.Is(err, context.Canceled) {
					l.Fatal(err)
				}
				if when != "before it began" { // it is listed last, and not read yet
					l.remove(old)
					l.create("new") // as many as were counted
				}
				l.r = l.reconciler(20, 0)
				asked := l.counting("/v1/users/user_")
				report := l.backfill()
				if !report.Complete() || !l.hidden(old) {
					l.Errorf("hidden %v: %+v", l.hidden(old), report)
				}
				if n := asked.Load(); n != 2 { // two answers that it is gone
					l.Errorf("%d users were asked for", n)
				}
				l.accounted(reconcile.Kinds()...)
				l.equal()
			})
		})
	}
}

// Too many missing rows of one kind stop a backfill from removing them, but not from reading the
// other kinds.
func TestBackfillLeavesMassDeletionsToAPerson(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 40, Organizations: 2, Memberships: 5}, func(l *lab) {
		l.backfill()
		l.deaf()
		l.later(3 * time.Second)
		users := l.firstUsers(12)
		for _, user := range users {
			l.call("DELETE", "/v1/users/"+user, nil)
		}
		var organization struct{ ID string }
		l.must(l.e.Call(l.Context(), "POST", "/v1/organizations", map[string]any{"name": "New"}, &organization))
		_, err := l.r.Backfill(l.Context(), nil)
		var mass *reconcile.MassDeletion
		if !errors.As(err, &mass) || mass.Missing != 12 || l.hidden(store.Key{Kind: clerk.KindUser, ID: users[0]}) {
			l.Errorf("%v", err)
		}
		if n := l.unaccounted(clerk.KindUser); n != 12 {
			l.Errorf("%d users are not accounted for", n)
		}
		if _, err := l.db.RowMeta(l.Context(), store.Key{Kind: clerk.KindOrganization, ID: organization.ID}); err != nil {
			l.Errorf("the organizations were not read: %v", err)
		}
		l.walk(reconcile.Options{AllowMassDelete: true})
		l.accounted(reconcile.Kinds()...)
		l.equal()
	})
}

// A user of the very second in which a walk begins, deleted before it: neither Clerk's clock nor
// the order of writes tells it from one that came later.
func TestGhostOfTheSecondInWhichAWalkBegins(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 30}, func(l *lab) {
		l.backfill()
		young := l.create("young")
		l.must(l.e.Settle(l.Context()))
		l.deaf()
		l.remove(young)
		if report := l.walk(reconcile.Options{}); !l.hidden(young) || report.Found != 1 {
			l.Errorf("hidden %v: %+v", l.hidden(young), report)
		}
		l.accounted(clerk.KindUser)
		l.equal()
	})
}

// An event that comes after a walk which did not find its object any more does not make it be
// there: it is asked for.
func TestLateEventBringsNoGhost(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]func(l *lab) store.Key{
		"a row that never was": func(l *lab) store.Key {
			l.deaf()
			ghost := l.create("ghost")
			l.remove(ghost)
			l.later(time.Minute)
			l.walk(reconcile.Options{})
			l.deliver("user.created")
			return ghost
		},
		"a row that is deleted by deduction": func(l *lab) store.Key {
			l.deaf()
			ghost := l.any(clerk.KindUser)
			l.rename(ghost.ID, "Late")
			l.later(time.Minute)
			l.remove(ghost)
			l.walk(reconcile.Options{})
			at, err := l.in.Horizon(l.Context())
			l.must(err)
			l.must(l.in.Apply(l.Context(), ingest.Reading{Key: ghost, Body: parse(l.T, fmt.Sprintf(`{"id":%q,"updated_at":1}`, ghost.ID)), ObservedAt: at.ObservedAt}))
			return ghost
		},
		"a stub that becomes whole": func(l *lab) store.Key {
			l.deaf()
			ghost := l.create("ghost")
			l.call("POST", "/v1/organizations/"+l.any(clerk.KindOrganization).ID+"/memberships", map[string]any{"user_id": ghost.ID, "role": "org:member"})
			l.remove(ghost)
			l.later(time.Minute)
			l.walk(reconcile.Options{})
			l.deliver("organizationMembership.created")
			l.deliver("user.created")
			return ghost
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: 10, Organizations: 2, Memberships: 4}, func(l *lab) {
				l.backfill()
				l.later(3 * time.Second)
				ghost := late(l)
				if ids, err := l.db.VerifyQueueOf(l.Context(), clerk.KindUser, clerk.TimeOf(l.now()), 10); err != nil || len(ids) != 1 || l.hidden(ghost) {
					l.Errorf("in doubt are %v, %v; hidden %v", ids, err, l.hidden(ghost))
				}
				l.tick()
				l.tick()
				if !l.hidden(ghost) {
					l.Error("it stays")
				}
				l.tick()
				l.accounted(reconcile.Kinds()...)
				l.equal()
			})
		})
	}
}

// A domain, which cannot be read by id, stays unaccounted for until whole lists have judged it.
func TestLateDomainIsNotAccountedFor(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3, Organizations: 1}, func(l *lab) {
		l.backfill()
		path := "/v1/organizations/" + l.any(clerk.KindOrganization).ID + "/domains"
		l.call("POST", path, map[string]any{"name": "another.example"})
		l.must(l.e.Settle(l.Context()))
		l.later(3 * time.Second)
		l.deaf()
		var domain struct{ ID string }
		l.must(l.e.Call(l.Context(), "POST", path, map[string]any{"name": "late.example"}, &domain))
		l.call("DELETE", path+"/"+domain.ID, nil)
		l.later(time.Minute)
		l.walk(reconcile.Options{})
		l.deliver("organizationDomain.created")
		l.tick()
		if n := l.unaccounted(clerk.KindDomain); n != 1 {
			l.Errorf("%d domains are not accounted for", n)
		}
		l.walk(reconcile.Options{})
		l.later(11 * time.Minute)
		if l.walk(reconcile.Options{}); !l.hidden(store.Key{Kind: clerk.KindDomain, ID: domain.ID}) {
			l.Error("it stays")
		}
		l.accounted(reconcile.Kinds()...)
		l.equal()
	})
}

// What an event tells after a walk began is accounted for without being asked for, and so is what
// was read by id since.
func TestYoungerEventsAreAccountedFor(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10, Organizations: 1}, func(l *lab) {
		l.backfill()
		l.later(3 * time.Second)
		asked := l.counting("/v1/users/")
		l.create("young")
		l.must(l.e.Settle(l.Context()))
		l.tick()
		l.accounted(clerk.KindUser)
		if n := asked.Load(); n != 0 {
			l.Errorf("%d users were asked for", n)
		}
		l.accounted(reconcile.Kinds()...)
	})
}
