package jobs

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

// errLost means that this process no longer has the lease.
var errLost = errors.New("another process works on jobs")

// lane is a line of jobs, one after another.
type lane struct {
	*Service

	lease      string
	readsClerk bool
	wake       chan struct{}
}

// notify makes the lane look for jobs at once.
func (l *lane) notify() {
	select {
	case l.wake <- struct{}{}:
	default: // it looks soon
	}
}

// run works on the jobs of the lane until the context ends.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.work(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errLost) {
			l.Logger.Warn("jobs could not be worked on; they go on", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-time.After(l.Poll):
		}
	}
}

// next returns the first open job of the lane. ok is false if there is none. Jobs of a newer
// version are left to processes that know them.
func (l *lane) next(ctx context.Context) (j store.Job, ok bool, err error) {
	open, err := l.DB.OpenJobs(ctx)
	for i := range open {
		a := open[i].Action
		if a.ReadsClerk() && l.readsClerk || !l.readsClerk && l.actionOf(a) != nil {
			return open[i], true, err
		}
	}
	return j, false, err
}

// work works on the open jobs of the lane, if no other process does.
func (l *lane) work(ctx context.Context) error {
	if _, ok, err := l.next(ctx); err != nil || !ok {
		return err
	}
	free, err := l.DB.LeaseFree(ctx, l.lease, l.now(), l.Dead)
	if err != nil || !free {
		return err
	}
	began := l.Now()
	lease, err := l.DB.AcquireLease(ctx, l.lease, l.holder, clerk.TimeOf(began), l.Lease, l.Dead)
	if errors.Is(err, store.ErrLeaseHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	t := &tenure{lane: l, lease: lease, deadline: began.Add(l.Lease)}
	held, lose := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { lose(t.keep(held)) })
	defer func() {
		lose(errLost)
		keeper.Wait()
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = l.DB.ReleaseLease(leaving, lease) // else it runs out
	}()
	for {
		j, ok, err := l.next(held)
		if err == nil && ok {
			err = t.do(held, &j)
		}
		if err != nil || !ok {
			return err
		}
	}
}

// tenure is the time during which this process has the lease of a lane.
type tenure struct {
	*lane

	lease store.Lease

	mu       sync.Mutex
	deadline time.Time // until then the lease is ours, by our clock
	job      string    // that is worked on
	cancel   func()    // ends the job
}

const (
	lookEvery       = 500 * time.Millisecond // how often the holder looks for what operators did
	shutdownTimeout = 5 * time.Second        // for the objects in progress and the last save
)

// ours reports whether the lease is ours. Where the clock was set, or the machine slept, the
// readings of the two clocks differ, and the later one counts.
func (t *tenure) ours() bool {
	now := t.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Before(t.deadline) && now.Round(0).Before(t.deadline.Round(0))
}

// extended notes that the lease was extended by a request that began then.
func (t *tenure) extended(began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until := began.Add(t.Lease); until.After(t.deadline) {
		t.deadline = until
	}
}

// keep extends the lease, and looks whether the job is to be cancelled. It returns why the lease is
// no longer ours.
func (t *tenure) keep(ctx context.Context) error {
	for wait.For(ctx, min(lookEvery, t.Lease/4)) == nil {
		if !t.ours() {
			return errLost
		}
		if err := t.look(ctx); errors.Is(err, store.ErrFenced) {
			return errLost
		}
	}
	return ctx.Err()
}

func (t *tenure) look(ctx context.Context) error {
	now := t.Now()
	t.mu.Lock()
	due, id, cancel := t.deadline.Sub(now) <= t.Lease*2/3, t.job, t.cancel
	t.mu.Unlock()
	if due {
		ctx, done := context.WithTimeout(ctx, t.Lease/2)
		err := t.DB.ExtendLease(ctx, t.lease, clerk.TimeOf(now), t.Lease)
		done()
		if err != nil {
			return err
		}
		t.extended(now)
	}
	if id == "" {
		return nil
	}
	j, err := t.DB.Job(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (j.State == mirror.JobCancelling || j.State.Ended()) {
		cancel()
	}
	return err
}

// working notes which job is worked on.
func (t *tenure) working(id string, cancel func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.job, t.cancel = id, cancel
}
