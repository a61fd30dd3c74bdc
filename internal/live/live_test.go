package live_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// clock is moved by hand.
type clock struct{ nanoseconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanoseconds.Store(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.nanoseconds.Load()) }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

// replica is one process: its own cache before a shared database.
type replica struct {
	*live.Cache
	in     *ingest.Ingest
	serial atomic.Int64
	name   string
}

func newReplica(t testing.TB, name string, db *store.DB, now func() time.Time, maxBytes int) *replica {
	t.Helper()
	cache, err := live.New(t.Context(), live.Config{DB: db, Now: now, MaxBytes: maxBytes, LookupBound: time.Minute}) // the machine may be busy
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(t.Context(), ingest.Config{DB: db, OnCommit: cache.Drop})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return &replica{Cache: cache, in: in, name: name}
}

func (r *replica) event(t testing.TB, eventType, data string) {
	t.Helper()
	n := r.serial.Add(1)
	r.deliver(t, fmt.Sprintf("msg_%s_%d", r.name, n), fmt.Sprintf(`{"type":%q,"timestamp":%d,"data":%s}`, eventType, 1_790_000_000_000+n, data), mirror.OutcomeProcessed)
}

func (r *replica) deliver(t testing.TB, id, body string, want mirror.Outcome) {
	t.Helper()
	p, err := r.in.Prepare(ingest.Message{ID: id, SignedAt: time.UnixMilli(1_800_000_000_000), Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	if o := r.in.Submit(p); o.Status != want {
		t.Fatalf("%s: %+v, want %s", body, o, want)
	}
}

func (r *replica) facts(t testing.TB, user, session, organization string) live.Facts {
	t.Helper()
	f, err := r.Facts(t.Context(), user, session, organization)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// engines runs a test on each engine, with two handles on one database, as two processes have.
func engines(t *testing.T, test func(t *testing.T, one, other *store.DB, raw *sql.DB)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		raw := d.SQL(t)
		test(t, d.Open(t), d.Open(t), raw)
	})
}

const (
	ada        = `{"id":"user_ada","first_name":"Ada","created_at":1,"updated_at":%d}`
	session    = `{"id":"sess_1","user_id":"user_ada","status":%q,"created_at":5,"updated_at":%d}`
	membership = `{"id":"orgmem_1","role":"org:admin","created_at":6,"updated_at":%d,"organization":{"id":"org_1","slug":"engines"},"public_user_data":{"user_id":"user_ada"}}`
)

// What was answered is seen by the very next question to the same process: what is there, what is
// gone, and what was not there before.
func TestOwnWritesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db, _ *store.DB, _ *sql.DB) {
		r := newReplica(t, "one", db, newClock().now, 0)
		see := func() live.Facts { return r.facts(t, "user_ada", "sess_1", "org_1") }
		if f := see(); f.User.Found || f.User.Deleted || f.Session.Found || f.Membership.Found {
			t.Fatalf("nobody is there yet: %+v", f)
		}
		r.event(t, "user.created", fmt.Sprintf(ada, 10))
		r.event(t, "session.created", fmt.Sprintf(session, "active", 10))
		r.event(t, "organizationMembership.created", fmt.Sprintf(membership, 10))
		if f := see(); !f.User.Found || !f.Session.Found || !f.Membership.Found || f.Membership.Slug != "engines" {
			t.Fatalf("all are there: %+v %+v %+v", f.User, f.Session, f.Membership)
		}
		hits := r.Stats.Hits.Load()
		if see(); r.Stats.Hits.Load() != hits+1 {
			t.Error("the second question was not answered from memory")
		}
		r.event(t, "session.revoked", fmt.Sprintf(session, "revoked", 20))
		if f := see(); f.Session.Usable() {
			t.Error("the session is revoked")
		}
		r.event(t, "organizationMembership.deleted", fmt.Sprintf(membership, 20))
		if f := see(); f.Membership.Found || f.Membership.LostAt == 0 {
			t.Errorf("the membership is lost: %+v", f.Membership)
		}
		r.event(t, "organizationMembership.created", `{"id":"orgmem_2","role":"org:member","created_at":30,"updated_at":30,"organization":{"id":"org_1"},"public_user_data":{"user_id":"user_ada"}}`)
		r.event(t, "role.created", `{"id":"role_1","key":"org:member","created_at":1,"updated_at":1,"permissions":[{"id":"perm_1","key":"org:a:read"}]}`)
		if f := see(); len(f.Membership.Row.Permissions) != 1 {
			t.Errorf("permissions of the new role: %v", f.Membership.Row.Permissions)
		}
		r.event(t, "role.updated", `{"id":"role_1","key":"org:member","created_at":1,"updated_at":2,"permissions":[]}`)
		if f := see(); len(f.Membership.Row.Permissions) != 0 {
			t.Errorf("permissions of the changed role: %v", f.Membership.Row.Permissions)
		}
		r.event(t, "role.updated", `{"id":"role_1","key":"org:member","created_at":1,"updated_at":3,"permissions":[{"id":"perm_1","key":"org:a:read"}]}`)
		see()
		r.event(t, "permission.deleted", `{"id":"perm_1","object":"permission","deleted":true}`) // item A4
		if f := see(); len(f.Membership.Row.Permissions) != 0 {
			t.Errorf("a deleted permission is still held: %v", f.Membership.Row.Permissions)
		}
		r.event(t, "subscriptionItem.active", `{"id":"csub_item_1","status":"active","plan":{"slug":"pro"},"payer":{"organization_id":"org_1"},"updated_at":3}`)
		if f := see(); len(f.Membership.Plans) != 1 || f.Membership.Plans[0] != "pro" || f.User.PlansKnown {
			t.Errorf("plans: %+v", f.Membership)
		}
		r.event(t, "organization.deleted", `{"id":"org_1","deleted":true}`)
		if f := see(); f.Membership.Found || f.Membership.LostAt == 0 {
			t.Errorf("the organization is gone: %+v", f.Membership)
		}
		r.event(t, "user.deleted", `{"id":"user_ada","deleted":true}`)
		if f := see(); f.User.Found || !f.User.Deleted {
			t.Errorf("the user is gone: %+v", f.User)
		}
	})
}

