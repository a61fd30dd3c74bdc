package consumer_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// A database that is restored from a copy has the places of its consumers in it: they go on from
// there, and get what happens in the new history.
func TestRestoredBackup(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		r := e.run(e.service, fromStart, nil)
		settle(time.Second)
		copied := filepath.Join(e.TempDir(), "copy.db")
		raw := e.raw()
		_, err := raw.ExecContext(e.Context(), "VACUUM INTO ?", copied)
		e.must(err)
		e.change("lost")
		settle(time.Second)
		e.equal([]string{"a", "b", "lost"}, r.take())
		r.stop()

		db, err := sqlite.Open(copied)
		e.must(err)
		defer db.Close()
		restored := &env{T: e.T, db: db, feed: feed.New(feed.Config{DB: db})}
		defer restored.feed.Close()
		restored.change("c")
		s := restored.process(consumer.Config{Dead: alive})
		r = e.run(s, fromStart, nil)
		settle(20 * time.Second) // the copy says that a process has the lease
		e.equal([]string{"c"}, r.take())
		r.stop()
	})
}

// The same while the process runs on: the place that it has in memory is of the other history. It
// is not stored, and the work goes on from the stored one.
func TestRestoredWhileItRuns(t *testing.T) {
	for name, unsaved := range map[string]bool{"idle": false, "with progress to save": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(e *env) {
				o := fromStart
				o.SaveEvery = 200 * time.Millisecond
				e.change("a", "b")
				r := e.run(e.service, o, nil)
				settle(time.Second)
				then, err := e.db.Consumer(e.Context(), "mail")
				e.must(err)
				e.change("lost", "lost too")
				settle(time.Second)
				if unsaved {
					e.change("lost as well")
					settle(100 * time.Millisecond)
				}
				r.take()
				raw := e.raw()
				for _, text := range []string{
					"DELETE FROM clerk_changes WHERE seq > 2", "UPDATE clerk_head SET seq = 2",
					"UPDATE clerk_consumers SET seq = 2, cursor = '" + string(then.Cursor) + "'",
				} {
					_, err := raw.ExecContext(e.Context(), text)
					e.must(err)
				}
				settle(5 * time.Second)
				e.change("c", "d", "e", "f")
				settle(5 * time.Second)
				e.equal([]string{"c", "d", "e", "f"}, r.take())
				if c := e.consumer(); c.State != mirror.ConsumerRunning || c.LagChanges != 0 {
					e.Errorf("%+v", c)
				}
				r.stop()
			})
		})
	}
}

// raw returns a plain handle of the database.
func (e *env) raw() *sql.DB {
	e.Helper()
	return testkit.PlainSQL(e, "sqlite", e.file)
}

// While the database does not work, the consumer waits, and then goes on. Nothing is lost, and what
// was not saved is repeated.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgresServer(t, testenv.ServerOptions{})
	db, err := postgres.Open(server.DSN())
	e := newEnv(t, db, err)
	t.Cleanup(func() { _ = db.Close() })
	t.Cleanup(e.feed.Close)
	o := fromStart
	o.Lease = 2 * time.Second
	r := e.run(e.service, o, nil)
	e.change("a", "b")
	r.await("b")
	server.Stop()
	<-time.After(3 * time.Second) // longer than the lease
	server.Start()
	for end := time.Now().Add(time.Minute); db.Ping(t.Context()) != nil; <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the database does not come back")
		}
	}
	e.change("c")
	r.await("c")
	r.stop()
	if c := e.consumer(); c.LagChanges != 0 || c.Holder != "" {
		t.Errorf("%+v", c)
	}
}

// await waits for a call.
func (r *running) await(id string) {
	r.Helper()
	for end := time.Now().Add(time.Minute); !slices.Contains(r.take(), id); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("%s is not delivered", id)
		}
	}
}
