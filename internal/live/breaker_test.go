package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// faulty is a database with users alone, which can be made to hang or to fail.
type faulty struct {
	*world

	deaf bool // a driver that does not heed its context

	mu      sync.Mutex
	hang    chan struct{} // nil: answers at once
	fail    error
	slow    map[string]time.Duration // look-ups of single users
	inside  atomic.Int64
	most    atomic.Int64 // look-ups at the same time
	lookups atomic.Int64
}

func (f *faulty) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hang = make(chan struct{})
	f.most.Store(0)
}

func (f *faulty) goOn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hang != nil {
		close(f.hang)
		f.hang = nil
	}
}

func (f *faulty) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// answer waits as long as the database hangs.
func (f *faulty) answer(ctx context.Context) error {
	f.lookups.Add(1)
	f.most.Store(max(f.most.Load(), f.inside.Add(1)))
	defer f.inside.Add(-1)
	f.mu.Lock()
	hang, fail := f.hang, f.fail
	f.mu.Unlock()
	if hang == nil {
		return fail
	}
	if f.deaf {
		<-hang
		return nil
	}
	select {
	case <-hang:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *faulty) Caller(ctx context.Context, keys store.CallerKeys) (store.CallerRows, error) {
	pass(f.slow[keys.UserID])
	if err := f.answer(ctx); err != nil {
		return store.CallerRows{}, err
	}
	return f.world.Caller(ctx, keys)
}

func (f *faulty) Clock(ctx context.Context, ours clerk.Time) (clerk.Time, error) {
	return ours, f.answer(ctx)
}

func (f *faulty) ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]row.ChangeRef, error) {
	if err := f.answer(ctx); err != nil {
		return nil, err
	}
	return f.world.ChangeRefsFrom(ctx, seq, limit)
}

// outage is a cache before a faulty database, with what it logs.
type outage struct {
	*testing.T
	*live.Cache
	db   *faulty
	logs testenv.Logs
}

func newOutage(t *testing.T, deaf bool) *outage {
	t.Helper()
	o := &outage{T: t, db: &faulty{world: &world{step: func() {}, version: map[string]int{"user": 1}}, deaf: deaf, slow: map[string]time.Duration{}}}
	cache, err := live.NewOn(t.Context(), o.db, live.Config{Now: time.Now, Logger: o.logs.Logger()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Cache = cache
	t.Cleanup(func() { // look-ups end by themselves
		o.db.goOn()
		pass(2 * time.Hour)
	})
	return o
}

// ask returns how long a request took, and whether it was answered.
func (o *outage) ask(user string) (took time.Duration, answered bool) {
	began := time.Now()
	_, err := o.Facts(o.Context(), user, "", "")
	return time.Since(began), err == nil
}

func (o *outage) lines(opened, closed int) {
	o.Helper()
	synctest.Wait() // until those that were woken have written
	text := o.logs.String()
	if strings.Count(text, "does not answer") != opened || strings.Count(text, "answers again") != closed || strings.Count(text, "\n") != opened+closed {
		o.Errorf("want %d openings and %d closings in the log:\n%s", opened, closed, text)
	}
}

// The defect: each request that needed the database waited for it, up to its time-out, as long as
// the database hung.
func TestHangingDatabaseIsWaitedForOnceAndNotByEachRequest(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"a driver that heeds its context": false, "a driver that does not": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(t, deaf)
				o.ask("user_ada")
				o.db.stop()
				if took, ok := o.ask("user_ada"); took != 0 || !ok {
					t.Errorf("from memory: %v %v", took, ok)
				}
				var waiting sync.WaitGroup
				for i := range 20 { // the first comes at 0, the last at 950 ms
					waiting.Go(func() {
						pass(time.Duration(i) * 50 * time.Millisecond)
						if took, ok := o.ask(fmt.Sprint("user_", i)); took > time.Second-time.Duration(i)*50*time.Millisecond || ok {
							t.Errorf("request %d: %v %v", i, took, ok)
						}
					})
				}
				waiting.Wait()
				for range 1000 {
					pass(7 * time.Millisecond)
					if took, ok := o.ask("user_bob"); took > 20*time.Millisecond || ok {
						t.Fatalf("a stranger: %v %v", took, ok)
					}
					if took, ok := o.ask("user_ada"); took > 20*time.Millisecond || ok {
						t.Fatalf("of what is kept nobody knows whether it is still true: %v %v", took, ok)
					}
				}
				o.lines(1, 0)
				if o.Refused() < 1900 || !o.Open() {
					t.Errorf("%d refused, open: %v", o.Refused(), o.Open())
				}
				o.db.goOn()
				back := time.Now()
				for _, ok := o.ask("user_ada"); !ok; _, ok = o.ask("user_ada") {
					pass(time.Millisecond)
				}
				if took := time.Since(back); took > 2*time.Second {
					t.Errorf("answered again %v after the database", took)
				}
				if _, ok := o.ask("user_bob"); !ok || o.Open() {
					t.Error("a stranger is refused, though the database answers")
				}
				o.lines(1, 1)
			})
		})
	}
}