// An event that another process stored and could not answer comes again to this one. The answer is
// "duplicate", a 2xx, after which nothing older may be granted here either.
func TestDuplicateOfAnothersEventIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, one, other *store.DB, _ *sql.DB) {
		clock := newClock()
		a := newReplica(t, "a", one, clock.now, 0)
		a.event(t, "user.created", fmt.Sprintf(ada, 10))
		a.event(t, "session.created", fmt.Sprintf(session, "active", 10))
		b := newReplica(t, "b", other, clock.now, 0)
		if f := b.facts(t, "user_ada", "sess_1", ""); !f.Session.Usable() {
			t.Fatalf("%+v", f.Session)
		}
		body := `{"type":"session.revoked","timestamp":1790000000100,"data":` + fmt.Sprintf(session, "revoked", 20) + `}`
		a.deliver(t, "msg_twice", body, mirror.OutcomeProcessed)
		b.deliver(t, "msg_twice", body, mirror.OutcomeDuplicate)
		if f := b.facts(t, "user_ada", "sess_1", ""); f.Session.Usable() {
			t.Error("the revoked session is still good here, though the event was answered")
		}
	})
}

// What another process was told is seen here within MaxStale, whether anybody asks in between or
// not.
func TestOthersWritesAreSeenInTime(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, one, other *store.DB, _ *sql.DB) {
		clock := newClock()
		a, b := newReplica(t, "a", one, clock.now, 0), newReplica(t, "b", other, clock.now, 0)
		a.event(t, "user.created", fmt.Sprintf(ada, 10))
		a.event(t, "session.created", fmt.Sprintf(session, "active", 10))
		clock.advance(live.MaxStale)
		if f := b.facts(t, "user_ada", "sess_1", ""); !f.User.Found || !f.Session.Usable() {
			t.Fatalf("%+v", f)
		}
		a.event(t, "session.revoked", fmt.Sprintf(session, "revoked", 20))
		clock.advance(live.MaxStale)
		if f := b.facts(t, "user_ada", "sess_1", ""); f.Session.Usable() {
			t.Error("the session that another process knows is revoked is still good here")
		}
		loads := b.Stats.Loads.Load()
		clock.advance(live.MaxStale)
		if b.facts(t, "user_ada", "sess_1", ""); b.Stats.Loads.Load() != loads {
			t.Error("nothing changed, and yet the database was asked again")
		}
	})
}

// A database that was put back to an older state has another history: nothing kept is true of it.
func TestAnotherHistoryFlushes(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, one, other *store.DB, raw *sql.DB) {
		clock := newClock()
		a, b := newReplica(t, "a", one, clock.now, 0), newReplica(t, "b", other, clock.now, 0)
		a.event(t, "user.created", fmt.Sprintf(ada, 10))
		clock.advance(live.MaxStale)
		b.facts(t, "user_ada", "", "")
		flushes := b.Stats.Flushes.Load()
		if _, err := raw.ExecContext(t.Context(), "UPDATE clerk_changes SET tag = 'otherwise'"); err != nil {
			t.Fatal(err)
		}
		clock.advance(live.MaxStale)
		if b.facts(t, "user_ada", "", ""); b.Stats.Flushes.Load() != flushes+1 {
			t.Errorf("%d flushes", b.Stats.Flushes.Load()-flushes)
		}
	})
}

