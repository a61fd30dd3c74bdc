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
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// forgeDeletion applies an event of a deletion that never was.
func (l *lab) forgeDeletion(key store.Key) {
	l.Helper()
	eventType := key.Kind.EventPrefix() + "deleted"
	body := fmt.Sprintf(`{"type":%q,"object":"event","timestamp":%d,"data":{"id":%q,"object":%q,"deleted":true}}`,
		eventType, l.now().UnixMilli(), key.ID, key.Kind)
	p, err := l.in.Prepare(ingest.Message{ID: "msg_forged_" + key.ID, SignedAt: l.now(), Body: []byte(body)})
	l.must(err)
	if o := l.in.Submit(p); o.Status != ingest.Processed {
		l.Fatalf("%+v", o)
	}
	l.later(3 * time.Second)
}

func (l *lab) conflicts(kind clerk.Kind) int64 {
	l.Helper()
	all, err := l.db.Conflicts(l.Context())
	l.must(err)
	return all[kind]
}

// oneDrift checks that a report has one difference, that of an object, and whether it was repaired.
func (l *lab) oneDrift(what string, report *reconcile.Report, id, cause string, repaired bool) {
	l.Helper()
	if len(report.Drift) != 1 || report.Drift[0].Cause != cause || report.Drift[0].ID != id || report.Drift[0].Repaired != repaired {
		l.Errorf("%s: %+v", what, report)
	}
}

// Clerk lists a user who is permanently deleted here: that is reported each time, and stays until
// an operator accepts what Clerk has.
func TestClerkHasWhatIsDeletedHere(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.forgeDeletion(user)
		expect := func(what string, report *reconcile.Report, repaired bool) {
			l.Helper()
			l.oneDrift(what, report, user.ID, reconcile.CauseDeletedHere, repaired)
			if l.hidden(user) == repaired {
				l.Errorf("%s: hidden %v", what, !repaired)
			}
		}
		expect("dry run", l.walk(reconcile.Options{DryRun: true}), false)
		if n := l.conflicts(clerk.KindUser); n != 0 {
			l.Errorf("a dry run wrote %d conflicts", n)
		}
		expect("walk", l.walk(reconcile.Options{}), false)
		before := l.waited()
		expect("second walk", l.walk(reconcile.Options{}), false)
		expect("backfill", l.backfill(), false)
		if l.waited() != before {
			l.Errorf("it was waited %s for what is known", l.waited()-before)
		}
		if n := l.conflicts(clerk.KindUser); n != 1 {
			l.Errorf("%d conflicts are open", n)
		}
		expect("accepted", l.walk(reconcile.Options{AcceptRegression: []string{user.ID}}), true)
		if n := l.conflicts(clerk.KindUser); n != 0 {
			l.Errorf("%d conflicts are open after that", n)
		}
		audit, err := l.db.Audit(l.Context(), store.AuditFilter{Action: store.AuditAccepted})
		if err != nil || len(audit) != 1 || audit[0].ClerkUserID != user.ID || audit[0].Was != reconcile.CauseDeletedHere {
			l.Errorf("audit: %+v, %v", audit, err)
		}
		if report := l.walk(reconcile.Options{}); report.Found != 0 {
			l.Errorf("after it was accepted: %+v", report)
		}
		l.accounted(clerk.KindUser)
		l.equal()
	})
}

// A conflict ends when Clerk deletes the object, too. It is open from the first sight on, before a
// second answer proves it.
func TestConflictEndsWithTheObject(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.forgeDeletion(user)
		l.rename(user.ID, "Still there") // a sweep reads who was changed
		l.later(time.Minute)
		if report := l.tick(); l.conflicts(clerk.KindUser) != 1 || report.Found != 0 {
			l.Errorf("%d conflicts after a sweep: %+v", l.conflicts(clerk.KindUser), report)
		}
		if report := l.tick(); report.Found != 1 || report.Repaired != 0 {
			l.Errorf("a minute later: %+v", report)
		}
		l.remove(user)
		if report := l.walk(reconcile.Options{}); report.Found != 0 || l.conflicts(clerk.KindUser) != 0 {
			l.Errorf("%d conflicts: %+v", l.conflicts(clerk.KindUser), report)
		}
		l.equal()
	})
}

// Who was erased here stays erased, though Clerk still has them: that is no conflict, and cannot be
// accepted.
func TestErasureIsNoConflict(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.must(l.in.Erase(l.Context(), user.ID))
		l.later(3 * time.Second)
		if report := l.walk(reconcile.Options{}); report.Found != 0 || l.conflicts(clerk.KindUser) != 0 {
			l.Errorf("%d conflicts: %+v", l.conflicts(clerk.KindUser), report)
		}
		_, err := l.r.Walk(l.Context(), reconcile.Options{AcceptRegression: []string{user.ID}})
		if err == nil || !strings.Contains(err.Error(), "erased") || !l.hidden(user) {
			l.Errorf("accepted: %v", err)
		}
	})
}

// A kind that can't be read by id is judged by lists alone.
func TestConflictAboutADomain(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3, Organizations: 1}, func(l *lab) {
		l.backfill()
		path := "/v1/organizations/" + l.any(clerk.KindOrganization).ID + "/domains"
		l.call("POST", path, map[string]any{"name": "one.example"})
		l.must(l.e.Settle(l.Context()))
		domain := l.any(clerk.KindDomain)
		l.forgeDeletion(domain)
		for range 2 {
			if report := l.walk(reconcile.Options{}); report.Found != 1 || report.Repaired != 0 || l.conflicts(clerk.KindDomain) != 1 {
				l.Errorf("%d conflicts: %+v", l.conflicts(clerk.KindDomain), report)
			}
		}
		l.deaf()
		l.call("DELETE", path+"/"+domain.ID, nil)
		if report := l.walk(reconcile.Options{}); report.Found != 0 || l.conflicts(clerk.KindDomain) != 0 {
			l.Errorf("%d conflicts: %+v", l.conflicts(clerk.KindDomain), report)
		}
	})
}

// A deletion whose event comes while a page is on its way, which still has the object, is no
// conflict.
func TestDeletionBesideAPageIsNoConflict(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 40}, func(l *lab) {
		l.backfill()
		l.r = l.reconciler(20, 0)
		var last []struct{ ID string }
		l.must(l.e.Call(l.Context(), "GET", "/v1/users?limit=1&order_by=-created_at", nil, &last))
		user := store.Key{Kind: clerk.KindUser, ID: last[0].ID}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder() // as it is now
			l.e.ServeHTTP(answer, r)
			if r.URL.Query().Has("starting_after") && !l.hidden(user) {
				l.forgeDeletion(user)
			}
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
		l.intercept.Store(&h)
		if report := l.walk(reconcile.Options{}); report.Found != 0 || l.conflicts(clerk.KindUser) != 0 || !l.hidden(user) {
			l.Errorf("hidden %v, %d conflicts: %+v", l.hidden(user), l.conflicts(clerk.KindUser), report)
		}
	})
}
