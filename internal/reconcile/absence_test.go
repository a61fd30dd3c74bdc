package reconcile_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// What one process suspects, another one confirms, a minute after the first answer and not earlier.
func TestSuspectsSurviveARestart(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		gone := e.AnyRow(clerk.KindUser)
		e.Call("DELETE", "/v1/users/"+gone.ID, nil)
		e.Must(e.Ingest.QueueVerify(e.Context(), gone))
		for _, hidden := range []bool{false, false, true} {
			e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{})
			_, err := e.Reconciler.Tick(e.Context())
			e.Must(err)
			if e.Hidden(gone) != hidden {
				e.Errorf("hidden after %s: %v", e.Waited(), !hidden)
			}
			e.AdvanceClock(35 * time.Second)
		}
		e.AssertMirrorsClerk()
	})
}

// A second read within the minute proves nothing, and a write between the two answers restarts the
// wait.
func TestSecondAnswerMustComeAMinuteLater(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		users := e.FirstUsers(2)
		early, heardOf := row.Key{Kind: clerk.KindUser, ID: users[0]}, row.Key{Kind: clerk.KindUser, ID: users[1]}
		body := e.StoredUser(heardOf.ID)
		for _, user := range users {
			e.Call("DELETE", "/v1/users/"+user, nil)
		}
		e.Must(e.Ingest.QueueVerify(e.Context(), early))
		_, err := e.Reconciler.Tick(e.Context())
		e.Must(err)
		before := e.Waited()
		report := e.Walk(mirror.ReconcileOptions{DryRun: true})
		if report.Found != 2 || e.Hidden(early) {
			e.Errorf("dry run: %+v", report)
		}
		e.Must(e.Ingest.QueueVerify(e.Context(), heardOf))
		e.Tick()
		e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{Key: heardOf, Body: body, ObservedAt: clerk.TimeOf(e.Now())}))
		e.Tick()
		if !e.Hidden(early) || e.Hidden(heardOf) || e.Waited()-before < time.Minute {
			e.Errorf("a write between the answers did not count: %+v", e.Suspects())
		}
		if e.Tick(); !e.Hidden(heardOf) {
			e.Errorf("not hidden after two answers without a write between: %+v", e.Suspects())
		}
		third := row.Key{Kind: clerk.KindUser, ID: e.FirstUsers(1)[0]}
		e.Call("DELETE", "/v1/users/"+third.ID, nil)
		e.Must(e.Ingest.QueueVerify(e.Context(), third))
		_, err = e.Reconciler.Tick(e.Context())
		e.Must(err)
		before = e.Waited()
		if e.Walk(mirror.ReconcileOptions{}); !e.Hidden(third) || e.Waited()-before < 50*time.Second {
			e.Errorf("hidden %v, %s after the first answer", e.Hidden(third), e.Waited()-before)
		}
	})
}

// An object that a list has is not deleted, whatever reads by id return.
func TestListedObjectIsNotDeleted(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.RespondTo("/users/"+user.ID, http.StatusNotFound, testkit.NotFound)
		e.Must(e.Ingest.QueueVerify(e.Context(), user))
		e.Tick()
		if e.Suspects()[user].Reason != store.SuspectGone {
			e.Fatalf("%+v", e.Suspects())
		}
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 || e.Hidden(user) || len(e.Suspects()) != 0 {
			e.Errorf("%+v, %+v", report, e.Suspects())
		}
	})
}

// A domain is hidden once two whole lists, ten minutes apart, lack it, also if two processes walked
// them, but not if an event of it came in between.
func TestDomainIsHiddenByTwoLists(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 3, Organizations: 1}, func(e *env) {
		e.Backfill()
		organizations := "/v1/organizations/" + e.AnyRow(clerk.KindOrganization).ID + "/domains"
		for _, name := range []string{"one.example", "two.example"} {
			e.Call("POST", organizations, map[string]any{"name": name})
		}
		e.Must(e.Clerk.Settle(e.Context()))
		e.LoseEvents()
		gone := e.AnyRow(clerk.KindDomain)
		e.Call("DELETE", organizations+"/"+gone.ID, nil)
		only := mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindDomain}}
		walk := func(after time.Duration, found, repaired int) {
			e.Helper()
			e.AdvanceClock(after)
			e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{})
			if report := e.Walk(only); report.Found != found || report.Repaired != repaired || !report.Complete() {
				e.Errorf("%+v", report)
			}
		}
		walk(0, 1, 0)
		walk(5*time.Minute, 1, 0)
		driftPage, err := e.DB.Drift(e.Context(), mirror.DriftFilter{})
		drift := driftPage.Items
		if err != nil || len(drift) != 0 {
			e.Errorf("an unconfirmed absence is stored as drift: %+v, %v", drift, err)
		}
		e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{ // a late event
			Key: gone, Body: e.Parse(`{"id":"` + gone.ID + `","updated_at":1}`), ObservedAt: clerk.TimeOf(e.Now().Add(time.Hour)),
		}))
		walk(5*time.Minute, 1, 0)
		walk(9*time.Minute, 1, 0)
		walk(time.Minute, 1, 1)
		e.AssertMirrorsClerk()
		if len(e.Suspects()) != 0 {
			e.Errorf("suspects are left: %+v", e.Suspects())
		}
	})
}

