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
				l.Errorf("hidden after %s: %v", l.waited(), !hidden)
			}
			l.later(35 * time.Second)
		}
		l.equal()
	})
}

// Whoever asks again within the minute learns nothing, and a write between the two answers begins
// it anew.
func TestSecondAnswers(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		l.deaf()
		users := l.firstUsers(2)
		early, heardOf := store.Key{Kind: clerk.KindUser, ID: users[0]}, store.Key{Kind: clerk.KindUser, ID: users[1]}
		body := l.body(heardOf.ID)
		for _, user := range users {
			l.call("DELETE", "/v1/users/"+user, nil)
		}
		l.must(l.in.Doubt(l.Context(), early))
		_, err := l.r.Tick(l.Context())
		l.must(err)
		before := l.waited()
		report := l.walk(reconcile.Options{DryRun: true})
		if report.Found != 2 || l.hidden(early) {
			l.Errorf("dry run: %+v", report)
		}
		l.must(l.in.Doubt(l.Context(), heardOf))
		l.tick()
		l.must(l.in.Apply(l.Context(), ingest.Reading{Key: heardOf, Body: body, ObservedAt: clerk.TimeOf(l.now())}))
		l.tick()
		if !l.hidden(early) || l.hidden(heardOf) || l.waited()-before < time.Minute {
			l.Errorf("a write between did not count: %+v", l.suspects())
		}
		if l.tick(); !l.hidden(heardOf) {
			l.Errorf("not hidden after two answers without a write between: %+v", l.suspects())
		}
		third := store.Key{Kind: clerk.KindUser, ID: l.firstUsers(1)[0]}
		l.call("DELETE", "/v1/users/"+third.ID, nil)
		l.must(l.in.Doubt(l.Context(), third))
		_, err = l.r.Tick(l.Context())
		l.must(err)
		before = l.waited()
		if l.walk(reconcile.Options{}); !l.hidden(third) || l.waited()-before < 50*time.Second {
			l.Errorf("hidden %v, %s after the first answer", l.hidden(third), l.waited()-before)
		}
	})
}

// What a list still shows is not gone, whatever reads by id say.
func TestListedIsNotGone(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.answer("/users/"+user.ID, http.StatusNotFound, notFound)
		l.must(l.in.Doubt(l.Context(), user))
		l.tick()
		if l.suspects()[user].Reason != store.SuspectGone {
			l.Fatalf("%+v", l.suspects())
		}
		if report := l.walk(reconcile.Options{}); report.Found != 0 || l.hidden(user) || len(l.suspects()) != 0 {
			l.Errorf("%+v, %+v", report, l.suspects())
		}
	})
}

// A domain goes once two whole lists, ten minutes apart, lack it, whoever walked them; not if it
// was heard of between.
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
			l.later(after)
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
			Key: gone, Body: parse(l.T, `{"id":"`+gone.ID+`","updated_at":1}`), ObservedAt: clerk.TimeOf(l.now().Add(time.Hour)),
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

// A deduced deletion is for ever once a third answer, a week later, says so; until then it can be
// undone.
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
			l.must(l.in.Apply(l.Context(), ingest.Reading{Key: gone, Body: body, ObservedAt: clerk.TimeOf(l.now())}))
			return !l.hidden(gone)
		}
		if !l.hidden(gone) || !seeAgain() {
			l.Fatal("the deletion was not deduced, or can not be undone")
		}
		l.walk(reconcile.Options{})
		l.later(6 * 24 * time.Hour)
		l.tick()
		if s := l.suspects()[gone]; s.Reason != store.SuspectHidden {
			l.Errorf("before a week: %+v", s)
		}
		l.r.Now = func() time.Time { return l.now().Add(3 * 24 * time.Hour) } // our clock alone is of no use
		l.tick()
		if s := l.suspects()[gone]; s.Reason != store.SuspectHidden {
			l.Errorf("before a week by Clerk's clock: %+v", s)
		}
		l.r.Now = l.now
		l.later(5 * 24 * time.Hour)
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
		l.later(7 * 24 * time.Hour)
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
		l.later(time.Hour)
		l.tick()
		if left, err := l.db.VerifyQueueOf(l.Context(), clerk.KindUser, clerk.TimeOf(l.now()), 10); len(left)+len(l.suspects()) != 0 || err != nil {
			l.Errorf("still in doubt: %v, %v, %v", left, l.suspects(), err)
		}
	})
}

// An object of which Clerk answers nonsense holds up nobody else, and what was suspected of it
// stays suspected. If all answers are, the work ends.
func TestUnansweredReads(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		l.deaf()
		users := l.firstUsers(5)
		odd := store.Key{Kind: clerk.KindUser, ID: users[0]}
		gone := store.Key{Kind: clerk.KindUser, ID: users[1]}
		l.call("DELETE", "/v1/users/"+gone.ID, nil)
		l.must(l.in.Doubt(l.Context(), odd, gone))
		l.answer("/users/"+odd.ID, http.StatusOK, `{"id":"user_other"}`)
		if report := l.tick(); report.Kinds[0].Unread != 1 || l.suspects()[gone].Reason != store.SuspectGone {
			l.Errorf("%+v, %+v", report, l.suspects())
		}
		l.answer("/users/"+gone.ID, http.StatusOK, `{"id":"user_other"}`)
		l.tick()
		if s := l.suspects()[gone]; l.hidden(gone) || s.Reason != store.SuspectGone || s.DueAt <= clerk.TimeOf(l.now().Add(-time.Minute)) {
			l.Errorf("nonsense confirmed it, or made it forgotten: %+v", s)
		}
		l.answer("", 0, "")
		if l.tick(); !l.hidden(gone) {
			l.Error("not hidden after a second answer")
		}
		for _, id := range users[1:] {
			l.must(l.in.Doubt(l.Context(), store.Key{Kind: clerk.KindUser, ID: id}))
		}
		l.answer("/v1/users/", http.StatusOK, `{"id":"user_other"}`)
		l.later(time.Hour)
		if _, err := l.r.Tick(l.Context()); !errors.Is(err, clerkapi.ErrUnavailable) {
			l.Errorf("all answers are nonsense: %v", err)
		}
	})
}
