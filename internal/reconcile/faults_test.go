package reconcile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// changeUnheard makes changes at Clerk whose events are lost.
func (e *env) changeUnheard(changes int) {
	e.Helper()
	e.LoseEvents()
	for range changes {
		_, err := e.Clerk.Step(e.Context())
		e.Must(err)
	}
}

// Refusals and failures during a walk only cost time. A walk that gives up deletes nothing.
func TestFaultsOfTheAPI(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]emulator.APIFaults{
		"429":            {TooMany: 0.3},
		"5xx":            {ServerError: 0.3},
		"broken answers": {Truncate: 0.3},
		"all":            {TooMany: 0.1, ServerError: 0.1, Truncate: 0.1, PageShift: 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 100, Organizations: 10, Memberships: 100}, func(e *env) {
				e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 40})
				e.Backfill()
				e.changeUnheard(60)
				e.Must(e.Clerk.SetFaults(emulator.Faults{API: faults}))
				report, err := e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{AllowMassDelete: true})
				if err != nil && !strings.Contains(err.Error(), "clerk: ") {
					e.Errorf("the walk failed for another reason: %v", err)
				}
				e.Logf("with faults: complete %v, %d repaired, %v", report.Complete(), report.Repaired, err)
				e.Must(e.Clerk.SetFaults(emulator.Faults{}))
				e.Walk(mirror.ReconcileOptions{AllowMassDelete: true})
				e.AssertMirrorsClerk("session") // which no list brings back
			})
		})
	}
}

// A clock that jumps hides nothing too early. At most it costs a lease.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 50}, func(e *env) {
				e.Backfill()
				e.LoseEvents()
				gone := row.Key{Kind: clerk.KindUser, ID: e.AnyRow(clerk.KindUser).ID}
				e.Call("DELETE", "/v1/users/"+gone.ID, nil)
				e.Must(e.Ingest.QueueVerify(e.Context(), gone))
				_, err := e.Reconciler.Tick(e.Context()) // the first 404
				e.Must(err)
				e.AdvanceOurClock(jump)
				_, err = e.Reconciler.Tick(e.Context())
				e.Must(err)
				if s, err := e.DB.RowMeta(e.Context(), gone); err != nil || s.Hidden != (jump > 0) {
					e.Errorf("hidden %v after a jump of %s, %v", s.Hidden, jump, err)
				}
				for range 2 {
					e.AdvanceOurClock(61 * time.Second)
					_, err = e.Reconciler.Tick(e.Context())
					e.Must(err)
				}
				e.AssertMirrorsClerk("session") // which no list brings back
				e.jumpClockDuringRun(jump)
			})
		})
	}
}

// jumpClockDuringRun moves the clock during a backfill. On SQLite, where our clock is the only one,
// another process takes the lease and the first one is refused. Postgres has a clock of its own.
func (e *env) jumpClockDuringRun(jump time.Duration) {
	e.Helper()
	e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 10, Lease: time.Minute})
	rows := 0
	_, err := e.Reconciler.Backfill(e.Context(), func(mirror.SyncProgress) {
		if rows += 10; rows != 10 {
			return
		}
		e.AdvanceOurClock(jump)
		_, err := e.NewReconciler(testkit.ReconcilerOptions{}).Backfill(e.Context(), nil)
		if busy := errors.Is(err, mirror.ErrSyncBusy); busy != (e.DB.Engine() == store.Postgres) {
			e.Errorf("another process, after a jump of %s: %v", jump, err)
		}
	})
	if fenced := errors.Is(err, store.ErrFenced); fenced != (e.DB.Engine() == store.SQLite) {
		e.Errorf("the process that held the lease: %v", err)
	}
	e.AssertMirrorsClerk("session") // which no list brings back
}

// A database that restarts or crashes during a walk fails that walk at most. The next walk goes on.
func TestPostgresRestartsDuringReconcile(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgresServer(t, testenv.ServerOptions{})
	e := newEnv(t, testkit.PostgresAt(server.DSN()), emulator.Options{Users: 200, Organizations: 10, Memberships: 200})
	e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 30})
	for n, end := range []func(){server.Stop, server.Kill} {
		e.changeUnheard(60)
		pages, restarts := 0, 0
		work := func(mirror.SyncProgress) {
			if pages++; pages%5 == 3 {
				restarts++
				end()
				server.Start()
			}
		}
		var err error
		if n == 0 {
			_, err = e.Reconciler.Backfill(e.Context(), work)
		} else {
			_, err = e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{Progress: work, AllowMassDelete: true})
		}
		t.Logf("%d restarts in %d pages: %v", restarts, pages, err)
		if restarts == 0 {
			t.Error("Postgres was never restarted")
		}
		e.AdvanceOurClock(time.Minute)
		e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 30}) // the old lease may have been lost with a connection
		e.releaseLease()
		e.Backfill()
		e.Walk(mirror.ReconcileOptions{AllowMassDelete: true})
		e.AssertMirrorsClerk("session") // which no list brings back
	}
}

// releaseLease does what 30 seconds would: the lease is free again.
func (e *env) releaseLease() {
	e.Helper()
	for token := range int64(100) {
		e.onLiveConnection(func() error {
			return e.DB.ReleaseLease(e.Context(), store.Lease{Name: "reconcile", Token: token})
		})
	}
}

