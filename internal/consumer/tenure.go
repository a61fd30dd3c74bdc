package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

var (
	// errLost means that this process no longer has the lease.
	errLost = errors.New("another process works for the consumer")
	// errNoSnapshot means that a snapshot has not begun, and no kinds are configured.
	errNoSnapshot = errors.New("the consumer is to begin with a snapshot, but no kinds are given: pass the option that it was first run with, or rewind it")
)

// tenure is the time during which this process has the lease of a consumer. Its fields belong to
// the goroutine that works; the watch is shared.
type tenure struct {
	*runner
	*watch

	lease store.Lease

	stored store.Consumer    // as the database has it
	place  mirror.FeedCursor // every change up to it was handled, is held back or is parked
	seq    int64
	held   *held
	moves  int             // since the last save: how often the database had another place
	edits  int64           // of the stored consumer when what is held back was read
	page   mirror.FeedPage // of which the first changes were taken

	givenUp int64 // parked changes

	unsaved  int       // changes since the last save
	since    time.Time // when the first of them was handled; zero: there is nothing to save
	parked   []*entry  // since the last save
	tried    []*entry  // stored, and tried since the last save
	done     []mirror.FeedCursor
	lastErr  string
	failedAt clerk.Time
	retried  bool // the last call was a retry: a new change is next
}

// watch is what the goroutine that renews the lease shares with the one that works.
type watch struct {
	mu        sync.Mutex
	deadline  time.Time // until then the lease is ours, by our clock
	extended  time.Time // when it was last extended
	seen      store.Consumer
	look      bool               // the database has something that the worker does not know
	interrupt context.CancelFunc // ends what the worker waits for
}

// tenure waits for the lease, works while it has it, and gives it back.
func (r *runner) tenure(ctx context.Context) error {
	lease, deadline, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	t := &tenure{runner: r, lease: lease, watch: &watch{deadline: deadline, extended: deadline.Add(-r.Lease)}}
	held, lose := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { lose(t.keep(held)) })
	defer func() {
		lose(errLost)
		keeper.Wait()
		t.leave(ctx)
	}()
	t.Logger.Info("this process works for a consumer of the change feed", "consumer", t.name)
	err = t.work(held)
	if held.Err() != nil && ctx.Err() == nil {
		return context.Cause(held)
	}
	return err
}

// acquire waits for the lease, and returns until when it is ours.
func (r *runner) acquire(ctx context.Context) (l store.Lease, deadline time.Time, err error) {
	name := store.ConsumerLease(r.name)
	for {
		now := r.Now()
		free, err := r.DB.LeaseFree(ctx, name, clerk.TimeOf(now), r.Dead)
		if err != nil {
			return l, deadline, err
		}
		if free {
			now = r.Now()
			l, err = r.DB.AcquireLease(ctx, name, r.Holder, clerk.TimeOf(now), r.Lease, r.Dead)
			if !errors.Is(err, store.ErrLeaseHeld) {
				return l, now.Add(r.Lease), err
			}
		}
		if _, err := r.DB.Consumer(ctx, r.name); err != nil { // it may have been deleted
			return l, deadline, err
		}
		if wait.For(ctx, leaseEvery/2+time.Duration(r.Random()*float64(leaseEvery/2))) != nil {
			return l, deadline, ctx.Err()
		}
	}
}

// ours reports whether the lease is ours at a time. Where the clock was set, or the machine slept,
// the readings of the two clocks differ, and the later one counts.
func (w *watch) ours(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Before(w.deadline) && now.Round(0).Before(w.deadline.Round(0))
}

// extendedAt notes that the lease was extended by a request that began then.
func (w *watch) extendedAt(began time.Time, lease time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if began.After(w.extended) {
		w.extended, w.deadline = began, began.Add(lease)
	}
}

// note keeps what the worker knows of the database.
func (w *watch) note(c store.Consumer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = c
}

// mustLook reports whether the worker must ask the database what operators did.
func (w *watch) mustLook() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	look := w.look
	w.look = false
	return look
}

// waiting returns a context that ends when the worker must look.
func (w *watch) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.interrupt = cancel; w.look {
		cancel()
	}
	return ctx, cancel
}

// keep extends the lease while it is ours, and looks for what operators did. It returns why the
// lease is no longer ours.
func (t *tenure) keep(ctx context.Context) error {
	for wait.For(ctx, min(lookEvery, t.Lease/4)) == nil {
		now := t.Now()
		if !t.ours(now) {
			return errLost
		}
		t.watch.mu.Lock()
		until, due := t.deadline, now.Sub(t.extended) >= t.Lease/3
		t.watch.mu.Unlock()
		err := t.lookAt(ctx, now, until, due)
		if errors.Is(err, store.ErrFenced) {
			return errLost
		}
		if errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			t.reportOutage(err)
		}
	}
	return ctx.Err()
}

// lookAt extends the lease if that is due, and compares the stored consumer with what the worker
// knows.
func (t *tenure) lookAt(ctx context.Context, now, until time.Time, due bool) error {
	ctx, cancel := context.WithTimeout(ctx, max(until.Sub(now), time.Millisecond))
	defer cancel()
	if due {
		if err := t.DB.ExtendLease(ctx, t.lease, clerk.TimeOf(now), t.Lease); err != nil {
			return err
		}
		t.extendedAt(now, t.Lease)
	}
	c, err := t.DB.Consumer(ctx, t.name)
	if err != nil {
		return err
	}
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	if c != t.seen {
		t.look = true
		if t.interrupt != nil {
			t.interrupt()
		}
	}
	return nil
}

// leave saves what was done, if the lease is still ours, and gives the lease back.
func (t *tenure) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if t.held != nil && !t.since.IsZero() && t.ours(t.Now()) {
		_ = t.saveOnce(ctx) // what is not saved is delivered again
	}
	_ = t.DB.ReleaseLease(ctx, t.lease) // else it runs out
}
