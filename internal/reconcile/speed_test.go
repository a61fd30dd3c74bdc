package reconcile_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// line is a transport that calls an emulator in memory, with a latency.
type line struct {
	*emulator.Emulator
	latency time.Duration
	sent    []time.Time // not safe for concurrent use: a walk sends one request at a time
}

// RoundTrip implements [http.RoundTripper].
func (w *line) RoundTrip(r *http.Request) (*http.Response, error) {
	w.sent = append(w.sent, time.Now())
	time.Sleep(w.latency)
	recorder := httptest.NewRecorder()
	r.Body = http.NoBody
	w.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// With Clerk's production limit, a backfill makes 95 % of the requests that its budget allows,
// although Clerk and the database each take nearly as long as the budget allows for a request. One
// after the other they would reach only 64 %.
func TestBackfillUsesItsBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := emulator.New(emulator.Options{Seed: 1, Users: 2000, RateLimit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"), sqlite.DangerouslySynchronousNormal())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		clerk := &line{Emulator: e, latency: 40 * time.Millisecond}
		r := bare(t, db, clerkapi.Config{
			SecretKey: e.Keys("").SecretKey, URL: "http://127.0.0.1", Budget: 0.2, Limit: 1000, PageSize: 4, Transport: clerk,
		})
		report, err := r.Backfill(t.Context(), func(mirror.SyncProgress) { time.Sleep(40 * time.Millisecond) }) // a slow database
		if err != nil || !report.Complete() || r.API.Stats().TooMany != 0 {
			t.Fatalf("%+v, %v, %d refusals", report, err, r.API.Stats().TooMany)
		}
		const budget = 200.0 / 10 // requests a second: a fifth of 1000 in ten seconds
		took := clerk.sent[len(clerk.sent)-1].Sub(clerk.sent[0])
		if rate := float64(len(clerk.sent)-1) / took.Seconds(); rate < 0.95*budget {
			t.Errorf("%d requests in %v: %.1f a second, of %.0f", len(clerk.sent), took, rate, budget)
		}
	})
}

// A walk without drift changes neither rows nor the change feed. A user whose event was lost is
// repaired by three requests at most, including the sweep's. CLERKSYNC_TEST_USERS is the number of
// other users.
func TestReadsAndWritesNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	users := 3000
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_USERS")); err == nil {
		users = n
	}
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		e, err := emulator.New(emulator.Options{Seed: 1, Users: users, Organizations: 10, Memberships: users})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		db := d.Open(t)
		r := bare(t, db, clerkapi.Config{
			SecretKey: e.Keys("").SecretKey, URL: "http://127.0.0.1", Budget: 1, Limit: 1_000_000, Transport: &line{Emulator: e},
		})
		if report, err := r.Backfill(t.Context(), nil); err != nil || !report.Complete() {
			t.Fatalf("%+v, %v", report, err)
		}
		noDrift(t, db, r)
		oneDrift(t, e, r)
	})
}

func noDrift(t *testing.T, db *store.DB, r *reconcile.Reconciler) {
	t.Helper()
	head, written := writes(t, db)
	if report, err := r.Walk(t.Context(), mirror.ReconcileOptions{}); err != nil || !report.Complete() || report.Found != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	after, writtenAfter := writes(t, db)
	if head.Seq != after.Seq || !maps.Equal(written, writtenAfter) {
		t.Errorf("a walk without drift wrote: %s", cmp.Diff(written, writtenAfter))
	}
}

// writes returns which transaction wrote each row last.
func writes(t *testing.T, db *store.DB) (head store.Head, written map[string]int64) {
	t.Helper()
	head, err := db.Head(t.Context())
	written = map[string]int64{}
	for _, kind := range reconcile.Kinds() {
		rows, failed := db.LiveRows(t.Context(), kind, "", 1_000_000)
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		for _, row := range rows {
			written[row.ID] = row.Written
		}
	}
	return head, written
}

func oneDrift(t *testing.T, e *emulator.Emulator, r *reconcile.Reconciler) {
	t.Helper()
	var people []struct{ ID string }
	err := e.Call(t.Context(), http.MethodGet, "/v1/users?limit=1&offset=1000", nil, &people)
	if err == nil {
		err = e.Call(t.Context(), http.MethodPost, "/_emulator/users/"+people[0].ID+"/profile", map[string]string{"last_name": "Lamarr"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := r.API.Stats().Requests
	report, err := r.Tick(t.Context())
	if err != nil || report.Found != 1 || report.Repaired != 1 || report.Drift[0].Kind != clerk.KindUser || report.Drift[0].ID != people[0].ID {
		t.Errorf("%+v, %v", report, err)
	}
	if requests := r.API.Stats().Requests - before; requests > 3 {
		t.Errorf("one changed user took %d requests", requests)
	}
}