// onLiveConnection calls f again while it fails on a connection that was cut. The pool may still
// have some; each fails once.
func (e *env) onLiveConnection(f func() error) {
	e.Helper()
	var err error
	for range 20 {
		if err = f(); err == nil || !store.IsTransient(err) {
			break
		}
	}
	e.Must(err)
}

// Wherever the connection to Postgres is cut, nothing wrong is written, and the next walk repairs
// everything.
func TestConnectionCutDuringReconcile(t *testing.T) {
	t.Parallel()
	proxy := newCutter(t, testenv.Postgres(t))
	e := newEnv(t, testkit.PostgresAt(proxy.dsn), emulator.Options{Users: 40, Organizations: 5, Memberships: 60})
	e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 20})
	cuts := 0
	for n := int64(3); n < 240; n += 13 {
		e.changeUnheard(12)
		proxy.left.Store(n)
		_, err := e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{AllowMassDelete: true})
		if proxy.left.Load() < 0 {
			cuts++
		}
		proxy.left.Store(1 << 40)
		if err != nil && !store.IsTransient(err) && !errors.Is(err, mirror.ErrSyncBusy) {
			t.Errorf("cut after %d messages: %v", n, err)
		}
		e.releaseLease()
	}
	if cuts < 10 {
		t.Errorf("the connection was cut only %d times", cuts)
	}
	e.onLiveConnection(func() error {
		e.releaseLease()
		_, err := e.Reconciler.Walk(e.Context(), mirror.ReconcileOptions{AllowMassDelete: true})
		return err
	})
	e.AssertMirrorsClerk("session") // which no list brings back
}

// cutter is a proxy in front of Postgres that cuts all connections after some messages of the
// client.
type cutter struct {
	dsn, network, upstream string
	left                   atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]bool
}

func newCutter(t *testing.T, dsn string) *cutter {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{network: "tcp", upstream: net.JoinHostPort(config.Host, strconv.FormatUint(uint64(config.Port), 10)), open: map[net.Conn]bool{}}
	c.left.Store(1 << 40)
	if strings.HasPrefix(config.Host, "/") {
		c.network, c.upstream = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var relays sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut()
		relays.Wait()
	})
	relays.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), c.network, c.upstream)
			if err != nil {
				_ = client.Close()
				continue
			}
			relays.Go(func() { c.relay(server, client, false) })
			relays.Go(func() { c.relay(client, server, true) })
		}
	})
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: listener.Addr().String(), Path: config.Database, RawQuery: "sslmode=disable"}
	c.dsn = u.String()
	return c
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
	}
}

func (c *cutter) relay(from, to net.Conn, counts bool) {
	c.mu.Lock()
	c.open[from] = true
	c.mu.Unlock()
	defer func() {
		_ = from.Close()
		_ = to.Close()
		c.mu.Lock()
		delete(c.open, from)
		c.mu.Unlock()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if counts && c.left.Add(-1) == 0 {
			c.left.Store(-1 << 40)
			c.cut()
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A full disk stops a backfill and refuses webhooks. Nothing that failed is acknowledged. With free
// space both continue.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	handle, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "clerk.db")+"?_txlock=immediate&_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	handle.SetMaxOpenConns(1)
	e := newEnv(t, testkit.Opened(store.Open(store.SQLite, handle, handle), handle), emulator.Options{Users: 400, Organizations: 10, Memberships: 400})
	room := func(pages string) {
		_, err := handle.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages)
		e.Must(err)
	}
	var pages int
	e.Must(handle.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	room(strconv.Itoa(pages + 60))
	e.fillDiskAndContinue(func() { room("1000000") })
}

// fillDiskAndContinue runs a backfill until the disk is full, and continues once there is room.
func (e *env) fillDiskAndContinue(room func()) {
	e.Helper()
	e.Reconciler = e.NewReconciler(testkit.ReconcilerOptions{PageSize: 50})
	if _, err := e.Reconciler.Backfill(e.Context(), nil); err == nil || !store.IsTransient(err) {
		e.Fatalf("a backfill on a full disk: %v", err)
	}
	if done, err := e.Reconciler.Backfilled(e.Context()); done || err != nil {
		e.Errorf("the backfill claims to be complete: %v, %v", done, err)
	}
	refused, taken := 0, map[string]bool{}
	for range 60 {
		id := fmt.Sprintf("user_%d", refused+len(taken))
		body := fmt.Sprintf(`{"type":"user.created","timestamp":1780000000000,"data":{"id":%q,"updated_at":1780000000000,"public_metadata":{"note":%q}}}`,
			id, strings.Repeat("x", 5000))
		p, err := e.Ingest.Prepare(ingest.Message{ID: "msg_" + id, SignedAt: time.Now(), Body: []byte(body)})
		e.Must(err)
		switch o := e.Ingest.Submit(p); o.Status {
		case mirror.OutcomeProcessed:
			taken[id] = true
		case mirror.OutcomeUnavailable:
			refused++
		default:
			e.Fatalf("%s: %+v", id, o)
		}
	}
	if refused == 0 {
		e.Errorf("all %d events were stored: the disk was not full", len(taken))
	}
	room()
	for id := range taken {
		if _, err := e.DB.UserByClerkID(e.Context(), id); err != nil {
			e.Errorf("%s was acknowledged: %v", id, err)
		}
	}
	e.releaseLease()
	e.changeUnheard(20)
	e.Backfill()
	e.Walk(mirror.ReconcileOptions{AllowMassDelete: true}) // those of the events never lived at Clerk
	e.AssertMirrorsClerk("session")                        // which no list brings back
}
