package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

// lab is an instance, a mirror of it, and a reconciler with a clock of its own.
type lab struct {
	*testing.T
	e     *emulator.Emulator
	db    *store.DB
	in    *ingest.Ingest
	m     *clerksync.Mirror
	r     *reconcile.Reconciler
	no    atomic.Bool  // organizations
	empty atomic.Bool  // pages of changed users behind the first
	moved atomic.Int64 // of the clock
	url   string
}

// ServeHTTP is the Backend API.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.no.Load() && strings.Contains(r.URL.Path, "organization") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"authorization_invalid","message":"organizations are disabled"}]}`)
		return
	}
	if q := r.URL.Query(); l.empty.Load() && q.Get("order_by") == "-updated_at" && q.Get("offset") != "0" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "[]")
		return
	}
	l.e.ServeHTTP(w, r)
}

func (l *lab) now() time.Time { return time.Now().Add(time.Duration(l.moved.Load())) }

func (l *lab) sleep(_ context.Context, d time.Duration) error { l.moved.Add(int64(d)); return nil }

func (l *lab) reconciler(pageSize int, lease time.Duration) *reconcile.Reconciler {
	api, err := clerkapi.New(clerkapi.Config{
		SecretKey: l.e.Keys("").SecretKey, URL: l.url, Budget: 1, Limit: 100_000, PageSize: pageSize,
		Horizon: func(ctx context.Context) (clerkapi.Horizon, error) {
			h, err := l.in.Horizon(ctx)
			return clerkapi.Horizon(h), err
		},
	})
	l.must(err)
	return reconcile.New(reconcile.Config{DB: l.db, Ingest: l.in, API: api, Now: l.now, Sleep: l.sleep, Lease: lease})
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *lab) call(method, path string, in any) {
	l.Helper()
	l.must(l.e.Call(l.Context(), method, path, in, nil))
}

// equal fails with what the mirror has otherwise than Clerk.
func (l *lab) equal() {
	l.Helper()
	l.must(l.e.Settle(l.Context()))
	read := clerktest.Reader(l.m)
	delete(read, "session")
	differences, err := l.e.Differences(l.Context(), read)
	l.must(err)
	for i, d := range differences {
		if l.Errorf("the mirror differs: %s", d); i > 5 {
			l.Fatalf("and %d more", len(differences)-i)
		}
	}
}

func (l *lab) walk(o reconcile.Options) *reconcile.Report {
	l.Helper()
	report, err := l.r.Walk(l.Context(), o)
	l.must(err)
	return report
}

func (l *lab) backfill() *reconcile.Report {
	l.Helper()
	report, err := l.r.Backfill(l.Context(), nil)
	l.must(err)
	return report
}

func onBothEngines(t *testing.T, options emulator.Options, test func(*lab)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) (*store.DB, error){
		"sqlite":   func(t *testing.T) (*store.DB, error) { return sqlite.Open(filepath.Join(t.TempDir(), "clerk.db")) },
		"postgres": func(t *testing.T) (*store.DB, error) { return postgres.Open(testenv.Postgres(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			test(newLab(t, db, options))
		})
	}
}

// newLab is a lab with a database of its own.
func newLab(t *testing.T, db *store.DB, options emulator.Options) *lab {
	t.Helper()
	e, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	l := &lab{T: t, e: e, db: db}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	l.url = server.URL
	keys := e.Keys("")
	l.m, err = clerksync.New(t.Context(), db, clerksync.Config{WebhookSecrets: []string{keys.WebhookSecret}, JWTKey: keys.PEM, Issuer: keys.Issuer})
	l.must(err)
	t.Cleanup(func() { _ = l.m.Close() })
	l.in, err = ingest.New(t.Context(), ingest.Config{DB: db})
	l.must(err)
	_, err = e.AddEndpoint(emulator.Target{Handler: l.m.WebhookHandler()}, keys.WebhookSecret)
	l.must(err)
	l.r = l.reconciler(0, 0)
	return l
}

func (l *lab) anyUser() string {
	l.Helper()
	list, err := l.db.Standing(l.Context(), clerk.KindUser, "", 1)
	l.must(err)
	return list[0].ID
}

