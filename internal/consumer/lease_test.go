package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/store"
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
		e.must(e.service.Delete(e.Context(), "mail"))
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
