package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// A domain cannot be read by id: two whole lists without it, ten minutes apart, hide it, and one
// that has it restarts the wait.
func TestDomainIsHiddenOnceTwoListsLackIt(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10, Organizations: 1}, func(e *env) {
		list, err := e.listIDs("/v1/organizations")
		e.Must(err)
		path := "/v1/organizations/" + list[0] + "/domains"
		for _, name := range []string{"a.example", "b.example"} {
			e.Call("POST", path, map[string]any{"name": name})
		}
		e.Must(e.Clerk.Settle(e.Context()))
		e.LoseEvents()
		domains, err := e.listIDs("/v1/organization_domains")
		e.Must(err)
		e.Call("DELETE", path+"/"+domains[0], nil)
		for _, walk := range []struct {
			pause  time.Duration
			hidden bool
		}{{0, false}, {9 * time.Minute, false}, {time.Minute, true}} {
			e.AdvanceOurClock(walk.pause)
			e.Walk(mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindDomain}})
			if s, err := e.DB.RowMeta(e.Context(), row.Key{Kind: clerk.KindDomain, ID: domains[0]}); err != nil || s.Hidden != walk.hidden {
				e.Errorf("after %s: hidden %v, %v", walk.pause, s.Hidden, err)
			}
		}
		if s, err := e.DB.RowMeta(e.Context(), row.Key{Kind: clerk.KindDomain, ID: domains[1]}); err != nil || s.Hidden {
			e.Errorf("the other domain: %+v, %v", s, err)
		}
	})
}

// listIDs returns the ids of a list at Clerk.
func (e *env) listIDs(path string) (ids []string, err error) {
	var list struct{ Data []struct{ ID string } }
	err = e.Clerk.Call(e.Context(), "GET", path+"?limit=500", nil, &list)
	for _, o := range list.Data {
		ids = append(ids, o.ID)
	}
	return ids, err
}

// Users that changed while a backfill was interrupted are repaired by the next sweep.
func TestSweepAfterAnInterruptedBackfill(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 100}, func(e *env) {
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		ctx, cancel := context.WithCancel(e.Context())
		_, err := e.Reconciler.Backfill(ctx, func(p mirror.SyncProgress) {
			if p.Kind == clerk.KindUser && p.Rows >= 40 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			e.Fatal(err)
		}
		e.LoseEvents()
		read := e.AnyRow(clerk.KindUser).ID
		e.Rename(read, "Augusta")
		e.Clerk.Advance(10 * time.Minute)
		var last []struct{ ID string }
		e.Must(e.Clerk.Call(e.Context(), "GET", "/v1/users?limit=1&order_by=-created_at", nil, &last))
		e.Rename(last[0].ID, "Byron") // the number of users stays the same
		e.Backfill()
		_, err = e.Reconciler.Tick(e.Context())
		e.Must(err)
		e.AssertMirrorsClerk()
	})
}

// An empty page hides changes from a sweep. The next sweep brings them.
func TestSweepDoesNotTrustAnEmptyPage(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 60}, func(e *env) {
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		e.Backfill()
		e.LoseEvents()
		e.Clerk.Advance(time.Hour)
		list, err := e.DB.LiveRows(e.Context(), clerk.KindUser, "", 50)
		e.Must(err)
		for _, row := range list {
			e.Clerk.Advance(time.Minute)
			e.Rename(row.ID, "Augusta")
		}
		for _, empty := range []bool{true, false} {
			e.Intercept(nil)
			if empty {
				e.Respond(func(r *http.Request) bool {
					q := r.URL.Query()
					return q.Get("order_by") == "-updated_at" && q.Get("offset") != "0"
				}, http.StatusOK, "[]")
			}
			report, err := e.Reconciler.Tick(e.Context())
			if err != nil || report.Complete() == empty {
				e.Errorf("empty %v: %+v, %v", empty, report, err)
			}
		}
		e.AssertMirrorsClerk()
	})
}

// A row that was wrongly hidden, because of two false answers, is shown again by a walk that finds
// it.
func TestWalkShowsWronglyHiddenRow(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		key := row.Key{Kind: clerk.KindUser, ID: e.AnyRow(clerk.KindUser).ID}
		at, err := e.Ingest.ReadFence(e.Context())
		e.Must(err)
		e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{Key: key, ObservedAt: at.ObservedAt, Since: at.Since, ByID: true}))
		if s, err := e.DB.RowMeta(e.Context(), key); err != nil || !s.Hidden {
			e.Fatalf("it is not hidden: %v", err)
		}
		if report := e.Walk(mirror.ReconcileOptions{}); report.Repaired != 1 {
			e.Errorf("%+v", report)
		}
		e.AssertMirrorsClerk()
	})
}

// With the secret key of another instance nothing is written.
func TestKeyOfAnotherInstanceWritesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Reconciler.AllowedInstances = func() []string { return []string{"ins_another"} }
		for name, work := range map[string]func() (*mirror.SyncReport, error){
			"backfill": func() (*mirror.SyncReport, error) { return e.Reconciler.Backfill(e.Context(), nil) },
			"walk":     func() (*mirror.SyncReport, error) { return e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{}) },
			"tick":     func() (*mirror.SyncReport, error) { return e.Reconciler.Tick(e.Context()) },
		} {
			if _, err := work(); !errors.Is(err, mirror.ErrOtherInstance) {
				e.Errorf("%s: %v", name, err)
			}
		}
		if head, err := e.DB.Head(e.Context()); err != nil || head.Seq != 0 {
			e.Errorf("%d changes, %v", head.Seq, err)
		}
	})
}

// After a walk each visible row was compared, also if an event brought a membership of a deleted
// user.
func TestEveryRowIsVerifiedAfterAWalk(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10, Organizations: 1, NoChildEvents: true}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser).ID
		organizations, err := e.listIDs("/v1/organizations")
		e.Must(err)
		e.Call("POST", "/v1/organizations/"+organizations[0]+"/memberships", map[string]any{"user_id": user, "role": "org:member"})
		e.Call("DELETE", "/v1/users/"+user, nil)
		e.Must(e.Clerk.Settle(e.Context()))
		e.Walk(mirror.ReconcileOptions{})
		for _, k := range e.facts().Kinds {
			if k.Tally.Rows > 0 && k.Tally.OldestVerifiedAt.IsZero() {
				e.Errorf("of %d rows of kind %s one was never compared", k.Tally.Rows, k.Kind)
			}
		}
	})
}

// An instance without users is swept like any other.
func TestSweepBringsTheFirstUser(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		e.Call("POST", "/v1/users", map[string]any{"email_address": []string{"first@example.com"}})
		report, err := e.Reconciler.Tick(e.Context())
		if err != nil || report.Repaired != 1 {
			e.Errorf("%+v, %v", report, err)
		}
		e.AssertMirrorsClerk()
	})
}
