package reconcile_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// forge lets a change of a user in that Clerk never knew, from a day ahead.
func (l *lab) forge(key store.Key) {
	l.Helper()
	body := l.body(key.ID)
	ahead := strconv.FormatInt(l.now().Add(24*time.Hour).UnixMilli(), 10)
	forged := strings.Replace(body.With("updated_at", clerk.Text("_")).With("first_name", clerk.Text("Mallory")).JSON(), `"_"`, ahead, 1)
	l.must(l.in.Apply(l.Context(), ingest.Reading{Key: key, Body: parse(l.T, forged), ObservedAt: clerk.TimeOf(l.now())}))
}

func (l *lab) firstName(key store.Key) string {
	l.Helper()
	user, err := l.m.Users().Get(l.Context(), key.ID)
	l.must(err)
	return user.FirstName
}

// What Clerk tells twice older than it is here is reported, each time, until a person accepts it.
func TestRegression(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.forge(user)
		only := reconcile.Options{Kinds: []clerk.Kind{clerk.KindUser}}
		expect := func(what string, report *reconcile.Report, repaired bool) {
			l.Helper()
			l.oneDrift(what, report, user.ID, reconcile.CauseRegression, repaired)
			if (l.firstName(user) == "Mallory") == repaired {
				l.Errorf("%s: it is %s", what, l.firstName(user))
			}
		}
		dry := only
		dry.DryRun = true
		expect("dry run", l.walk(dry), false)
		if l.waited() > 50*time.Second || len(l.suspects()) > 0 {
			l.Errorf("a dry run waited, or wrote: %s, %+v", l.waited(), l.suspects())
		}
		var waits []reconcile.Progress
		tell := only
		tell.Progress = func(p reconcile.Progress) {
			if !p.AskedAgain.IsZero() {
				waits = append(waits, p)
			}
		}
		began := l.now()
		expect("first walk", l.walk(tell), false)
		if l.waited() < 50*time.Second {
			l.Errorf("sure after %s", l.waited())
		}
		if len(waits) != 1 || waits[0].Rows != 1 || waits[0].AskedAgain.Sub(began) < 50*time.Second || waits[0].AskedAgain.Sub(began) > 70*time.Second {
			l.Errorf("it was told to wait: %+v, begun at %s", waits, began)
		}
		l.r = l.reconciler(0, 0)
		before := l.waited()
		expect("second walk", l.walk(only), false)
		if l.waited()-before > 30*time.Second {
			l.Errorf("what is known was waited for: %s", l.waited()-before)
		}
		accept := only
		accept.AcceptRegression = []string{user.ID}
		expect("accepted", l.walk(accept), true)
		l.equal("session")
		if report := l.walk(only); report.Found != 0 || len(l.suspects()) != 0 {
			l.Errorf("after that: %+v, %+v", report, l.suspects())
		}
		if report, err := l.r.Walk(l.Context(), accept); err == nil || report.Repaired != 0 {
			l.Errorf("nothing is left to accept: %+v, %v", report, err)
		}
	})
}

// The two reads count only if nothing was written between them, and a day passes between two
// reports of the background.
func TestRegressionInTheBackground(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.forge(user)
		l.must(l.in.Doubt(l.Context(), user))
		tick := func(what string, found int) {
			l.Helper()
			if report := l.tick(); report.Found != found {
				l.Errorf("%s: %+v", what, report)
			}
		}
		tick("first read", 0)
		l.forge(user)
		tick("after a write", 0)
		l.later(-10 * time.Second)
		tick("too early", 0)
		tick("second read", 1)
		for range 10 {
			tick("known", 0)
		}
		l.later(24 * time.Hour)
		tick("a day later", 1)
		l.forge(user) // nothing is certain any more
		l.later(24 * time.Hour)
		tick("after another write", 0)
		if l.firstName(user) != "Mallory" {
			l.Error("it was repaired by itself")
		}
	})
}
