package live_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
)

// What vouches for a kind, and for how much longer.
func TestLeft(t *testing.T) {
	t.Parallel()
	bounds := live.Bounds{Sweep: 5 * time.Minute, Walk: 26 * time.Hour, Schedule: schedule.Schedule{Min: 24 * time.Hour}}
	state := func(kind clerk.Kind, w store.Walk, provenFrom, now clerk.Time) live.State {
		return live.State{Walks: map[string]store.Walk{string(kind): w}, ProvenFrom: provenFrom, Now: now}
	}
	const now, minute = clerk.Time(1_790_000_000_000), clerk.Time(60_000)
	walked := func(before clerk.Time, change func(*store.Walk)) store.Walk {
		w := store.Walk{BackfilledAt: 1, CompleteAt: now - before}
		if change != nil {
			change(&w)
		}
		return w
	}
	swept := func(before clerk.Time) func(*store.Walk) {
		return func(w *store.Walk) { w.SweptAt = now - before }
	}
	cases := map[string]struct {
		kind clerk.Kind
		walk store.Walk
		want time.Duration
	}{
		"a young walk":                              {clerk.KindMembership, walked(60*minute, nil), 25 * time.Hour},
		"a walk at the bound":                       {clerk.KindMembership, walked(26*60*minute, nil), 0},
		"an old walk":                               {clerk.KindMembership, walked(27*60*minute, nil), 0},
		"an old walk of users":                      {clerk.KindUser, walked(6*minute, nil), 0},
		"an old walk and a young sweep":             {clerk.KindUser, walked(60*minute, swept(minute)), 4 * time.Minute},
		"an old sweep and a young walk":             {clerk.KindUser, walked(2*minute, swept(60*minute)), 3 * time.Minute},
		"a sweep of another kind":                   {clerk.KindMembership, walked(27*60*minute, swept(minute)), 0},
		"a walk in the future":                      {clerk.KindMembership, walked(-minute, nil), 0},
		"a walk in the future, a sweep in the past": {clerk.KindUser, walked(-minute, swept(minute)), 4 * time.Minute},
		"no whole walk ever":                        {clerk.KindUser, walked(0, func(w *store.Walk) { w.CompleteAt, w.SweptAt = 0, now }), 0},
		"no backfill":                               {clerk.KindUser, walked(0, func(w *store.Walk) { w.BackfilledAt = 0 }), 0},
		"a list that Clerk has not":                 {clerk.KindMembership, walked(0, func(w *store.Walk) { w.Refused = true }), 0},
		"nothing":                                   {clerk.KindUser, store.Walk{}, 0},
	}
	for name, tc := range cases {
		if got := bounds.Left(tc.kind, state(tc.kind, tc.walk, 0, now)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	if got := (live.Bounds{}).Left(clerk.KindUser, state(clerk.KindUser, walked(0, nil), 0, now)); got != 0 {
		t.Errorf("without bounds: %v", got)
	}
	const gap = now - 30*minute // such as the start on a restored copy
	for name, tc := range map[string]struct {
		kind clerk.Kind
		walk store.Walk
		want time.Duration
	}{
		"a walk before a gap":                             {clerk.KindMembership, walked(60*minute, nil), 0},
		"a walk after a gap":                              {clerk.KindMembership, walked(20*minute, nil), 26*time.Hour - 20*time.Minute},
		"a walk before a gap, and a sweep after it":       {clerk.KindUser, walked(60*minute, swept(minute)), 4 * time.Minute},
		"a walk and a sweep before a gap, bounds or none": {clerk.KindUser, walked(40*minute, swept(31*minute)), 0},
	} {
		if got := bounds.Left(tc.kind, state(tc.kind, tc.walk, gap, now)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	frequent := live.Bounds{Walk: 26 * time.Hour}
	if got := frequent.Left(clerk.KindRole, state(clerk.KindRole, walked(31*minute, nil), 0, now)); got != 0 {
		t.Errorf("a walk that is overdue by its schedule: %v", got)
	}
}

// readyReplica is a replica before a database whose lists were all walked a moment ago, by the
// database's clock.
func readyReplica(t *testing.T, db *store.DB, c *clock) *replica {
	t.Helper()
	at, err := db.Clock(t.Context(), clerk.TimeOf(c.now()))
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership, clerk.KindRole, clerk.KindPermission} {
			if err := tx.SaveWalk(t.Context(), store.Walk{List: string(kind), BackfilledAt: at, CompleteAt: at}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := live.New(t.Context(), live.Config{DB: db, Now: c.now, LookupBound: time.Minute, Bounds: live.Bounds{Sweep: 5 * time.Minute, Walk: 26 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(t.Context(), ingest.Config{DB: db, OnCommit: cache.Drop})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return &replica{Cache: cache, in: in, name: "ready"}
}

// Readiness is remembered for a short while, judged by the database's clock where it has one, and
// lost by any jump.
func TestReadinessIsRememberedShortly(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db, _ *store.DB, _ *sql.DB) {
		c := newClock() // on Postgres far from the database's, which alone counts
		r := readyReplica(t, db, c)
		all := live.Ready{User: true, Membership: true}
		expect := func(what string, want live.Ready) {
			t.Helper()
			if got := r.Ready(); got != want {
				t.Errorf("%s: %+v", what, got)
			}
		}
		expect("at first", all)
		c.advance(4 * time.Second)
		expect("a little later", all)
		c.advance(2 * time.Second)
		expect("when nobody has looked for long", live.Ready{})
		r.facts(t, "user_ada", "", "")
		expect("once somebody has asked", all)
		c.advance(-time.Hour)
		expect("after our clock jumped back", live.Ready{})
		r.facts(t, "user_ada", "", "")
		if db.Engine() == store.Postgres { // its own clock did not jump
			expect("once somebody has asked again", all)
			return
		}
		expect("once somebody has asked again", live.Ready{}) // the walks lie in the future
		c.advance(time.Hour + 6*time.Minute)
		r.facts(t, "user_ada", "", "")
		expect("after six minutes", live.Ready{Membership: true})
		c.advance(26 * time.Hour)
		r.facts(t, "user_ada", "", "")
		expect("after a day", live.Ready{})
	})
}

// A row that comes into doubt grants no more: at once in the process that doubts, within MaxStale
// in others; and again once it was read.
func TestDoubtIsSeen(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db, otherDB *store.DB, _ *sql.DB) {
		c := newClock()
		r, other := readyReplica(t, db, c), readyReplica(t, otherDB, c)
		r.event(t, "user.created", `{"id":"user_ada","created_at":1,"updated_at":10}`)
		r.event(t, "organizationMembership.created", `{"id":"orgmem_1","role":"org:admin","created_at":6,"updated_at":7,`+
			`"organization":{"id":"org_1"},"public_user_data":{"user_id":"user_ada"}}`)
		r.event(t, "role.created", `{"id":"role_1","key":"org:admin","created_at":1,"updated_at":2,"permissions":[]}`)
		doubted := func(r *replica) (user, seat bool) {
			f := r.facts(t, "user_ada", "", "org_1")
			return f.User.Queued != 0, len(f.Membership.Queued) > 0
		}
		expect := func(what string, r *replica, user, seat bool) {
			t.Helper()
			if gotUser, gotSeat := doubted(r); gotUser != user || gotSeat != seat {
				t.Errorf("%s: user %v, seat %v", what, gotUser, gotSeat)
			}
		}
		settle := func(kind clerk.Kind, id, body string) {
			t.Helper()
			v, err := clerk.Parse([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			h, err := r.in.ReadFence(t.Context())
			if err == nil {
				err = r.in.Apply(t.Context(), ingest.Reading{Key: row.Key{Kind: kind, ID: id}, Body: v, ObservedAt: h.ObservedAt, Since: h.Since, ByID: true})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c.advance(time.Second)
		expect("before", r, false, false)
		expect("before, elsewhere", other, false, false)

		// an embedded copy that claims to be newer: no row changes, no line of the feed
		r.event(t, "session.created", `{"id":"sess_1","user_id":"user_ada","status":"active","created_at":5,"updated_at":6,"user":{"id":"user_ada","updated_at":900}}`)
		expect("in doubt", r, true, false)
		c.advance(time.Second)
		expect("in doubt, elsewhere", other, true, false)
		settle(clerk.KindUser, "user_ada", `{"id":"user_ada","created_at":1,"updated_at":900}`)
		expect("read", r, false, false)

		if err := other.in.QueueVerify(t.Context(), row.Key{Kind: clerk.KindRole, ID: "role_1"}); err != nil {
			t.Fatal(err)
		}
		expect("the role in doubt", other, false, true)
		c.advance(time.Second)
		expect("the role in doubt, elsewhere", r, false, true)
		settle(clerk.KindRole, "role_1", `{"id":"role_1","key":"org:admin","created_at":1,"updated_at":2,"permissions":[]}`)
		expect("the role read", r, false, false)
		if err := other.in.QueueVerify(t.Context(), row.Key{Kind: clerk.KindMembership, ID: "orgmem_1"}); err != nil {
			t.Fatal(err)
		}
		c.advance(time.Second)
		expect("the membership in doubt, elsewhere", r, false, true)
		settle(clerk.KindMembership, "orgmem_1", `{"id":"orgmem_1","role":"org:admin","created_at":6,"updated_at":7,`+
			`"organization":{"id":"org_1"},"public_user_data":{"user_id":"user_ada"}}`)
		expect("the membership read", r, false, false)

		r.event(t, "role.updated", `{"id":"role_1","key":"org:admin","created_at":1,"updated_at":3,"permissions":[{"id":"perm_1","key":"org:a:read","updated_at":1}]}`)
		r.event(t, "permission.created", `{"id":"perm_2","key":"org:b:read","created_at":1,"updated_at":1}`)
		expect("a permission that was seen inside the role alone", r, false, false)
		doubt := func(kind clerk.Kind, id string) {
			t.Helper()
			if err := r.in.QueueVerify(t.Context(), row.Key{Kind: kind, ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		doubt(clerk.KindPermission, "perm_2")
		expect("another role's permission in doubt", r, false, false)
		doubt(clerk.KindPermission, "perm_1")
		expect("the role's permission in doubt", r, false, true)
		settle(clerk.KindPermission, "perm_1", `{"id":"perm_1","key":"org:a:read","created_at":1,"updated_at":1}`)
		expect("the permission read", r, false, false)

		r.event(t, "role.created", `{"id":"role_2","created_at":1,"updated_at":1,"permissions":[]}`)
		doubt(clerk.KindRole, "role_2")
		expect("a role in doubt that may have any key", r, false, true)
		settle(clerk.KindRole, "role_2", `{"id":"role_2","key":"org:other","created_at":1,"updated_at":2,"permissions":[]}`)
		expect("it has another", r, false, false)
	})
}