// An inferred deletion is permanent once a third answer, a week later, confirms it. Until then it
// can be undone.
func TestInferredDeletionBecomesPermanent(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		gone := e.AnyRow(clerk.KindUser)
		body := e.StoredUser(gone.ID)
		e.Call("DELETE", "/v1/users/"+gone.ID, nil)
		e.Walk(mirror.ReconcileOptions{})
		seeAgain := func() bool {
			e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{Key: gone, Body: body, ObservedAt: clerk.TimeOf(e.Now())}))
			return !e.Hidden(gone)
		}
		if !e.Hidden(gone) || !seeAgain() {
			e.Fatal("the deletion was not inferred, or cannot be undone")
		}
		e.Walk(mirror.ReconcileOptions{})
		e.AdvanceClock(6 * 24 * time.Hour)
		e.Tick()
		if s := e.Suspects()[gone]; s.Reason != store.SuspectHidden {
			e.Errorf("before a week: %+v", s)
		}
		e.Reconciler.Now = func() time.Time { return e.Now().Add(3 * 24 * time.Hour) } // our clock alone proves nothing
		e.Tick()
		if s := e.Suspects()[gone]; s.Reason != store.SuspectHidden {
			e.Errorf("before a week by Clerk's clock: %+v", s)
		}
		e.Reconciler.Now = e.Now
		e.AdvanceClock(5 * 24 * time.Hour)
		e.Tick()
		if _, suspected := e.Suspects()[gone]; suspected || seeAgain() {
			e.Errorf("it can still come back after a week: %+v", e.Suspects())
		}
		user := e.AnyRow(clerk.KindUser) // that Clerk wrongly reports as deleted
		e.RespondTo("/users/"+user.ID, http.StatusNotFound, testkit.NotFound)
		e.Must(e.Ingest.QueueVerify(e.Context(), user))
		e.Tick()
		e.Tick()
		if !e.Hidden(user) {
			e.Fatal("not hidden")
		}
		e.Intercept(nil)
		e.AdvanceClock(7 * 24 * time.Hour)
		e.Tick()
		if _, suspected := e.Suspects()[user]; suspected || e.Hidden(user) {
			e.Errorf("a false answer was not undone: %+v", e.Suspects())
		}
	})
}

// An object that Clerk refuses to return is read less and less often.
func TestRefusedReadsBackOff(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.Must(e.Ingest.QueueVerify(e.Context(), user))
		e.RespondTo("/users/"+user.ID, http.StatusForbidden, testkit.Unauthorized)
		asked := 0
		for range 20 {
			for _, k := range e.Tick().Kinds {
				asked += k.Unread
			}
		}
		if asked != 5 { // after 0, 1, 3, 7 and 15 minutes
			e.Errorf("asked %d times in 20 minutes: %+v", asked, e.Suspects())
		}
		e.Intercept(nil)
		e.AdvanceClock(time.Hour)
		e.Tick()
		if left, err := e.DB.VerifyQueueOf(e.Context(), clerk.KindUser, clerk.TimeOf(e.Now()), 10); len(left)+len(e.Suspects()) != 0 || err != nil {
			e.Errorf("still in the verify queue: %v, %v, %v", left, e.Suspects(), err)
		}
	})
}

// An object for which Clerk returns nonsense delays no other object, and its suspect stays. If all
// answers are nonsense, the run fails.
func TestUnansweredReads(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		users := e.FirstUsers(5)
		odd := row.Key{Kind: clerk.KindUser, ID: users[0]}
		gone := row.Key{Kind: clerk.KindUser, ID: users[1]}
		e.Call("DELETE", "/v1/users/"+gone.ID, nil)
		e.Must(e.Ingest.QueueVerify(e.Context(), odd, gone))
		e.RespondTo("/users/"+odd.ID, http.StatusOK, `{"id":"user_other"}`)
		if report := e.Tick(); report.Kinds[0].Unread != 1 || e.Suspects()[gone].Reason != store.SuspectGone {
			e.Errorf("%+v, %+v", report, e.Suspects())
		}
		e.RespondTo("/users/"+gone.ID, http.StatusOK, `{"id":"user_other"}`)
		e.Tick()
		if s := e.Suspects()[gone]; e.Hidden(gone) || s.Reason != store.SuspectGone || s.DueAt <= clerk.TimeOf(e.Now().Add(-time.Minute)) {
			e.Errorf("nonsense confirmed the suspect, or cleared it: %+v", s)
		}
		e.Intercept(nil)
		if e.Tick(); !e.Hidden(gone) {
			e.Error("not hidden after a second answer")
		}
		for _, id := range users[1:] {
			e.Must(e.Ingest.QueueVerify(e.Context(), row.Key{Kind: clerk.KindUser, ID: id}))
		}
		e.RespondTo("/v1/users/", http.StatusOK, `{"id":"user_other"}`)
		e.AdvanceClock(time.Hour)
		if _, err := e.Reconciler.Tick(e.Context()); !errors.Is(err, clerkapi.ErrUnavailable) {
			e.Errorf("all answers are nonsense: %v", err)
		}
	})
}
