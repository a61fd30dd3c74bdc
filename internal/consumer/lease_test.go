package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// alive says of no holder that it is gone, as of processes of other machines.
func alive(string) bool { return false }

// Of several processes one works. After an orderly stop another one goes on within a second.
func TestOneProcessWorks(t *testing.T) {
	bubble(t, func(e *env) {
		var all []*running
		for i := range 3 {
			s := e.process(consumer.Config{Holder: fmt.Sprint("process ", i), Dead: alive})
			all = append(all, e.run(s, fromStart, nil))
		}
		settle(time.Second)
		for round := range 3 {
			e.change(fmt.Sprint("user_", round))
			settle(time.Second)
			working := -1
			for i, r := range all {
				if calls := r.take(); len(calls) > 0 {
					if working >= 0 {
						e.Fatal("two processes work")
					}
					working = i
				}
			}
			if working < 0 {
				e.Fatal("no process works")
			}
			all[working].stop()
			all = slices.Delete(all, working, working+1)
			settle(1100 * time.Millisecond)
		}
	})
}

// A process of another machine that crashed is succeeded when its lease has run out, 15 seconds
// after its last sign of life, and one of this machine at once.
func TestTakesOverAfterACrash(t *testing.T) {
	bubble(t, func(e *env) {
		e.must(e.db.RegisterConsumer(e.Context(), "mail", mirror.FeedStart, false, clerk.TimeOf(time.Now())))
		e.change("a")
		crashed := func() {
			_, err := e.db.AcquireLease(e.Context(), store.ConsumerLease("mail"), "crashed", clerk.TimeOf(time.Now()), 15*time.Second, nil)
			e.must(err)
		}
		crashed()
		r := e.run(e.process(consumer.Config{Dead: alive}), fromStart, nil)
		settle(14 * time.Second)
		e.equal([]string{}, r.take())
		settle(3 * time.Second)
		e.equal([]string{"a"}, r.take())
		r.stop()
		crashed()
		e.change("b")
		r = e.run(e.process(consumer.Config{Dead: func(h string) bool { return h == "crashed" }}), fromStart, nil)
		settle(time.Second)
		e.equal([]string{"b"}, r.take())
		r.stop()
	})
}

// The lease is renewed while the function works for long, and that takes no lock that the writers
// of the mirror wait for.
func TestRenewsWhileTheFunctionWorks(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		first := e.run(e.process(consumer.Config{Dead: alive}), fromStart, func(context.Context, mirror.Change) error {
			settle(5 * time.Minute)
			return nil
		})
		settle(time.Second)
		before, err := e.db.Head(e.Context())
		e.must(err)
		second := e.run(e.process(consumer.Config{Dead: alive}), fromStart, nil)
		settle(9 * time.Minute)
		after, err := e.db.Head(e.Context())
		e.must(err)
		e.equal([]string{"a", "b"}, first.take())
		e.equal([]string{}, second.take())
		if after.Writes != before.Writes {
			e.Errorf("the head row was locked %d times", after.Writes-before.Writes)
		}
		settle(5 * time.Minute)
		first.stop()
		second.stop()
	})
}

// A process that lost its lease in the middle of a call notices: the context of the call ends, what
// it did is not saved, and it does nothing until it has the lease again.
func TestALostLeaseEndsTheWork(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b", "c")
		canceled := make(chan error, 1)
		r := e.run(e.process(consumer.Config{Dead: alive}), fromStart, func(ctx context.Context, c mirror.Change) error {
			if c.ID == "b" {
				<-ctx.Done()
				canceled <- context.Cause(ctx)
				return nil
			}
			return nil
		})
		settle(50 * time.Millisecond)
		e.equal([]string{"a", "b"}, r.take())
		other, err := e.db.AcquireLease(e.Context(), store.ConsumerLease("mail"), "other", clerk.TimeOf(time.Now()), time.Minute, func(string) bool { return true })
		e.must(err)
		settle(10 * time.Second)
		if err := <-canceled; err == nil {
			e.Error("the call went on")
		}
		e.equal([]string{}, r.take())
		if c := e.consumer(); c.Cursor != mirror.FeedStart || c.Holder != "other" {
			e.Errorf("saved was %+v", c)
		}
		e.must(e.db.ReleaseLease(e.Context(), other))
		r.set(nil)
		settle(2 * time.Second)
		e.equal([]string{"a", "b", "c"}, r.take())
		r.stop()
	})
}

