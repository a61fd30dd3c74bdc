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
	e   *emulator.Emulator
	db  *store.DB
	in  *ingest.Ingest
	m   *clerksync.Mirror
	r   *reconcile.Reconciler
	url string

	intercept atomic.Pointer[http.HandlerFunc] // instead of the Backend API
}

// ServeHTTP is the Backend API, with Clerk's clock.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", l.now().UTC().Format(http.TimeFormat))
	if h := l.intercept.Load(); h != nil {
		(*h)(w, r)
		return
	}
	l.e.ServeHTTP(w, r)
}

// answer makes the Backend API answer all calls whose path contains a text with a status and a body; "": no longer.
func (l *lab) answer(path string, status int, body string) {
	if path == "" {
		l.intercept.Store(nil)
		return
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, path) {
			l.e.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	l.intercept.Store(&h)
}

// Bodies of errors, as Clerk writes them.
const (
	disabled = `{"errors":[{"code":"authorization_invalid","message":"organizations are disabled"}]}`
	notFound = `{"errors":[{"code":"resource_not_found","message":"not found"}]}`
)

// counting counts the calls whose path has a prefix, from now on.
func (l *lab) counting(prefix string) *atomic.Int64 {
	var n atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) {
			n.Add(1)
		}
		l.e.ServeHTTP(w, r)
	})
	l.intercept.Store(&h)
	return &n
}

// now is the emulated clock: Clerk's and everybody's.
func (l *lab) now() time.Time { return l.e.Now() }

func (l *lab) sleep(_ context.Context, d time.Duration) error { l.e.Advance(d); return nil }

// moved is how long was slept.
func (l *lab) moved() time.Duration { return time.Until(l.e.Now()) }

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
	read := clerktest.Reader(l.m)
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
			l.m, err = clerksync.New(t.Context(), db, clerksync.Config{Now: l.now, WebhookSecrets: []string{keys.WebhookSecret}, JWTKey: keys.PEM, Issuer: keys.Issuer})
			l.must(err)
			t.Cleanup(func() { _ = l.m.Close() })
			l.in, err = ingest.New(t.Context(), ingest.Config{DB: db})
			l.must(err)
			_, err = e.AddEndpoint(emulator.Target{Handler: l.m.WebhookHandler()}, keys.WebhookSecret)
			l.must(err)
			l.r = l.reconciler(0, 0)
			test(l)
		})
	}
}

// tick is a minute of the background work.
func (l *lab) tick() *reconcile.Report {
	l.Helper()
	report, err := l.r.Tick(l.Context())
	l.must(err)
	l.e.Advance(time.Minute)
	return report
}

// deaf loses all events from now on.
func (l *lab) deaf() {
	l.Helper()
	l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
}

func (l *lab) hidden(key store.Key) bool {
	l.Helper()
	s, err := l.db.Sight(l.Context(), key)
	l.must(err)
	return s.Hidden
}

func (l *lab) suspects() map[store.Key]store.Suspect {
	l.Helper()
	all, err := l.db.Suspects(l.Context(), clerk.At(l.now().Add(365*24*time.Hour)))
	l.must(err)
	return all
}

// any is a row of a kind.
func (l *lab) any(kind clerk.Kind) store.Key {
	l.Helper()
	list, err := l.db.Standing(l.Context(), kind, "", 1)
	l.must(err)
	if len(list) == 0 {
		l.Fatalf("there is no %s", kind)
	}
	return store.Key{Kind: kind, ID: list[0].ID}
}

func (l *lab) firstUsers(n int) (ids []string) {
	l.Helper()
	list, err := l.db.Standing(l.Context(), clerk.KindUser, "", n)
	l.must(err)
	for _, row := range list {
		ids = append(ids, row.ID)
	}
	return ids
}

// body is what is stored of a user.
func (l *lab) body(user string) clerk.Value {
	l.Helper()
	u, err := l.m.Users().Get(l.Context(), user)
	l.must(err)
	return parse(l.T, string(u.Raw))
}

func parse(t *testing.T, text string) clerk.Value {
	t.Helper()
	v, err := clerk.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
