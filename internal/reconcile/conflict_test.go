package reconcile_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// forgeDeletion applies an event of a deletion that never happened.
func (e *env) forgeDeletion(key row.Key) {
	e.Helper()
	eventType := key.Kind.EventPrefix() + "deleted"
	body := fmt.Sprintf(`{"type":%q,"object":"event","timestamp":%d,"data":{"id":%q,"object":%q,"deleted":true}}`,
		eventType, e.Now().UnixMilli(), key.ID, key.Kind)
	p, err := e.Ingest.Prepare(ingest.Message{ID: "msg_forged_" + key.ID, SignedAt: e.Now(), Body: []byte(body)})
	e.Must(err)
	if o := e.Ingest.Submit(p); o.Status != mirror.OutcomeProcessed {
		e.Fatalf("%+v", o)
	}
	e.AdvanceClock(3 * time.Second)
}

func (e *env) conflicts(kind clerk.Kind) int64 {
	e.Helper()
	all, err := e.DB.Conflicts(e.Context())
	e.Must(err)
	return all[kind]
}

// assertOneDrift checks that a report has only the drift of one object, and whether it was
// repaired.
func (e *env) assertOneDrift(what string, report *mirror.SyncReport, id string, cause mirror.DriftCause, repaired bool) {
	e.Helper()
	if len(report.Drift) != 1 || report.Drift[0].Cause != cause || report.Drift[0].ID != id || report.Drift[0].Repaired != repaired {
		e.Errorf("%s: %+v", what, report)
	}
}

// Clerk lists a user that is permanently deleted here. That is reported each time, until an
// operator accepts what Clerk has.
func TestClerkHasUserThatIsDeletedHere(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.forgeDeletion(user)
		expect := func(what string, report *mirror.SyncReport, repaired bool) {
			e.Helper()
			e.assertOneDrift(what, report, user.ID, mirror.CauseDeletedHere, repaired)
			if e.Hidden(user) == repaired {
				e.Errorf("%s: hidden %v", what, !repaired)
			}
		}
		expect("dry run", e.Walk(mirror.ReconcileOptions{DryRun: true}), false)
		if n := e.conflicts(clerk.KindUser); n != 0 {
			e.Errorf("a dry run wrote %d conflicts", n)
		}
		expect("walk", e.Walk(mirror.ReconcileOptions{}), false)
		before := e.Waited()
		expect("second walk", e.Walk(mirror.ReconcileOptions{}), false)
		expect("backfill", e.Backfill(), false)
		if e.Waited() != before {
			e.Errorf("waited %s for a conflict that is proven already", e.Waited()-before)
		}
		if n := e.conflicts(clerk.KindUser); n != 1 {
			e.Errorf("%d conflicts are open", n)
		}
		expect("accepted", e.Walk(mirror.ReconcileOptions{AcceptRegression: []string{user.ID}}), true)
		if n := e.conflicts(clerk.KindUser); n != 0 {
			e.Errorf("%d conflicts are open after that", n)
		}
		auditPage, err := e.DB.Audit(e.Context(), mirror.AuditFilter{Action: mirror.AuditAccepted})
		audit := auditPage.Items
		if err != nil || len(audit) != 1 || audit[0].ClerkUserID != user.ID || audit[0].Was != string(mirror.CauseDeletedHere) {
			e.Errorf("audit: %+v, %v", audit, err)
		}
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 {
			e.Errorf("after it was accepted: %+v", report)
		}
		e.assertAccounted(clerk.KindUser)
		e.AssertMirrorsClerk()
	})
}

// A conflict ends when Clerk deletes the object too. It is open from the first answer on, before a
// second one proves it.
func TestConflictEndsWithTheObject(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.forgeDeletion(user)
		e.Rename(user.ID, "Still there") // so that a sweep reads the user
		e.AdvanceClock(time.Minute)
		if report := e.Tick(); e.conflicts(clerk.KindUser) != 1 || report.Found != 0 {
			e.Errorf("%d conflicts after a sweep: %+v", e.conflicts(clerk.KindUser), report)
		}
		if report := e.Tick(); report.Found != 1 || report.Repaired != 0 {
			e.Errorf("a minute later: %+v", report)
		}
		e.deleteUser(user)
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 || e.conflicts(clerk.KindUser) != 0 {
			e.Errorf("%d conflicts: %+v", e.conflicts(clerk.KindUser), report)
		}
		e.AssertMirrorsClerk()
	})
}

// An erased user stays erased, although Clerk still has it. That is not a conflict, and cannot be
// accepted.
func TestErasureIsNoConflict(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.Must(e.Ingest.Erase(e.Context(), user.ID))
		e.AdvanceClock(3 * time.Second)
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 || e.conflicts(clerk.KindUser) != 0 {
			e.Errorf("%d conflicts: %+v", e.conflicts(clerk.KindUser), report)
		}
		_, err := e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{AcceptRegression: []string{user.ID}})
		if err == nil || !strings.Contains(err.Error(), "erased") || !e.Hidden(user) {
			e.Errorf("accepted: %v", err)
		}
	})
}

// A kind that cannot be read by id is judged by lists only.
func TestConflictAboutADomain(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 3, Organizations: 1}, func(e *env) {
		e.Backfill()
		path := "/v1/organizations/" + e.AnyRow(clerk.KindOrganization).ID + "/domains"
		e.Call("POST", path, map[string]any{"name": "one.example"})
		e.Must(e.Clerk.Settle(e.Context()))
		domain := e.AnyRow(clerk.KindDomain)
		e.forgeDeletion(domain)
		for range 2 {
			if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 1 || report.Repaired != 0 || e.conflicts(clerk.KindDomain) != 1 {
				e.Errorf("%d conflicts: %+v", e.conflicts(clerk.KindDomain), report)
			}
		}
		e.LoseEvents()
		e.Call("DELETE", path+"/"+domain.ID, nil)
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 || e.conflicts(clerk.KindDomain) != 0 {
			e.Errorf("%d conflicts: %+v", e.conflicts(clerk.KindDomain), report)
		}
	})
}

// A deletion whose event arrives while a page is fetched that still has the object is not a
// conflict.
func TestDeletionDuringAPageIsNoConflict(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 40}, func(e *env) {
		e.Backfill()
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
		var last []struct{ ID string }
		e.Must(e.Clerk.Call(e.Context(), "GET", "/v1/users?limit=1&order_by=-created_at", nil, &last))
		user := row.Key{Kind: clerk.KindUser, ID: last[0].ID}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder() // as it is now
			e.Clerk.ServeHTTP(answer, r)
			if r.URL.Query().Has("starting_after") && !e.Hidden(user) {
				e.forgeDeletion(user)
			}
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
		e.Intercept(h)
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 || e.conflicts(clerk.KindUser) != 0 || !e.Hidden(user) {
			e.Errorf("hidden %v, %d conflicts: %+v", e.Hidden(user), e.conflicts(clerk.KindUser), report)
		}
	})
}
