package reconcile_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/viewreader"
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

	intercept atomic.Pointer[http.HandlerFunc] // instead of the Backend API
}

// ServeHTTP is the Backend API.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", l.e.Now().UTC().Format(http.TimeFormat))
	if h := l.intercept.Load(); h != nil {
		(*h)(w, r)
		return
	}
	if l.no.Load() && strings.Contains(r.URL.Path, "organization") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"organization_not_enabled_in_instance","message":"access denied"}]}`)
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

// equal fails with what the mirror has otherwise than Clerk, but for kinds that are named.
func (l *lab) equal(without ...string) {
	l.Helper()
	l.must(l.e.Settle(l.Context()))
	read := viewreader.FromAPI(l.m)
	for _, kind := range without {
		delete(read, kind)
	}
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
	l.m, err = clerksync.New(t.Context(), db, clerksync.Config{WebhookSecrets: []string{keys.WebhookSecret}, JWTKey: keys.PEM, Issuer: keys.Issuer, Now: e.Now})
	l.must(err)
	t.Cleanup(func() { _ = l.m.Close() })
	l.in, err = ingest.New(t.Context(), ingest.Config{DB: db})
	l.must(err)
	_, err = e.AddEndpoint(emulator.Target{Handler: l.m.WebhookHandler()}, keys.WebhookSecret)
	l.must(err)
	l.r = l.reconciler(0, 0)
	return l
}