// What was there before any event is read; what is read again without drift writes nothing; a deletion that no event told
// hides the row after a minute.
func TestBackfillAndWalk(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3000, Organizations: 60, Memberships: 3000}, func(l *lab) {
		began := time.Now()
		report := l.backfill()
		if !report.Complete() || report.Found != 0 {
			l.Errorf("%+v", report)
		}
		l.Logf("backfill: %s", time.Since(began))
		l.equal()
		before, err := l.db.Head(l.Context())
		l.must(err)
		if report := l.walk(reconcile.Options{}); !report.Complete() || report.Found != 0 {
			l.Errorf("%+v", report)
		}
		after, err := l.db.Head(l.Context())
		l.must(err)
		list, err := l.db.Standing(l.Context(), clerk.KindMembership, "", 10_000)
		l.must(err)
		for _, row := range list {
			if row.Written > before.Writes {
				l.Fatalf("a walk without drift wrote %s", row.ID)
			}
		}
		if len(list) != 3000 || after.Seq != before.Seq {
			l.Errorf("%d memberships, %d changes", len(list), after.Seq-before.Seq)
		}
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		user := l.anyUser()
		l.call("DELETE", "/v1/users/"+user, nil)
		if report := l.walk(reconcile.Options{DryRun: true}); report.Found != 1 || report.Repaired != 0 {
			l.Errorf("%+v", report)
		}
		if report := l.walk(reconcile.Options{}); report.Repaired != 1 || l.moved.Load() < int64(50*time.Second) {
			l.Errorf("%+v after %s", report, time.Duration(l.moved.Load()))
		}
		l.equal()
		walks, err := l.db.Walks(l.Context())
		if w := walks["user"]; err != nil || w.Found != 1 || w.Repaired != 1 || !w.Complete {
			l.Errorf("kept: %+v, %v", w, err)
		}
		if drift, err := l.db.Drift(l.Context(), 10); err != nil || len(drift) != 1 || drift[0].ID != user || !drift[0].Repaired {
			l.Errorf("drift: %+v, %v", drift, err)
		}
	})
}

// Lost events are repaired, whatever share of them is lost, also while the API fails.
func TestLoss(t *testing.T) {
	t.Parallel()
	for _, loss := range []float64{0.1, 1} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: 200, Organizations: 40, Memberships: 300}, func(l *lab) {
				l.backfill()
				l.must(l.e.SetFaults(emulator.Faults{Drop: loss}))
				for range 200 {
					_, err := l.e.Live(l.Context())
					l.must(err)
				}
				l.must(l.e.Settle(l.Context()))
				l.must(l.e.SetFaults(emulator.Faults{API: emulator.APIFaults{TooMany: 0.02, ServerError: 0.05}}))
				if report := l.walk(reconcile.Options{AllowMassDelete: true}); report.Found == 0 || report.Found != report.Repaired {
					l.Errorf("%d found, %d repaired", report.Found, report.Repaired)
				}
				l.must(l.e.SetFaults(emulator.Faults{}))
				l.equal()
			})
		})
	}
}

// Pages that shift prove nothing, and nothing is taken for deleted by them.
func TestShiftedPagesDeleteNothing(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 200, Organizations: 40, Memberships: 300}, func(l *lab) {
		l.backfill()
		l.r = l.reconciler(20, 0)
		l.must(l.e.SetFaults(emulator.Faults{API: emulator.APIFaults{PageShift: 1}}))
		report, err := l.r.Walk(l.Context(), reconcile.Options{Kinds: []clerk.Kind{clerk.KindMembership}})
		if err == nil && report.Complete() || report.Found > 0 {
			l.Errorf("%+v, %v", report, err)
		}
		l.must(l.e.SetFaults(emulator.Faults{}))
		l.equal()
	})
}

