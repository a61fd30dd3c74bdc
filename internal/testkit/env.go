package testkit

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Env is an emulated Clerk instance, a mirror that its webhooks reach, and a reconciler that reads
// its Backend API over HTTP.
type Env struct {
	*testing.T
	Clerk      *emulator.Emulator
	Database   *Database
	DB         *store.DB
	Ingest     *ingest.Ingest
	Reconciler *reconcile.Reconciler // tests may replace it, see NewReconciler

	apiURL    string
	advanced  atomic.Int64 // how far our clock is ahead of the real one
	intercept atomic.Pointer[http.HandlerFunc]
}

// EachEnv runs a test in parallel with an Env on each engine.
func EachEnv(t *testing.T, options emulator.Options, test func(*Env)) {
	t.Helper()
	EachEngine(t, func(t *testing.T, d *Database) { test(New(t, d, options)) })
}

// New returns an Env on a database.
func New(t *testing.T, d *Database, options emulator.Options) *Env {
	t.Helper()
	e := &Env{T: t, Database: d, DB: d.Open(t)}
	var err error
	e.Clerk, err = emulator.New(options)
	e.Must(err)
	e.Ingest, err = ingest.New(t.Context(), ingest.Config{DB: e.DB, Now: e.Clerk.Now})
	e.Must(err)
	t.Cleanup(e.Ingest.Close)
	t.Cleanup(e.Clerk.Close)
	server := httptest.NewServer(http.HandlerFunc(e.serveAPI))
	t.Cleanup(server.Close)
	e.apiURL = server.URL
	_, err = e.Clerk.AddEndpoint(emulator.Target{Handler: e.webhookHandler()}, e.Clerk.Keys("").WebhookSecret)
	e.Must(err)
	e.Reconciler = e.NewReconciler(ReconcilerOptions{})
	return e
}

// ReconcilerOptions differ from the defaults if they are not zero.
type ReconcilerOptions struct {
	PageSize int
	Lease    time.Duration
}

// NewReconciler returns a reconciler as another process would have it, or the same one after a
// restart.
func (e *Env) NewReconciler(o ReconcilerOptions) *reconcile.Reconciler {
	e.Helper()
	api, err := clerkapi.New(clerkapi.Config{
		SecretKey: e.Clerk.Keys("").SecretKey, URL: e.apiURL, Budget: 1, Limit: 100_000, PageSize: o.PageSize,
		ReadFence: e.Ingest.ReadFence,
	})
	e.Must(err)
	return reconcile.New(reconcile.Config{DB: e.DB, Ingest: e.Ingest, API: api, Now: e.Now, Sleep: e.sleep, Lease: o.Lease})
}

// Backfill reads everything from Clerk.
func (e *Env) Backfill() *mirror.SyncReport {
	e.Helper()
	report, err := e.Reconciler.Backfill(e.Context(), nil)
	e.Must(err)
	return report
}

// Walk compares everything with Clerk.
func (e *Env) Walk(o mirror.ReconcileOptions) *mirror.SyncReport {
	e.Helper()
	report, err := e.Reconciler.Walk(e.Context(), o)
	e.Must(err)
	return report
}

// Tick does the work of a minute in the background, and advances the clock by that minute.
func (e *Env) Tick() *mirror.SyncReport {
	e.Helper()
	report, err := e.Reconciler.Tick(e.Context())
	e.Must(err)
	e.AdvanceClock(time.Minute)
	return report
}

// Must fails the test if there is an error.
func (e *Env) Must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}