// While the breaker is open, one look-up at a time finds out.
func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t, false)
		o.db.stop()
		o.ask("user_bob")
		o.db.most.Store(0)
		looks := o.db.lookups.Load()
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				for range 100 {
					pass(100 * time.Millisecond)
					o.ask(fmt.Sprint("user_", i))
				}
			})
		}
		all.Wait()
		if most, n := o.db.most.Load(), o.db.lookups.Load()-looks; most != 1 || n < 5 || n > 12 { // in ten seconds
			t.Errorf("%d look-ups at once, %d in all", most, n)
		}
		pass(2 * time.Second)
		o.db.goOn()
		if took, ok := o.ask("user_bob"); !ok || took > 20*time.Millisecond {
			t.Errorf("the probe is answered itself: %v %v", took, ok)
		}
	})
}

// Who gives up early does not keep the others from learning that the database hangs.
func TestImpatientClientsOpenTheBreakerToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t, false)
		o.db.stop()
		for range 11 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := o.Facts(ctx, "user_bob", "", "")
			cancel()
			if err == nil {
				t.Fatal("answered")
			}
			pass(time.Millisecond)
		}
		if !o.Open() {
			t.Error("closed after a second of silence")
		}
	})
}

// Which failures open the breaker.
func TestWhatOpensTheBreaker(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcomes []error // of look-ups, one after the other
		open     bool
	}{
		"three failures in a row":               {[]error{io.EOF, io.EOF, io.EOF}, true},
		"two":                                   {[]error{io.EOF, io.EOF}, false},
		"a success between them":                {[]error{io.EOF, io.EOF, nil, io.EOF, io.EOF}, false},
		"what is wrong with the question alone": {[]error{errors.New("syntax"), errors.New("syntax"), errors.New("syntax"), errors.New("syntax")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(t, false)
				for i, err := range tc.outcomes {
					o.db.set(err)
					o.ask(fmt.Sprint("user_", i))
				}
				if o.Open() != tc.open {
					t.Errorf("open: %v", o.Open())
				}
			})
		})
	}
}

// One look-up that takes long is no outage while others are answered.
func TestSlowLookupAmongQuickOnesIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t, false)
		o.db.slow["user_slow"] = 3 * time.Second
		var slow sync.WaitGroup
		slow.Go(func() {
			if took, ok := o.ask("user_slow"); ok || took != time.Second {
				t.Errorf("%v %v", took, ok)
			}
		})
		for i := range 30 {
			pass(100 * time.Millisecond)
			if _, ok := o.ask(fmt.Sprint("user_", i)); !ok {
				t.Fatal("refused")
			}
		}
		slow.Wait()
		o.lines(0, 0)
	})
}

// A database that answers small questions and hangs on others does not fill the log.
func TestFlappingDatabaseIsLeftAloneForLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t, false)
		o.db.slow["user_bob"] = time.Hour
		for end := time.Now().Add(time.Minute); time.Now().Before(end); pass(10 * time.Millisecond) {
			o.ask("user_bob")
		}
		if opened := strings.Count(o.logs.String(), "does not answer"); opened < 5 || opened > 20 {
			t.Errorf("opened %d times in a minute", opened)
		}
	})
}