func TestMassDeletionWantsAWord(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
		l.backfill()
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		list, err := l.db.Standing(l.Context(), clerk.KindUser, "", 12)
		l.must(err)
		for _, row := range list {
			l.call("DELETE", "/v1/users/"+row.ID, nil)
		}
		report, err := l.r.Walk(l.Context(), reconcile.Options{})
		var mass *reconcile.MassDeletion
		if !errors.As(err, &mass) || mass.Missing != 12 || report.Repaired != 0 || report.Found != 12 {
			l.Errorf("%+v, %v", report, err)
		}
		if report := l.walk(reconcile.Options{AllowMassDelete: true}); report.Repaired != 12 {
			l.Errorf("%+v", report)
		}
		l.equal()
	})
}

// One change among many costs a sweep few calls.
func TestSweep(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 600}, func(l *lab) {
		l.backfill()
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		l.call("PATCH", "/v1/users/"+l.anyUser(), map[string]any{"first_name": "Augusta"})
		before := l.r.API.Stats().Requests
		report, err := l.r.Tick(l.Context())
		l.must(err)
		if calls := l.r.API.Stats().Requests - before; report.Repaired != 1 || calls > 3 {
			l.Errorf("%d calls, %+v", calls, report)
		}
		l.equal()
	})
}

// A backfill that was ended goes on where it was.
func TestBackfillIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 400, Organizations: 10, Memberships: 400}, func(l *lab) {
		l.r = l.reconciler(20, 0)
		ctx, cancel := context.WithCancel(l.Context())
		_, err := l.r.Backfill(ctx, func(p reconcile.Progress) {
			if p.Kind == clerk.KindMembership && p.Rows >= 200 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			l.Fatal(err)
		}
		l.r = l.reconciler(20, 0)
		first := 0
		report, err := l.r.Backfill(l.Context(), func(p reconcile.Progress) {
			if first == 0 {
				first = p.Rows
			}
		})
		l.must(err)
		if first < 200 || !report.Complete() {
			l.Errorf("went on at %d: %+v", first, report)
		}
		if done, err := l.r.Backfilled(l.Context()); !done || err != nil {
			l.Error(done, err)
		}
		l.equal()
	})
}

// Who sleeps longer than his lease writes nothing more.
func TestPausedReconcilerIsFenced(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
		l.r = l.reconciler(20, 9*time.Minute) // renews too late
		rows := 0
		_, err := l.r.Backfill(l.Context(), func(p reconcile.Progress) {
			if rows = p.Rows; rows == 20 {
				_, err := l.reconciler(20, 0).Backfill(l.Context(), nil)
				if !errors.Is(err, reconcile.ErrBusy) {
					l.Errorf("two at a time: %v", err)
				}
				l.must(l.db.ReleaseLease(l.Context(), store.Lease{Name: "reconcile", Token: 1})) // as if it had run out
				_, err = l.reconciler(0, 0).Backfill(l.Context(), nil)
				l.must(err)
			}
		})
		if !errors.Is(err, store.ErrFenced) || rows != 20 {
			l.Errorf("%d rows, %v", rows, err)
		}
		l.equal()
	})
}

// An instance without organizations is whole without them.
func TestWithoutOrganizations(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.no.Store(true)
		if report := l.backfill(); !report.Complete() || !report.Kinds[1].Refused {
			l.Errorf("%+v", report)
		}
		if done, err := l.r.Backfilled(l.Context()); !done || err != nil {
			l.Error(done, err)
		}
		l.equal()
	})
}

// What waits in doubt is read by id, and what Clerk does not know goes once that was said twice, a minute apart.
func TestVerify(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		gone := store.Key{Kind: clerk.KindUser, ID: l.anyUser()}
		l.call("DELETE", "/v1/users/"+gone.ID, nil)
		l.must(l.in.Doubt(l.Context(), gone))
		for _, hidden := range []bool{false, false, true} {
			_, err := l.r.Tick(l.Context())
			l.must(err)
			if s, err := l.db.Sight(l.Context(), gone); err != nil || s.Hidden != hidden {
				l.Errorf("%+v, %v: want hidden %v", s, err, hidden)
			}
			l.moved.Add(int64(35 * time.Second))
		}
		if left, err := l.db.DoubtsOf(l.Context(), clerk.KindUser, 10); len(left) != 0 || err != nil {
			l.Errorf("still in doubt: %v, %v", left, err)
		}
		l.equal()
	})
}
