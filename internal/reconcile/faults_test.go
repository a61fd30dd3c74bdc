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
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/postgres"
)

// lose lets things happen of which no event tells.
func (l *lab) lose(deeds int) {
	l.Helper()
	l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
	for range deeds {
		_, err := l.e.Live(l.Context())
		l.must(err)
	}
}

// Refusals and failures in the middle of a walk cost time and nothing else; a walk that gives up
// deletes nothing.
func TestStormsAtTheAPI(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]emulator.APIFaults{
		"429":            {TooMany: 0.3},
		"5xx":            {ServerError: 0.3},
		"broken answers": {Truncate: 0.3},
		"all":            {TooMany: 0.1, ServerError: 0.1, Truncate: 0.1, PageShift: 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: 100, Organizations: 10, Memberships: 100}, func(l *lab) {
				l.r = l.reconciler(40, 0)
				l.backfill()
				l.lose(60)
				l.must(l.e.SetFaults(emulator.Faults{API: faults}))
				report, err := l.r.Walk(l.Context(), reconcile.Options{AllowMassDelete: true})
				if err != nil && !strings.Contains(err.Error(), "clerk: ") {
					l.Errorf("it fails for another reason: %v", err)
				}
				l.Logf("in the storm: complete %v, %d repaired, %v", report.Complete(), report.Repaired, err)
				l.must(l.e.SetFaults(emulator.Faults{}))
				l.walk(reconcile.Options{AllowMassDelete: true})
				l.equal("session") // which no list brings back
			})
		})
	}
}

// A clock that jumps hides nothing too early, and costs no more than a lease that is taken over.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: 50}, func(l *lab) {
				l.backfill()
				l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
				gone := store.Key{Kind: clerk.KindUser, ID: l.any(clerk.KindUser).ID}
				l.call("DELETE", "/v1/users/"+gone.ID, nil)
				l.must(l.in.Doubt(l.Context(), gone))
				_, err := l.r.Tick(l.Context()) // the first 404
				l.must(err)
				l.moved.Add(int64(jump))
				_, err = l.r.Tick(l.Context())
				l.must(err)
				if s, err := l.db.RowMeta(l.Context(), gone); err != nil || s.Hidden != (jump > 0) {
					l.Errorf("hidden %v after a jump of %s, %v", s.Hidden, jump, err)
				}
				for range 2 {
					l.moved.Add(int64(61 * time.Second))
					_, err = l.r.Tick(l.Context())
					l.must(err)
				}
				l.equal("session") // which no list brings back
				l.jumpOfTheHolder(jump)
			})
		})
	}
}

// jumpOfTheHolder lets the clock jump while somebody walks. On SQLite, where our clock is the only
// one, another takes over and the one that walked is refused; Postgres has a clock of its own.
func (l *lab) jumpOfTheHolder(jump time.Duration) {
	l.Helper()
	l.r = l.reconciler(10, time.Minute)
	rows := 0
	_, err := l.r.Backfill(l.Context(), func(reconcile.Progress) {
		if rows += 10; rows != 10 {
			return
		}
		l.moved.Add(int64(jump))
		_, err := l.reconciler(0, 0).Backfill(l.Context(), nil)
		if busy := errors.Is(err, reconcile.ErrBusy); busy != (l.db.Engine() == store.Postgres) {
			l.Errorf("another one, after a jump of %s: %v", jump, err)
		}
	})
	if fenced := errors.Is(err, store.ErrFenced); fenced != (l.db.Engine() == store.SQLite) {
		l.Errorf("the one that walked: %v", err)
	}
	l.equal("session") // which no list brings back
}

// A database that restarts in the middle, in order or not, fails a walk at most; the next one goes
// on.
func TestPostgresRestartsDuringReconcile(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgresServer(t, testenv.ServerOptions{})
	db, err := postgres.Open(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, db, emulator.Options{Users: 200, Organizations: 10, Memberships: 200})
	l.r = l.reconciler(30, 0)
	for n, end := range []func(){server.Stop, server.Kill} {
		l.lose(60)
		pages, restarts := 0, 0
		work := func(reconcile.Progress) {
			if pages++; pages%5 == 3 {
				restarts++
				end()
				server.Start()
			}
		}
		if n == 0 {
			_, err = l.r.Backfill(l.Context(), work)
		} else {
			_, err = l.r.Walk(l.Context(), reconcile.Options{Progress: work, AllowMassDelete: true})
		}
		t.Logf("%d restarts in %d pages: %v", restarts, pages, err)
		if restarts == 0 {
			t.Error("it was never restarted")
		}
		l.moved.Add(int64(time.Minute))
		l.r = l.reconciler(30, 0) // the lease of the one before may have been lost with a connection
		_, err := db.Head(t.Context())
		l.must(err)
		l.freeLease()
		l.backfill()
		l.walk(reconcile.Options{AllowMassDelete: true})
		l.equal("session") // which no list brings back
	}
}