// A reader whose place in the feed was purged forgets everything; one that knows the last change
// has lost nothing.
func TestPurgedFeedFlushes(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, one, other *store.DB, _ *sql.DB) {
		clock := newClock()
		a, b := newReplica(t, "a", one, clock.now, 0), newReplica(t, "b", other, clock.now, 0)
		purge := func(now, before clerk.Time, want int64) {
			t.Helper()
			if n, err := one.PurgeChanges(t.Context(), now, before); err != nil || n != want {
				t.Fatalf("%d changes purged, %v; want %d", n, err, want)
			}
		}
		look := func(want int64) {
			t.Helper()
			clock.advance(live.MaxStale)
			if b.facts(t, "user_ada", "", ""); b.Stats.Flushes.Load() != want {
				t.Errorf("%d flushes, want %d", b.Stats.Flushes.Load(), want)
			}
		}
		a.event(t, "user.created", fmt.Sprintf(ada, 10))
		a.event(t, "user.updated", fmt.Sprintf(ada, 11))
		look(0)
		flushes := b.Stats.Flushes.Load()
		purge(1000, 1, 0)
		purge(2000, 1000, 1) // all but the last, which b knows
		look(flushes)
		a.event(t, "user.updated", fmt.Sprintf(ada, 12))
		a.event(t, "user.updated", fmt.Sprintf(ada, 13))
		purge(3000, 1000, 1) // the last of then, which b knows
		purge(4000, 3000, 1)
		look(flushes + 1)
	})
}

// Nothing is ever answered that is older than what was acknowledged before the question, in any mix
// of writers and readers, and by the other process once it has looked.
func TestNeverOlderThanAcknowledged(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, one, other *store.DB, _ *sql.DB) {
		var late atomic.Int64 // b's clock runs, so that each question makes it look
		a := newReplica(t, "a", one, newClock().now, 0)
		b := newReplica(t, "b", other, func() time.Time { return time.Unix(0, late.Add(int64(live.MaxStale))) }, 0)
		const users, writes = 5, 150
		var acknowledged [users]atomic.Int64
		ctx, done := context.WithCancel(t.Context())
		var writers, readers sync.WaitGroup
		for u := range users {
			writers.Go(func() {
				for n := int64(1); n <= writes; n++ {
					a.event(t, "user.updated", fmt.Sprintf(`{"id":"user_%d","first_name":"%d","created_at":1,"updated_at":%d}`, u, n, 100+n))
					acknowledged[u].Store(n)
				}
			})
		}
		for _, r := range []*replica{a, a, b} {
			readers.Go(func() {
				for ctx.Err() == nil {
					u := rand.IntN(users) // which user is asked for
					least := acknowledged[u].Load()
					f, err := r.Facts(t.Context(), fmt.Sprintf("user_%d", u), "sess_x", "org_x")
					if err != nil {
						t.Error(err)
						return
					}
					var got int64
					_, _ = fmt.Sscan(f.User.Row.FirstName, &got)
					if got < least {
						t.Errorf("%s answers %d after %d was acknowledged", r.name, got, least)
						return
					}
				}
			})
		}
		writers.Wait()
		done()
		readers.Wait()
		if a.Stats.Hits.Load() == 0 {
			t.Error("no question was answered from memory")
		}
	})
}

// However many users call, what is kept stays within its bound, and who calls all the time stays.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const bound = 1 << 20
	r := newReplica(t, "a", db, newClock().now, bound)
	r.event(t, "user.created", fmt.Sprintf(ada, 10))
	for i := range 5000 {
		r.facts(t, fmt.Sprintf("user_%d", i), "", "")
		loads := r.Stats.Loads.Load()
		if r.facts(t, "user_ada", "", ""); i > 0 && r.Stats.Loads.Load() != loads {
			t.Fatalf("who calls all the time was forgotten after %d others", i)
		}
	}
	if kept := r.Kept(); kept > bound {
		t.Errorf("%d bytes are kept, by estimate, of %d", kept, bound)
	}
}

// A database that does not answer is an error, not an old answer, once the news are too old.
func TestDeadDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "live.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock := newClock()
	r := newReplica(t, "a", db, clock.now, 0)
	r.event(t, "user.created", fmt.Sprintf(ada, 10))
	r.facts(t, "user_ada", "", "")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.facts(t, "user_ada", "", "") // from memory
	clock.advance(live.MaxStale)
	if _, err := r.Facts(t.Context(), "user_ada", "", ""); err == nil {
		t.Error("an old answer was given though nobody knows whether it is still true")
	}
}
