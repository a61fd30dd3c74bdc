package reconcile_test

import (
	"strconv"
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

// forge applies a change of a user that Clerk never had, dated a day ahead.
func (e *env) forge(key row.Key) {
	e.Helper()
	body := e.StoredUser(key.ID)
	ahead := strconv.FormatInt(e.Now().Add(24*time.Hour).UnixMilli(), 10)
	forged := strings.Replace(body.With("updated_at", clerk.Text("_")).With("first_name", clerk.Text("Mallory")).JSON(), `"_"`, ahead, 1)
	e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{Key: key, Body: e.Parse(forged), ObservedAt: clerk.TimeOf(e.Now())}))
}

func (e *env) firstName(key row.Key) string {
	e.Helper()
	user, err := e.DB.UserByClerkID(e.Context(), key.ID)
	e.Must(err)
	return user.FirstName
}

// If Clerk returns an older state twice, that is reported each time until a person accepts it.
func TestRegression(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.forge(user)
		only := mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindUser}}
		expect := func(what string, report *mirror.SyncReport, repaired bool) {
			e.Helper()
			e.assertOneDrift(what, report, user.ID, mirror.CauseRegression, repaired)
			if (e.firstName(user) == "Mallory") == repaired {
				e.Errorf("%s: the name is %s", what, e.firstName(user))
			}
		}
		dry := only
		dry.DryRun = true
		expect("dry run", e.Walk(dry), false)
		if e.Waited() > 50*time.Second || len(e.Suspects()) > 0 {
			e.Errorf("a dry run waited, or wrote: %s, %+v", e.Waited(), e.Suspects())
		}
		var waits []mirror.SyncProgress
		tell := only
		tell.Progress = func(p mirror.SyncProgress) {
			if !p.AskedAgain.IsZero() {
				waits = append(waits, p)
			}
		}
		began := e.Now()
		expect("first walk", e.Walk(tell), false)
		if e.Waited() < 50*time.Second {
			e.Errorf("proven after %s", e.Waited())
		}
		if len(waits) != 1 || waits[0].Rows != 1 || waits[0].AskedAgain.Sub(began) < 50*time.Second || waits[0].AskedAgain.Sub(began) > 70*time.Second {
			e.Errorf("the progress does not report the wait: %+v, begun at %s", waits, began)
		}
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{})
		before := e.Waited()
		expect("second walk", e.Walk(only), false)
		if e.Waited()-before > 30*time.Second {
			e.Errorf("waited %s for a regression that is proven already", e.Waited()-before)
		}
		accept := only
		accept.AcceptRegression = []string{user.ID}
		expect("accepted", e.Walk(accept), true)
		e.AssertMirrorsClerk("session")
		if report := e.Walk(only); report.Found != 0 || len(e.Suspects()) != 0 {
			e.Errorf("after that: %+v, %+v", report, e.Suspects())
		}
		if report, err := e.Reconciler.Walk(e.Context(), accept); err == nil || report.Repaired != 0 {
			e.Errorf("nothing is left to accept: %+v, %v", report, err)
		}
	})
}

// The two reads count only if nothing was written in between, and Tick reports a regression once a
// day.
func TestRegressionInTheBackground(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.forge(user)
		e.Must(e.Ingest.QueueVerify(e.Context(), user))
		tick := func(what string, found int) {
			e.Helper()
			if report := e.Tick(); report.Found != found {
				e.Errorf("%s: %+v", what, report)
			}
		}
		tick("first read", 0)
		e.forge(user)
		tick("after a write", 0)
		e.AdvanceClock(-10 * time.Second)
		tick("too early", 0)
		tick("second read", 1)
		for range 10 {
			tick("known", 0)
		}
		e.AdvanceClock(24 * time.Hour)
		tick("a day later", 1)
		e.forge(user) // nothing is proven any more
		e.AdvanceClock(24 * time.Hour)
		tick("after another write", 0)
		if e.firstName(user) != "Mallory" {
			e.Error("it was repaired without a person")
		}
	})
}
