package feed

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// newFake returns a feed of a log with n changes.
func newFake(t *testing.T, n int) (*Feed, *fakeLog) {
	t.Helper()
	l := &fakeLog{}
	if n > 0 {
		l.append(n)
	}
	f := newFeed(l, Config{})
	t.Cleanup(f.Close)
	return f, l
}

func (l *fakeLog) head() mirror.FeedCursor {
	_, head, _ := l.FeedEnds(context.Background())
	return head
}

type result struct {
	page mirror.FeedPage
	err  error
	at   time.Time
}

// wait begins a page, and returns when it waits.
func wait(t *testing.T, f *Feed, q mirror.FeedQuery) <-chan result {
	t.Helper()
	done := make(chan result, 1)
	go func() {
		page, err := f.Page(t.Context(), q)
		done <- result{page, err, time.Now()}
	}()
	synctest.Wait()
	return done
}

func TestACommitOfThisProcessWakesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		done := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
		<-time.After(12345 * time.Microsecond)
		committed := time.Now()
		l.append(1)
		f.Notify()
		if r := <-done; r.err != nil || len(r.page.Changes) != 1 || r.at != committed {
			t.Errorf("got %+v after %s", r, r.at.Sub(committed))
		}
	})
}

func TestACommitOfAnotherProcessIsFoundByPolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 0)
		for range 5 {
			done := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
			<-time.After(time.Minute + 42*time.Millisecond)
			committed := time.Now()
			l.append(2)
			if r := <-done; r.err != nil || len(r.page.Changes) != 2 || r.at.Sub(committed) > pollEvery {
				t.Errorf("got %+v after %s", r, r.at.Sub(committed))
			}
		}
	})
}

func TestNothingPollsWithoutWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		if r := <-wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Second}); r.err != nil || !r.page.CaughtUp || r.page.Next != l.head() {
			t.Fatalf("got %+v", r)
		}
		before, _ := l.reads()
		if before < 9 || before > 12 {
			t.Errorf("%d polls in a second", before)
		}
		f.Notify()
		<-time.After(time.Hour)
		if polls, _ := l.reads(); polls != before {
			t.Errorf("%d polls without a waiter", polls-before)
		}
	})
}

// A thousand waiters cost one small query every 100 ms, and one more for what comes.
func TestManyWaitersShareOneQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		var all []<-chan result
		for range 1000 {
			done := make(chan result, 1)
			go func() {
				page, err := f.Page(t.Context(), mirror.FeedQuery{After: l.head(), Wait: time.Hour})
				done <- result{page, err, time.Now()}
			}()
			all = append(all, done)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		before, windows := l.reads()
		if before > 10*60+2 || windows > 1000 {
			t.Errorf("%d polls and %d reads of the table in a minute", before, windows)
		}
		l.append(1)
		f.Notify()
		for _, done := range all {
			if r := <-done; r.err != nil || len(r.page.Changes) != 1 {
				t.Fatalf("got %+v", r)
			}
		}
		synctest.Wait()
		if polls, after := l.reads(); polls > before+1 || after != windows {
			t.Errorf("%d polls and %d reads of the table for one change", polls-before, after-windows)
		}
	})
}

func TestACommitDuringAPollIsNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		done := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
		var committed time.Time
		l.mu.Lock()
		l.during = func() { // the poll has read and not yet returned
			l.append(1)
			f.Notify()
			committed = time.Now()
		}
		l.mu.Unlock()
		if r := <-done; r.err != nil || len(r.page.Changes) != 1 || r.at != committed {
			t.Errorf("got %+v %s after the commit", r, r.at.Sub(committed))
		}
	})
}

func TestACommitBetweenLookingAndWaitingIsNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		if err := f.follower.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		at, err := placeOf(l.head())
		if err != nil {
			t.Fatal(err)
		}
		news := f.follower.news()
		if page, found := f.follower.read(&reading{at: at, limit: 1}); !found || len(page.Changes) > 0 {
			t.Fatalf("got %+v", page)
		}
		l.append(1) // and everyone is told before this reader waits
		if err := f.follower.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if came, err := f.follower.await(t.Context(), news, nil); err != nil || !came || time.Since(begun) > 0 {
			t.Errorf("got %v, %v after %s", came, err, time.Since(begun))
		}
	})
}

// A page that does not wait reads what was committed before it was asked for.
func TestAPageWithoutAWaitIsUpToDate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 0)
		at := l.head()
		for range 50 {
			last := l.append(1) // without a notification
			page, err := f.Page(t.Context(), mirror.FeedQuery{After: at})
			if err != nil || len(page.Changes) != 1 || page.Next != store.FeedCursor(&last) {
				t.Fatalf("got %+v, %v", page, err)
			}
			at = page.Next
			if err := f.Reached(t.Context(), at, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What is in memory may end before the feed does: a page of it says so.
func TestAPageFromMemoryIsCaughtUpOnlyAtTheEndOfTheFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		begin := l.head()
		done := wait(t, f, mirror.FeedQuery{After: begin, Wait: time.Hour})
		l.append(2)
		f.Notify()
		if r := <-done; !r.page.CaughtUp || r.page.Next != l.head() {
			t.Errorf("got %+v", r)
		}
		for n := range 3 {
			if n > 0 {
				l.append(1) // without a notification
			}
			page, err := f.Page(t.Context(), mirror.FeedQuery{After: begin})
			if err != nil || len(page.Changes) < 2 || page.CaughtUp != (page.Next == l.head()) {
				t.Errorf("got %+v, %v; the head is %s", page, err, l.head())
			}
		}
	})
}

func TestAContextEndsAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 1234*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := f.Page(ctx, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 1234*time.Millisecond {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
		if err := f.Reached(ctx, "9-00000000", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestClosingEndsAllWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		one := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
		two := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
		f.Close()
		for _, done := range []<-chan result{one, two} {
			if r := <-done; !errors.Is(r.err, errClosed) {
				t.Errorf("got %+v", r)
			}
		}
		if _, err := f.Page(t.Context(), mirror.FeedQuery{After: l.head(), Wait: time.Hour}); !errors.Is(err, errClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// Those who wait get the error of a database that fails. Callers that ask again at once get it too,
// no faster than the database is asked.
func TestADatabaseThatFailsIsNotAskedInAHotLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 3)
		broken := errors.New("the database is gone")
		done := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
		l.setFail(broken)
		if r := <-done; !errors.Is(r.err, broken) {
			t.Fatalf("got %+v", r)
		}
		pollsBefore, windowsBefore := l.reads()
		var callers sync.WaitGroup
		end := time.Now().Add(time.Minute)
		for i := range 20 {
			callers.Go(func() {
				for calls := 0; time.Now().Before(end); calls++ {
					_, err := f.Page(t.Context(), mirror.FeedQuery{After: l.head(), Wait: time.Duration(i%2) * time.Hour})
					if !errors.Is(err, broken) || calls > 100 {
						t.Errorf("call %d: got %v", calls, err)
						return
					}
				}
			})
		}
		callers.Wait()
		if polls, windows := l.reads(); polls-pollsBefore > 80 || polls-pollsBefore < 20 || windows != windowsBefore {
			t.Errorf("%d polls and %d reads of the table in a minute", polls-pollsBefore, windows-windowsBefore)
		}
		l.setFail(nil)
		last := l.append(1)
		begun := time.Now()
		page, err := f.Page(t.Context(), mirror.FeedQuery{After: mirror.FeedStart})
		if err != nil || page.Next != store.FeedCursor(&last) || time.Since(begun) > maxBackoff {
			t.Errorf("got %+v, %v after %s", page, err, time.Since(begun))
		}
	})
}

func TestAReaderOfAnotherHistoryIsTold(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]int{"that is shorter": 0, "that is as long": 5, "that is longer": 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFake(t, 10)
				done := wait(t, f, mirror.FeedQuery{After: l.head(), Wait: time.Hour})
				<-time.After(time.Second)
				lost := l.head()
				l.restore(5)
				if later > 0 {
					l.append(later)
				}
				restored := time.Now()
				r := <-done
				gone, ok := errors.AsType[*mirror.CursorGoneError](r.err)
				if !ok || gone.Reason != mirror.CursorOtherHistory || gone.Cursor != lost || gone.Head != l.head() || r.at.Sub(restored) > pollEvery {
					t.Errorf("got %+v after %s", r, r.at.Sub(restored))
				}
				if err := f.Reached(t.Context(), lost, 0); err == nil {
					t.Error("a change of the other history is reached")
				}
				kept := store.FeedCursor(&l.changes[3]) // of both histories
				page, err := f.Page(t.Context(), mirror.FeedQuery{After: kept})
				if err != nil || len(page.Changes) != 1+later || page.Next != l.head() {
					t.Errorf("after a change that was kept: %+v, %v", page, err)
				}
			})
		})
	}
}