// freeLease is 30 s later.
func (l *lab) freeLease() {
	l.Helper()
	for token := range int64(100) {
		l.must(l.db.ReleaseLease(l.Context(), store.Lease{Name: "reconcile", Token: token}))
	}
}

// Whichever message to Postgres is the last before the connection is cut: nothing wrong is written,
// and the next walk repairs all.
func TestConnectionCutDuringReconcile(t *testing.T) {
	t.Parallel()
	proxy := newCutter(t, testenv.Postgres(t))
	db, err := postgres.Open(proxy.dsn)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, db, emulator.Options{Users: 40, Organizations: 5, Memberships: 60})
	l.r = l.reconciler(20, 0)
	cuts := 0
	for n := int64(3); n < 240; n += 13 {
		l.lose(12)
		proxy.left.Store(n)
		_, err := l.r.Walk(l.Context(), reconcile.Options{AllowMassDelete: true})
		if proxy.left.Load() < 0 {
			cuts++
		}
		proxy.left.Store(1 << 40)
		if err != nil && !store.IsTransient(err) && !errors.Is(err, reconcile.ErrBusy) {
			t.Errorf("cut after %d messages: %v", n, err)
		}
		l.freeLease()
	}
	if cuts < 10 {
		t.Errorf("it was cut %d times only", cuts)
	}
	for range 20 { // the pool may still have connections that were cut; each is met once
		if _, err = l.r.Walk(l.Context(), reconcile.Options{AllowMassDelete: true}); err == nil || !store.IsTransient(err) {
			break
		}
		l.freeLease()
	}
	l.must(err)
	l.equal("session") // which no list brings back
}

// cutter is a proxy before Postgres that cuts all connections after some messages of the client.
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

// A full disk stops a backfill and refuses webhooks, and neither pretends anything; with room again
// both go on.
func TestFullDiskStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	handle, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "clerk.db")+"?_txlock=immediate&_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	handle.SetMaxOpenConns(1)
	l := newLab(t, store.Open(store.SQLite, handle, handle), emulator.Options{Users: 400, Organizations: 10, Memberships: 400})
	room := func(pages string) {
		_, err := handle.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages)
		l.must(err)
	}
	var pages int
	l.must(handle.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	room(strconv.Itoa(pages + 60))
	l.fillAndGoOn(func() { room("1000000") })
}

// fillAndGoOn backfills a disk that gets full, until there is room.
func (l *lab) fillAndGoOn(room func()) {
	l.Helper()
	l.r = l.reconciler(50, 0)
	if _, err := l.r.Backfill(l.Context(), nil); err == nil || !store.IsTransient(err) {
		l.Fatalf("a backfill on a full disk: %v", err)
	}
	if done, err := l.r.Backfilled(l.Context()); done || err != nil {
		l.Errorf("it says that it is done: %v, %v", done, err)
	}
	refused, taken := 0, map[string]bool{}
	for range 60 {
		id := fmt.Sprintf("user_%d", refused+len(taken))
		body := fmt.Sprintf(`{"type":"user.created","timestamp":1780000000000,"data":{"id":%q,"updated_at":1780000000000,"public_metadata":{"note":%q}}}`,
			id, strings.Repeat("x", 5000))
		p, err := l.in.Prepare(ingest.Message{ID: "msg_" + id, SignedAt: time.Now(), Body: []byte(body)})
		l.must(err)
		switch o := l.in.Submit(p); o.Status {
		case ingest.Processed:
			taken[id] = true
		case ingest.Unavailable:
			refused++
		default:
			l.Fatalf("%s: %+v", id, o)
		}
	}
	if refused == 0 {
		l.Errorf("all %d events were taken: the disk was not full", len(taken))
	}
	room()
	for id := range taken {
		if _, err := l.db.UserByClerkID(l.Context(), id); err != nil {
			l.Errorf("%s was acknowledged: %v", id, err)
		}
	}
	l.freeLease()
	l.lose(20)
	l.backfill()
	l.walk(reconcile.Options{AllowMassDelete: true}) // those of the events never lived at Clerk
	l.equal("session")                               // which no list brings back
}
