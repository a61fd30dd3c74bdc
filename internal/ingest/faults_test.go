package ingest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// oneConnection opens a SQLite file as package sqlite does, but with a short busy timeout, and
// returns its only connection.
func oneConnection(t *testing.T, path string) (*store.DB, *sql.DB) {
	t.Helper()
	handle, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(20)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		t.Fatal(err)
	}
	handle.SetMaxOpenConns(1)
	return store.Open(store.SQLite, handle, handle), handle
}

func userCreated(id string) string {
	return fmt.Sprintf(`{"type":"user.created","timestamp":1780000000000,"data":{"id":%q,"updated_at":1780000000000,"public_metadata":{"note":%q}}}`,
		id, strings.Repeat("x", 2000))
}

func TestFullDiskIsNeverAcknowledged(t *testing.T) {
	t.Parallel()
	db, handle := oneConnection(t, filepath.Join(t.TempDir(), "clerk.db"))
	in := start(t, db)
	var pages int
	if err := handle.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit(t, handle, pages+40)
	taken, refused := 0, 0
	for i := range 60 {
		id := fmt.Sprintf("user_%d", i)
		switch o := submit(t, in, "msg_"+id, userCreated(id)); o.Status {
		case mirror.OutcomeProcessed:
			taken++
		case mirror.OutcomeUnavailable:
			refused++
		default:
			t.Fatalf("%s: %+v", id, o)
		}
	}
	if taken == 0 || refused == 0 {
		t.Fatalf("%d events taken, %d refused: the disk was never full, or always", taken, refused)
	}
	limit(t, handle, 1_000_000)
	duplicates := 0
	for i := range 60 {
		id := fmt.Sprintf("user_%d", i)
		if submit(t, in, "msg_"+id, userCreated(id)).Status == mirror.OutcomeDuplicate {
			duplicates++
		}
		if _, err := db.UserByClerkID(t.Context(), id); err != nil {
			t.Errorf("%s once there was room again: %v", id, err)
		}
	}
	if duplicates != taken {
		t.Errorf("%d events were acknowledged on the full disk, but %d stored", taken, duplicates)
	}
}

func limit(t *testing.T, handle *sql.DB, pages int) {
	t.Helper()
	if _, err := handle.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
}

func TestFileLockedByAnotherProgramIsWaitedForThenRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, _ := oneConnection(t, path)
	in := start(t, db)
	_, other := oneConnection(t, path)
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil) // IMMEDIATE: the only writer
	if err != nil {
		t.Fatal(err)
	}
	if o := submit(t, in, "msg_1", userCreated("user_1")); o.Status != mirror.OutcomeUnavailable {
		t.Errorf("while another program writes: %+v", o)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if o := submit(t, in, "msg_1", userCreated("user_1")); o.Status != mirror.OutcomeProcessed {
		t.Errorf("after it: %+v", o)
	}
}

// TestConnectionCutDuringCommit cuts the connection when the server has committed and the
// client does not know it yet.
func TestConnectionCutDuringCommit(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	proxy := newCutter(t, dsn)
	db, err := postgres.Open(proxy.dsn)
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, db)
	for i := range 10 {
		id := fmt.Sprintf("user_%d", i)
		proxy.armed.Store(true)
		o := submit(t, in, "msg_"+id, userCreated(id))
		if proxy.armed.Load() {
			t.Fatal("no COMMIT passed the proxy")
		}
		switch o.Status {
		case mirror.OutcomeProcessed, mirror.OutcomeDuplicate, mirror.OutcomeUnavailable:
		default:
			t.Errorf("%s: %+v", id, o)
		}
		if o := submit(t, in, "msg_"+id, userCreated(id)); o.Status != mirror.OutcomeDuplicate {
			t.Errorf("%s was committed, but its second delivery is answered %+v", id, o)
		}
	}
	head, err := db.Head(t.Context())
	if err != nil || head.Seq != 10 {
		t.Errorf("ten users made %d changes, %v", head.Seq, err)
	}
}

// cutter is a proxy in front of Postgres. Once armed, it lets one COMMIT through and cuts the
// connection instead of returning the response.
type cutter struct {
	dsn      string
	network  string
	upstream string
	armed    atomic.Bool
}

