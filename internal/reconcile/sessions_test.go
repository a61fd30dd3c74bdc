package reconcile_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

func (e *env) signIn(user string) row.Key {
	e.Helper()
	var s struct{ ID string }
	e.Must(e.Clerk.Call(e.Context(), "POST", "/_emulator/users/"+user+"/sign_in", nil, &s))
	e.Must(e.Clerk.Settle(e.Context()))
	return row.Key{Kind: clerk.KindSession, ID: s.ID}
}

// Sessions whose events were lost are repaired within a pass. What existed before the first pass is
// not drift.
func TestSessionPasses(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		users := e.FirstUsers(4)
		e.LoseEvents()
		e.signIn(users[0])
		old := e.signIn(users[1])
		e.Call("POST", "/v1/sessions/"+old.ID+"/revoke", nil)
		e.Must(e.Clerk.SetFaults(emulator.Faults{}))
		revoked := e.signIn(users[2])
		e.Walk(mirror.ReconcileOptions{}) // it brings the last sign-ins
		if report := e.Tick(); report.Found != 0 {
			e.Errorf("the first pass: %+v", report)
		}
		e.AssertMirrorsClerk()
		e.LoseEvents()
		e.Call("POST", "/v1/sessions/"+revoked.ID+"/revoke", nil)
		e.signIn(users[2])
		calls := e.CountCalls("/v1/sessions")
		if e.Tick(); calls.Load() != 0 {
			e.Errorf("%d calls within a quarter of an hour", calls.Load())
		}
		e.AdvanceClock(15 * time.Minute)
		if report := e.Tick(); report.Found != 2 || report.Repaired != 2 || report.Drift[0].Kind != clerk.KindSession {
			e.Errorf("the second pass: %+v", report)
		}
		if calls.Load() != 3 {
			e.Errorf("%d calls for three active users", calls.Load())
		}
		e.AssertMirrorsClerk("user") // the next walk brings its last sign-in
	})
}

// Each call of Tick reads the sessions of a bounded number of users. The next call continues, also
// in another process.
func TestSessionPassesAreBounded(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 130}, func(e *env) {
		e.Backfill()
		for _, user := range e.FirstUsers(125) {
			e.signIn(user)
		}
		calls := e.CountCalls("/v1/sessions")
		for i, want := range []int64{60, 120, 125, 125} {
			e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{})
			if e.Tick(); calls.Load() != want {
				e.Errorf("%d calls after %d minutes, want %d", calls.Load(), i+1, want)
			}
		}
		walks, err := e.DB.Walks(e.Context())
		if w := walks["session"]; err != nil || !w.Complete || w.Cursor != "" || w.Rows != 125 {
			e.Errorf("stored: %+v, %v", w, err)
		}
		report := e.Walk(mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindSession}})
		if report.Found != 0 || report.Kinds[0].Rows != 125 || !report.Complete() || calls.Load() != 250 {
			e.Errorf("a whole pass: %+v, %d calls", report, calls.Load())
		}
	})
}

// Clerk forgets sessions that are over: they stay as they are. A session that should be usable is
// read by id.
func TestForgottenSessions(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		users := e.FirstUsers(2)
		over, expired, usable := e.signIn(users[0]), e.signIn(users[0]), e.signIn(users[0])
		_ = expired
		e.Call("POST", "/v1/sessions/"+over.ID+"/revoke", nil)
		e.Must(e.Clerk.Settle(e.Context()))
		e.Tick()
		e.LoseEvents()
		asked := map[string]int{}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			id, one := strings.CutPrefix(r.URL.Path, "/v1/sessions/")
			switch {
			case one:
				asked[id]++
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, testkit.NotFound)
			case r.URL.Path == "/v1/sessions":
				_, _ = io.WriteString(w, `{"data":[],"total_count":0}`)
			default:
				e.Clerk.ServeHTTP(w, r)
			}
		})
		e.Intercept(h)
		only := mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindSession}}
		dry := only
		dry.DryRun = true
		if report := e.Walk(dry); report.Found != 2 || report.Repaired != 0 {
			e.Errorf("dry run: %+v", report)
		}
		if report := e.Walk(only); report.Found != 2 || report.Repaired != 2 || asked[over.ID] != 0 || asked[usable.ID] != 3 {
			e.Errorf("%+v, asked %v", report, asked)
		}
		if e.Hidden(over) || !e.Hidden(usable) {
			e.Errorf("hidden: a session that was over %v, one that seemed usable %v", e.Hidden(over), e.Hidden(usable))
		}
	})
}
