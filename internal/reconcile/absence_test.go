package reconcile_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// What one process suspects, the next one confirms, a minute after the first answer and not before.
func TestSuspectsOutliveAProcess(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		l.deaf()
		gone := l.any(clerk.KindUser)
		l.call("DELETE", "/v1/users/"+gone.ID, nil)
		l.must(l.in.Doubt(l.Context(), gone))
		for _, hidden := range []bool{false, false, true} {
			l.r = l.reconciler(0, 0)
			_, err := l.r.Tick(l.Context())
			l.must(err)
			if l.hidden(gone) != hidden {
				l.Errorf("hidden after %s: %v", l.moved(), !hidden)
			}
			l.e.Advance(35 * time.Second)
		}
		l.equal()
	})
}

// A domain goes once two whole lists, ten minutes apart, lack it, whoever walked them; not if it was heard of between.
func TestDomainsWantTwoLists(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3, Organizations: 1}, func(l *lab) {
		l.backfill()
		organizations := "/v1/organizations/" + l.any(clerk.KindOrganization).ID + "/domains"
		for _, name := range []string{"one.example", "two.example"} {
			l.call("POST", organizations, map[string]any{"name": name})
		}
		l.must(l.e.Settle(l.Context()))
		l.deaf()
		gone := l.any(clerk.KindDomain)
		l.call("DELETE", organizations+"/"+gone.ID, nil)
		only := reconcile.Options{Kinds: []clerk.Kind{clerk.KindDomain}}
		walk := func(after time.Duration, found, repaired int) {
			l.Helper()
			l.e.Advance(after)
			l.r = l.reconciler(0, 0)
			if report := l.walk(only); report.Found != found || report.Repaired != repaired || !report.Complete() {
				l.Errorf("%+v", report)
			}
		}
		walk(0, 1, 0)
		walk(5*time.Minute, 1, 0)
		user, err := l.m.Sync().Drift(l.Context(), store.DriftFilter{})
		if err != nil || len(user) != 0 {
			l.Errorf("what is not sure is kept as drift: %+v, %v", user, err)
		}
		l.must(l.in.Apply(l.Context(), ingest.Reading{ // a late event
			Key: gone, Body: parse(l.T, `{"id":"`+gone.ID+`","updated_at":1}`), ObservedAt: clerk.At(l.now().Add(time.Hour)),
		}))
		walk(5*time.Minute, 1, 0)
		walk(9*time.Minute, 1, 0)
		walk(time.Minute, 1, 1)
		l.equal()
		if len(l.suspects()) != 0 {
			l.Errorf("suspects are left: %+v", l.suspects())
		}
	})
}

// A deduced deletion is for ever once a third answer, a week later, says so; until then it can be undone.
func TestHardening(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		l.deaf()
		gone := l.any(clerk.KindUser)
		body := l.body(gone.ID)
		l.call("DELETE", "/v1/users/"+gone.ID, nil)
		l.walk(reconcile.Options{})
		seeAgain := func() bool {
			l.must(l.in.Apply(l.Context(), ingest.Reading{Key: gone, Body: body, ObservedAt: clerk.At(l.now())}))
			return !l.hidden(gone)
		}
		if !l.hidden(gone) || !seeAgain() {
			l.Fatal("the deletion was not deduced, or can not be undone")
		}
		l.walk(reconcile.Options{})
		l.e.Advance(6 * 24 * time.Hour)
		l.tick()
		if s := l.suspects()[gone]; s.Reason != store.SuspectHidden {
			l.Errorf("before a week: %+v", s)
		}
		l.e.Advance(24 * time.Hour)
		l.tick()
		if _, suspected := l.suspects()[gone]; suspected || seeAgain() {
			l.Errorf("after a week it can still come back: %+v", l.suspects())
		}
		user := l.any(clerk.KindUser) // of whom Clerk said wrongly that he was gone
		l.answer("/users/"+user.ID, http.StatusNotFound, notFound)
		l.must(l.in.Doubt(l.Context(), user))
		l.tick()
		l.tick()
		if !l.hidden(user) {
			l.Fatal("not hidden")
		}
		l.answer("", 0, "")
		l.e.Advance(7 * 24 * time.Hour)
		l.tick()
		if _, suspected := l.suspects()[user]; suspected || l.hidden(user) {
			l.Errorf("a false answer was not undone: %+v", l.suspects())
		}
	})
}

// Of what Clerk refuses to tell is asked less and less often.
func TestRefusedReadsBackOff(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.must(l.in.Doubt(l.Context(), user))
		l.answer("/users/"+user.ID, http.StatusForbidden, disabled)
		asked := 0
		for range 20 {
			for _, k := range l.tick().Kinds {
				asked += k.Unread
			}
		}
		if asked != 5 { // after 0, 1, 3, 7 and 15 minutes
			l.Errorf("asked %d times in 20 minutes: %+v", asked, l.suspects())
		}
		l.answer("", 0, "")
		l.e.Advance(time.Hour)
		l.tick()
		if left, err := l.db.DoubtsOf(l.Context(), clerk.KindUser, clerk.At(l.now()), 10); len(left)+len(l.suspects()) != 0 || err != nil {
			l.Errorf("still in doubt: %v, %v, %v", left, l.suspects(), err)
		}
	})
}
