package consumer_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// env is a database with a change feed, and a process that runs consumers.
type env struct {
	*testing.T
	db      *store.DB
	file    string // of the database, in a bubble
	feed    *feed.Feed
	service *consumer.Service
}

// bubble runs a test with SQLite in a bubble of package synctest: no time passes but in waiting.
func bubble(t *testing.T, test func(*env)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "clerk.db")
		db, err := sqlite.Open(file, sqlite.DangerouslySynchronousNormal())
		e := newEnv(t, db, err)
		e.file = file
		test(e)
		e.service.Close()
		e.feed.Close()
		e.must(db.Close())
	})
}

// eachEngine runs a test in real time on both engines.
func eachEngine(t *testing.T, test func(*env, *testkit.Database)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		e := newEnv(t, d.OpenFast(t), nil)
		t.Cleanup(e.feed.Close)
		t.Cleanup(e.service.Close)
		test(e, d)
	})
}

func newEnv(t *testing.T, db *store.DB, err error) *env {
	t.Helper()
	e := &env{T: t, db: db}
	e.must(err)
	e.must(db.Migrate(t.Context()))
	e.feed = feed.New(feed.Config{DB: db})
	e.service = e.process(consumer.Config{})
	return e
}

// process returns another process that runs consumers on the same database.
func (e *env) process(c consumer.Config) *consumer.Service {
	if c.DB == nil {
		c.DB = e.db
	}
	if c.Feed == nil {
		c.Feed = e.feed
	}
	if c.Random == nil {
		c.Random = func() float64 { return 0 }
	}
	return consumer.New(c)
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// change appends a change of each user to the feed.
func (e *env) change(ids ...string) {
	e.Helper()
	changes := make([]row.Change, len(ids))
	for i, id := range ids {
		changes[i] = row.Change{Key: row.Key{Kind: clerk.KindUser, ID: id}, UserID: id, Operation: row.OpUpdated}
	}
	e.must(e.db.Update(e.Context(), func(tx *store.Tx) error { return tx.AppendChanges(e.Context(), changes) }))
	e.feed.Notify()
}

func users(from, to int) (ids []string) {
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprint("user_", i))
	}
	return ids
}

// consumer returns the record of the only consumer.
func (e *env) consumer() mirror.Consumer {
	e.Helper()
	list, err := e.service.List(e.Context())
	e.must(err)
	if len(list) != 1 {
		e.Fatalf("consumers: %+v", list)
	}
	return list[0]
}

// log is what a consumer's function was called with, and what it does.
type log struct {
	mu     sync.Mutex
	calls  []mirror.Change
	handle func(context.Context, mirror.Change) error // nil succeeds
}

func (l *log) call(ctx context.Context, c mirror.Change) error {
	l.mu.Lock()
	l.calls = append(l.calls, c)
	handle := l.handle
	l.mu.Unlock()
	if handle == nil {
		return nil
	}
	return handle(ctx, c)
}

// set changes what the function does.
func (l *log) set(handle func(context.Context, mirror.Change) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handle = handle
}

// take returns the ids of the calls since the last time.
func (l *log) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]string, len(l.calls))
	for i := range l.calls {
		ids[i] = l.calls[i].ID
	}
	l.calls = nil
	return ids
}

// running is a consumer in the background.
type running struct {
	*testing.T
	*log
	cancel context.CancelFunc
	ended  chan error
}

// run runs the consumer "mail" of a process in the background.
func (e *env) run(s *consumer.Service, o consumer.Options, handle func(context.Context, mirror.Change) error) *running {
	ctx, cancel := context.WithCancel(e.Context())
	r := &running{T: e.T, log: &log{handle: handle}, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(ctx, "mail", r.call, o) }()
	return r
}

// stop ends it as a process that stops in order.
func (r *running) stop() {
	r.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.Error(err)
	}
}

// settle lets time pass, until which everything that is due was done.
func settle(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // by the clock of the bubble
	synctest.Wait()
}

var fromStart = consumer.Options{Start: mirror.FeedStart}

// failing returns a function that fails for some ids.
func failing(ids ...string) func(context.Context, mirror.Change) error {
	return func(_ context.Context, c mirror.Change) error {
		if slices.Contains(ids, c.ID) {
			return errMail
		}
		return nil
	}
}

// parked returns the ids of the changes that are parked or held back, with their states.
func (e *env) parked() (list []string) {
	e.Helper()
	page, err := e.service.Parked(e.Context(), "mail", mirror.ParkedFilter{})
	e.must(err)
	for i := range page.Items {
		list = append(list, page.Items[i].Change.ID+" "+string(page.Items[i].State))
	}
	return list
}

// crash ends a consumer as a process that is killed: what it does from now on changes nothing.
// Another process takes its lease at once.
func (e *env) crash(r *running) {
	e.Helper()
	l, err := e.db.AcquireLease(e.Context(), store.ConsumerLease("mail"), "crash", clerk.TimeOf(time.Now()), time.Minute, func(string) bool { return true })
	e.must(err)
	r.set(func(ctx context.Context, _ mirror.Change) error {
		<-ctx.Done()
		return ctx.Err()
	})
	r.cancel()
	e.must(<-r.ended)
	r.take()
	e.must(e.db.ReleaseLease(e.Context(), l))
}