// A crash repeats at most the changes of the last save, and loses none.
func TestACrashRepeatsLittle(t *testing.T) {
	bubble(t, func(e *env) {
		var ids []string
		for i := range 350 {
			ids = append(ids, fmt.Sprint("user_", i))
		}
		e.change(ids...)
		n := 0
		r := e.run(e.service, fromStart, func(ctx context.Context, _ mirror.Change) error {
			if n++; n == 251 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		settle(time.Minute)
		r.take()
		e.crash(r)
		r = e.run(e.process(consumer.Config{}), fromStart, nil)
		settle(time.Second)
		again := r.take()
		if first := 350 - len(again); first > 250 || first < 150 || !slices.Equal(again, ids[first:]) {
			e.Errorf("after change 250 the work went on with %d", first)
		}
		r.stop()
	})
}

// Where the feed was purged beyond the place of a consumer, it stops and says so. It goes on where
// it is told to, and never skips silently.
func TestAPurgedFeed(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		r := e.run(e.service, fromStart, failing("b"))
		settle(time.Second)
		r.stop()
		e.change("c", "d")
		for range 2 { // the first time sets a mark
			settle(time.Hour)
			now := clerk.TimeOf(time.Now())
			_, err := e.db.PurgeChanges(e.Context(), now, now-clerk.Time(time.Minute.Milliseconds()))
			e.must(err)
		}
		if c := e.consumer(); c.State != mirror.ConsumerStopped || c.StopReason != mirror.CursorExpired {
			e.Errorf("before it runs: %+v", c)
		}
		r = e.run(e.service, fromStart, failing("b"))
		var gone *mirror.CursorGoneError
		if err := <-r.ended; !errors.As(err, &gone) || gone.Reason != mirror.CursorExpired {
			e.Fatalf("%v", err)
		}
		c := e.consumer()
		if c.State != mirror.ConsumerStopped || c.StopReason != mirror.CursorExpired || c.Holder != "" || c.HeldBack != 1 {
			e.Errorf("%+v", c)
		}
		o := fromStart
		o.GoneSkip = true
		r = e.run(e.service, o, nil)
		settle(time.Minute)
		e.equal([]string{"b"}, r.take()) // held back, and not lost
		e.change("e")
		settle(time.Second)
		e.equal([]string{"e"}, r.take())
		if c := e.consumer(); c.State != mirror.ConsumerRunning || c.StopReason != "" {
			e.Errorf("%+v", c)
		}
		r.stop()
	})
}

// A consumer that waits for its lease ends when it is deleted, and the number of consumers is
// bounded.
func TestDeletedWhileItWaits(t *testing.T) {
	bubble(t, func(e *env) {
		e.must(e.db.RegisterConsumer(e.Context(), "mail", "", false, 0))
		l, err := e.db.AcquireLease(e.Context(), store.ConsumerLease("mail"), "other", clerk.TimeOf(time.Now()), time.Minute, nil)
		e.must(err)
		r := e.run(e.process(consumer.Config{Dead: alive}), fromStart, nil)
		settle(5 * time.Second)
		e.must(e.db.ReleaseLease(e.Context(), l))
		e.must(e.service.Delete(e.Context(), "mail", mirror.By{}))
		if err := <-r.ended; !errors.Is(err, store.ErrNotFound) {
			e.Errorf("%v", err)
		}
		for i := range 100 {
			e.must(e.db.RegisterConsumer(e.Context(), fmt.Sprint("c", i), "", false, 0))
		}
		if err := e.service.Run(e.Context(), "mail", r.call, fromStart); !errors.Is(err, store.ErrTooManyConsumers) {
			e.Errorf("%v", err)
		}
	})
}

// Close ends consumers, and saves their progress first.
func TestClose(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a")
		r := e.run(e.service, fromStart, nil)
		settle(time.Millisecond)
		e.service.Close()
		e.must(<-r.ended)
		if c := e.consumer(); c.LagChanges != 0 || c.Holder != "" {
			e.Errorf("%+v", c)
		}
		if err := e.service.Run(e.Context(), "mail", r.call, fromStart); !errors.Is(err, consumer.ErrClosed) {
			e.Errorf("%v", err)
		}
	})
}

