package ingest_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