// After hours without readers, what is in memory may be of another history: it is compared first.
func TestAnOldRingIsComparedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFake(t, 10)
		begin := l.head()
		done := wait(t, f, mirror.FeedQuery{After: begin, Wait: time.Hour})
		l.append(5)
		<-done
		<-time.After(time.Hour)
		l.restore(3)
		l.append(20)
		for _, q := range []mirror.FeedQuery{{After: begin}, {After: begin, Wait: time.Hour}} {
			_, err := f.Page(t.Context(), q)
			if gone, ok := errors.AsType[*mirror.CursorGoneError](err); !ok || gone.Reason != mirror.CursorOtherHistory {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestTheRingIsBounded(t *testing.T) {
	t.Parallel()
	for _, bounds := range []ring{{maxChanges: 10, maxBytes: 1 << 20}, {maxChanges: 1000, maxBytes: 3000}, {maxChanges: 5, maxBytes: 1}} {
		synctest.Test(t, func(t *testing.T) {
			f, l := newFake(t, 0)
			f.follower.ring = bounds
			at := l.head()
			for n := range 40 {
				l.append(1 + n%7)
				done := wait(t, f, mirror.FeedQuery{After: at, Wait: time.Hour})
				at = (<-done).page.Next
				g, bytes := &f.follower.ring, 0
				for i := range g.entries {
					bytes += size(&g.entries[i])
				}
				if len(g.entries) > bounds.maxChanges || g.bytes != bytes || bytes > bounds.maxBytes || g.end().cursor != l.head() || at != l.head() {
					t.Fatalf("%d changes, %d bytes (counted %d), up to %s", len(g.entries), bytes, g.bytes, g.end().cursor)
				}
			}
			page, err := f.Page(t.Context(), mirror.FeedQuery{After: mirror.FeedStart, Limit: maxLimit})
			if err != nil || len(page.Changes) != len(l.changes) {
				t.Errorf("from the beginning: %d of %d changes, %v", len(page.Changes), len(l.changes), err)
			}
		})
	}
}

// Writers, readers with all kinds of queries, purges, restored backups, failures and rings of any
// size: every reader gets the changes that it selects, each once and in order, or is told that it
// cannot go on.
func TestReadersSeeEveryChangeOnceOrAreTold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { followAtRandom(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func followAtRandom(t *testing.T, random *rand.Rand) {
	t.Helper()
	f, l := newFake(t, random.IntN(30))
	f.follower.ring.maxChanges, f.follower.ring.maxBytes = 1+random.IntN(40), 1+random.IntN(20_000)
	var readers sync.WaitGroup
	over := make(chan struct{})
	for range 8 {
		own := rand.New(rand.NewPCG(random.Uint64(), 2))
		readers.Go(func() { newReader(own, l).follow(t, f, over) })
	}
	for range 60 {
		<-time.After(time.Duration(random.IntN(150)) * time.Millisecond)
		switch random.IntN(12) {
		case 0:
			l.purge(random.Int64N(int64(len(l.changes) + 1)))
		case 1:
			if n := len(l.changes); n > 1 {
				l.restore(1 + random.IntN(n-1))
			}
		case 2:
			l.setFail(errors.New("an outage"))
			<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
			l.setFail(nil)
		default:
			l.append(1 + random.IntN(6)*random.IntN(3))
			if random.IntN(2) == 0 {
				f.Notify()
			}
		}
	}
	<-time.After(time.Second)
	close(over)
	readers.Wait()
}

// reader follows a feed with a query.
type reader struct {
	random *rand.Rand
	log    *fakeLog
	query  mirror.FeedQuery
	begin  mirror.FeedCursor // since when nothing was missed
	got    []mirror.FeedCursor
}

func newReader(random *rand.Rand, l *fakeLog) *reader {
	r := &reader{random: random, log: l, begin: l.head()}
	if random.IntN(3) == 0 {
		r.begin = mirror.FeedStart
	}
	switch random.IntN(5) {
	case 0:
		r.query.Kinds = []clerk.Kind{clerk.KindSession}
	case 1:
		r.query.Types = []string{"user.created"}
	case 2:
		r.query.ClerkOrganizationID = "org_b"
	case 3:
		r.query.Kinds = []clerk.Kind{clerk.KindRole} // never
	}
	r.query.After = r.begin
	return r
}

// follow reads until the end of the feed after everything is over.
func (r *reader) follow(t *testing.T, f *Feed, over <-chan struct{}) {
	t.Helper()
	for last := false; ; {
		select {
		case <-over:
			last = true
		default:
		}
		r.query.Limit, r.query.Wait = 1+r.random.IntN(8), time.Duration(r.random.IntN(400))*time.Millisecond
		page, err := f.Page(t.Context(), r.query)
		if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
			if gone.Cursor != r.query.After {
				t.Errorf("asked for %s, got %v", r.query.After, gone)
			}
			r.begin, r.query.After, r.got = gone.Oldest, gone.Oldest, nil
			continue
		}
		if err != nil {
			<-time.After(10 * time.Millisecond)
			continue
		}
		for _, c := range page.Changes {
			r.got = append(r.got, c.Cursor)
		}
		if r.query.After = page.Next; last && page.CaughtUp && len(page.Changes) == 0 {
			r.check(t)
			return
		}
	}
}

func (r *reader) check(t *testing.T) {
	t.Helper()
	selected, err := newFilter(&r.query)
	if err != nil {
		t.Error(err)
		return
	}
	after, err := placeOf(r.begin)
	if err != nil {
		t.Error(err)
		return
	}
	var want []mirror.FeedCursor
	for i := range r.log.changes {
		if c := store.FeedEntry(&r.log.changes[i]); r.log.changes[i].Seq > after.seq && selected.selects(&c) {
			want = append(want, c.Cursor)
		}
	}
	if !slices.Equal(r.got, want) || r.query.After != r.log.head() {
		t.Errorf("%+v from %s to %s (%s): got %v, want %v", r.query, r.begin, r.query.After, r.log.head(), r.got, want)
	}
}