func newCutter(t *testing.T, dsn string) *cutter {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{}
	c.network, c.upstream = pgNetwork(config)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		connections.Wait()
	})
	connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { c.relay(client) })
		}
	})
	host, port, _ := strings.Cut(listener.Addr().String(), ":")
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: host + ":" + port, Path: config.Database, RawQuery: "sslmode=disable"}
	c.dsn = u.String()
	return c
}

func pgNetwork(config *pgx.ConnConfig) (network, address string) {
	if strings.HasPrefix(config.Host, "/") {
		return "unix", fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	return "tcp", net.JoinHostPort(config.Host, strconv.FormatUint(uint64(config.Port), 10))
}

func (c *cutter) relay(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), c.network, c.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || cut.Load() {
				return // the answer to COMMIT is here: so it is done
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		if bytes.Contains(buffer[:n], []byte("commit\x00")) && c.armed.CompareAndSwap(true, false) {
			cut.Store(true)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = server.Close()
	answers.Wait()
}

// TestTwoReplicasOnOneDatabase delivers every event to both, from many connections.
func TestTwoReplicasOnOneDatabase(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	var replicas []*ingest.Ingest
	var db *store.DB
	for range 2 {
		var err error
		if db, err = postgres.Open(dsn); err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, start(t, db))
	}
	const events, users = 300, 40
	var processed [events]atomic.Int32
	var senders sync.WaitGroup
	for s := range 16 {
		senders.Go(func() {
			for i := s / 2; i < events; i += 8 {
				body := fmt.Sprintf(`{"type":"user.updated","timestamp":%d,"data":{"id":"user_%d","updated_at":%[1]d,"first_name":"v%[3]d"}}`,
					1780000000000+i, i%users, i)
				o := submit(t, replicas[s%2], fmt.Sprintf("msg_%d", i), body)
				switch o.Status {
				case mirror.OutcomeProcessed:
					processed[i].Add(1)
				case mirror.OutcomeDuplicate:
				default:
					t.Errorf("event %d: %+v", i, o)
				}
			}
		})
	}
	senders.Wait()
	for i := range processed {
		if n := processed[i].Load(); n != 1 {
			t.Errorf("event %d was processed %d times", i, n)
		}
	}
	for u := range users {
		want := fmt.Sprintf("v%d", u+(events-1-u)/users*users)
		user, err := db.UserByClerkID(t.Context(), fmt.Sprintf("user_%d", u))
		if err != nil || user.FirstName != want {
			t.Errorf("user %d is %q, %v; want %q", u, user.FirstName, err, want)
		}
	}
	changes, err := db.ChangesFrom(t.Context(), 1, events+1)
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range changes {
		if change.Seq != int64(i+1) {
			t.Fatalf("change %d has number %d", i+1, change.Seq)
		}
	}
}

// TestPoisonEventFailsAlone sends, among good events, one that Postgres refuses to index.
func TestPoisonEventFailsAlone(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, db)
	noise := make([]byte, 6000)
	_, _ = rand.Read(noise)
	poison := fmt.Sprintf(`{"type":"user.created","timestamp":1,"data":{"id":"user_poison","email":"%x@example.com"}}`, noise)
	var senders sync.WaitGroup
	for i := range 24 {
		senders.Go(func() {
			id, want := fmt.Sprintf("user_%d", i), mirror.OutcomeProcessed
			body := userCreated(id)
			if i == 12 {
				body, want = poison, mirror.OutcomeFailed
			}
			if o := submit(t, in, "msg_"+id, body); o.Status != want {
				t.Errorf("%s: %+v, want %s", id, o, want)
			}
		})
	}
	senders.Wait()
	d, err := db.Delivery(t.Context(), "msg_user_12")
	if err != nil || d.State != mirror.DeliveryDead || d.Reason != ingest.ReasonError {
		t.Errorf("the poison is kept as %+v, %v", d, err)
	}
	if _, err := db.UserByClerkID(t.Context(), "user_poison"); err == nil {
		t.Error("the poison became a row")
	}
}