// Replicas that fight for a consumer, on a real database with leases that run out all the time:
// nothing is lost, and the place never moves back.
func TestReplicasFight(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(e *env, d *testkit.Database) {
		var mu sync.Mutex
		handled := map[string]int{}
		workers := map[int]int{}
		work := func(replica int) func(context.Context, mirror.Change) error {
			return func(_ context.Context, c mirror.Change) error {
				if rand.IntN(10) == 0 {
					<-time.After(time.Duration(rand.IntN(40)) * time.Millisecond)
				}
				mu.Lock()
				defer mu.Unlock()
				handled[c.ID]++
				workers[replica]++
				return nil
			}
		}
		o := fromStart
		o.SaveChanges, o.Lease = 5, 2*time.Second
		var all []*running
		for replica := range 3 {
			db := d.OpenFast(e.T)
			follower := feed.New(feed.Config{DB: db})
			e.Cleanup(follower.Close)
			// each takes the holder of the other for dead: the lease is taken over again and again
			s := e.process(consumer.Config{DB: db, Feed: follower, Dead: func(string) bool { return rand.IntN(3) > 0 }})
			all = append(all, e.run(s, o, work(replica)))
		}
		var ids []string
		place := int64(0)
		for round := range 40 {
			for i := range 10 {
				ids = append(ids, fmt.Sprint("user_", round, "_", i))
			}
			e.change(ids[len(ids)-10:]...)
			<-time.After(100 * time.Millisecond)
			if list, err := e.service.List(e.Context()); err == nil && len(list) == 1 {
				seq, _, err := list[0].Cursor.Split()
				e.must(err)
				if seq < place {
					e.Errorf("the place went back from %d to %d", place, seq)
				}
				place = seq
			}
		}
		for end := time.Now().Add(time.Minute); e.consumer().LagChanges > 0; <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				e.Fatalf("changes are left: %+v", e.consumer())
			}
		}
		for _, r := range all {
			r.stop()
		}
		for _, id := range ids {
			if handled[id] == 0 {
				e.Errorf("%s was lost", id)
			}
		}
		if len(workers) < 2 {
			e.Errorf("the replicas did not fight: %v", workers)
		}
	})
}

// A snapshot goes on in another process after a crash, and a consumer whose place is gone can begin
// again with one.
func TestSnapshots(t *testing.T) {
	bubble(t, func(e *env) {
		var rows []*row.Row
		for i := range 700 {
			r := &row.Row{Key: row.Key{Kind: clerk.KindUser, ID: fmt.Sprintf("user_%03d", i)}}
			body, err := clerk.Parse([]byte(`{"id":"` + r.ID + `"}`))
			e.must(err)
			r.SetBody(body, body.JSON())
			rows = append(rows, r)
		}
		e.must(e.db.Update(e.Context(), func(tx *store.Tx) error { return tx.SaveRows(e.Context(), rows) }))
		e.change("user_000", "user_001")
		o := consumer.Options{Snapshot: []clerk.Kind{clerk.KindUser}}
		n := 0
		r := e.run(e.service, o, func(ctx context.Context, _ mirror.Change) error {
			if n++; n == 650 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		settle(time.Minute)
		r.take()
		e.change("user_002")
		e.crash(r)
		r = e.run(e.process(consumer.Config{}), o, nil)
		settle(time.Second)
		again := r.take()
		if len(again) < 52 || len(again) > 151 || !slices.Equal(again[len(again)-2:], []string{"user_699", "user_002"}) {
			e.Errorf("after change 650 of the snapshot, %d came: …%v", len(again), again[max(0, len(again)-3):])
		}
		r.stop()

		_, err := e.raw().ExecContext(e.Context(), "UPDATE clerk_consumers SET cursor = '2-00000000', seq = 2")
		e.must(err)
		if err := e.service.Run(e.Context(), "mail", r.call, o); err == nil {
			e.Error("a place of another history was continued")
		}
		o.GoneSnapshot = []clerk.Kind{clerk.KindUser}
		r = e.run(e.service, o, nil)
		settle(time.Second)
		e.change("user_003")
		settle(time.Second)
		if got := r.take(); len(got) != 701 || got[700] != "user_003" {
			e.Errorf("%d came with the new snapshot", len(got))
		}
		if c := e.consumer(); c.State != mirror.ConsumerRunning || c.LagChanges != 0 {
			e.Errorf("%+v", c)
		}
		r.stop()
	})
}
