package reconcile_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

func (l *lab) signIn(user string) store.Key {
	l.Helper()
	var s struct{ ID string }
	l.must(l.e.Call(l.Context(), "POST", "/_emulator/users/"+user+"/sign_in", nil, &s))
	l.must(l.e.Settle(l.Context()))
	return store.Key{Kind: clerk.KindSession, ID: s.ID}
}

// Sessions whose events were lost are repaired within a round; what was there before the first
// round is no drift.
func TestSessionRounds(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		users := l.firstUsers(4)
		l.deaf()
		l.signIn(users[0])
		old := l.signIn(users[1])
		l.call("POST", "/v1/sessions/"+old.ID+"/revoke", nil)
		l.must(l.e.SetFaults(emulator.Faults{}))
		revoked := l.signIn(users[2])
		l.walk(reconcile.Options{}) // which tells who signed in
		if report := l.tick(); report.Found != 0 {
			l.Errorf("the first round: %+v", report)
		}
		l.equal()
		l.deaf()
		l.call("POST", "/v1/sessions/"+revoked.ID+"/revoke", nil)
		l.signIn(users[2])
		calls := l.counting("/v1/sessions")
		if l.tick(); calls.Load() != 0 {
			l.Errorf("%d calls within a quarter of an hour", calls.Load())
		}
		l.later(15 * time.Minute)
		if report := l.tick(); report.Found != 2 || report.Repaired != 2 || report.Drift[0].Kind != clerk.KindSession {
			l.Errorf("the second round: %+v", report)
		}
		if calls.Load() != 3 {
			l.Errorf("%d calls for three active users", calls.Load())
		}
		l.equal("user") // whose last sign-in the next walk brings
	})
}

// A call reads the sessions of so many users; the round goes on with the next, also in another
// process.
func TestSessionRoundsAreBounded(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 130}, func(l *lab) {
		l.backfill()
		for _, user := range l.firstUsers(125) {
			l.signIn(user)
		}
		calls := l.counting("/v1/sessions")
		for i, want := range []int64{60, 120, 125, 125} {
			l.r = l.reconciler(0, 0)
			if l.tick(); calls.Load() != want {
				l.Errorf("%d calls after %d minutes, want %d", calls.Load(), i+1, want)
			}
		}
		walks, err := l.db.Walks(l.Context())
		if w := walks["session"]; err != nil || !w.Complete || w.Cursor != "" || w.Rows != 125 {
			l.Errorf("kept: %+v, %v", w, err)
		}
		report := l.walk(reconcile.Options{Kinds: []clerk.Kind{clerk.KindSession}})
		if report.Found != 0 || report.Kinds[0].Rows != 125 || !report.Complete() || calls.Load() != 250 {
			l.Errorf("a whole round: %+v, %d calls", report, calls.Load())
		}
	})
}

// Clerk forgets sessions that are over: they stay as they are. One that should be usable is asked
// for by id.
func TestForgottenSessions(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		users := l.firstUsers(2)
		over, expired, usable := l.signIn(users[0]), l.signIn(users[0]), l.signIn(users[0])
		_ = expired
		l.call("POST", "/v1/sessions/"+over.ID+"/revoke", nil)
		l.must(l.e.Settle(l.Context()))
		l.tick()
		l.deaf()
		asked := map[string]int{}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			id, one := strings.CutPrefix(r.URL.Path, "/v1/sessions/")
			switch {
			case one:
				asked[id]++
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, notFound)
			case r.URL.Path == "/v1/sessions":
				_, _ = io.WriteString(w, `{"data":[],"total_count":0}`)
			default:
				l.e.ServeHTTP(w, r)
			}
		})
		l.intercept.Store(&h)
		only := reconcile.Options{Kinds: []clerk.Kind{clerk.KindSession}}
		dry := only
		dry.DryRun = true
		if report := l.walk(dry); report.Found != 2 || report.Repaired != 0 {
			l.Errorf("dry run: %+v", report)
		}
		if report := l.walk(only); report.Found != 2 || report.Repaired != 2 || asked[over.ID] != 0 || asked[usable.ID] != 3 {
			l.Errorf("%+v, asked %v", report, asked)
		}
		if l.hidden(over) || !l.hidden(usable) {
			l.Errorf("hidden: one that was over %v, one that seemed usable %v", l.hidden(over), l.hidden(usable))
		}
	})
}
