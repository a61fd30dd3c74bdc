package webhook

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/group"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
)

const (
	// grace is how long requests under way may still take when the process stops.
	grace = 3 * time.Second
	// trimEvery is how often attempts beyond the latest of an endpoint are removed.
	trimEvery = time.Minute
)

// tenure is the time in which this process holds the lease and sends.
type tenure struct {
	*Publisher
	lease   store.Lease
	until   atomic.Pointer[time.Time] // no other process sends before
	sending context.Context           //nolint:containedctx // of all requests; ends when none may go on
	abort   context.CancelFunc
	results *group.Queue[*result]
	workers map[string]*worker
	ended   chan struct{} // has an element after a worker ended
}

// lead takes the lease and sends until the context ends, the lease is lost, or no endpoint is left.
func (p *Publisher) lead(ctx context.Context) error {
	began := time.Now()
	lease, err := p.db.AcquireLease(ctx, leaseName, p.holder, clerk.TimeOf(began), p.limits.lease, holder.Dead)
	if err != nil {
		return err
	}
	t := &tenure{Publisher: p, lease: lease, workers: map[string]*worker{}, ended: make(chan struct{}, 1)}
	t.extend(began)
	t.sending, t.abort = context.WithCancel(context.WithoutCancel(ctx))
	defer t.abort()
	t.results = group.New(group.Config[*result]{Work: t.commit, MaxBatch: 2 * maxConcurrency})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var renewing sync.WaitGroup
	renewing.Go(func() {
		defer stop()
		t.renew(ctx)
	})
	err = t.work(ctx)
	stop()
	cut := time.AfterFunc(grace, t.abort)
	for _, w := range t.workers {
		<-w.ended
	}
	cut.Stop()
	t.results.Close()
	renewing.Wait()
	return errors.Join(err, p.db.ReleaseLease(context.WithoutCancel(ctx), lease))
}

// extend notes that the lease was taken or renewed at a time or later.
func (t *tenure) extend(at time.Time) {
	until := at.Add(t.limits.lease)
	t.until.Store(&until)
}

// renew renews the lease until the context ends or another process took it.
func (t *tenure) renew(ctx context.Context) {
	for ctx.Err() == nil {
		_ = wait.For(ctx, t.limits.lease/3)
		at := time.Now()
		switch err := t.db.ExtendLease(ctx, t.lease, clerk.TimeOf(at), t.limits.lease); {
		case err == nil:
			t.extend(at)
		case errors.Is(err, store.ErrFenced):
			t.abort() // another process sends now
			return
		}
	}
}

// work keeps a worker for each enabled endpoint, of its latest revision.
func (t *tenure) work(ctx context.Context) error {
	trimmed := time.Time{}
	for ctx.Err() == nil {
		endpoints, err := t.db.WebhookEndpoints(ctx)
		if err != nil {
			return err
		}
		upkeep := time.Since(trimmed) > trimEvery
		if upkeep {
			trimmed = time.Now()
			if err := t.db.HurryLateWebhooks(ctx, trimmed.Add(maxWait), trimmed); err != nil {
				return err
			}
		}
		if t.assign(ctx, endpoints); len(t.workers) == 0 {
			return nil
		}
		if upkeep {
			if err := t.trim(ctx, endpoints); err != nil {
				t.incidents.Report(slog.LevelWarn, "trim", "old attempts of outgoing webhooks could not be removed", slog.Any("error", err))
			}
		}
		sleepUntil(ctx, t.limits.poll, t.ended)
	}
	return nil
}

// trim keeps the latest attempts and failed messages of each endpoint.
func (t *tenure) trim(ctx context.Context, endpoints []store.WebhookEndpoint) error {
	for i := range endpoints {
		if err := t.db.TrimWebhooks(ctx, endpoints[i].ID, keptPerEndpoint); err != nil {
			return err
		}
	}
	return nil
}

// assign stops the workers of endpoints that were changed, disabled or removed, and starts those
// that are missing. A stopped worker first ends its requests, so that two never send to one
// endpoint.
func (t *tenure) assign(ctx context.Context, endpoints []store.WebhookEndpoint) {
	enabled := map[string]*store.WebhookEndpoint{}
	for i := range endpoints {
		if e := &endpoints[i]; e.Enabled {
			enabled[e.ID] = e
		}
	}
	for id, w := range t.workers {
		if e := enabled[id]; e == nil || e.Revision != w.endpoint.Revision {
			w.stop()
		}
		select {
		case <-w.ended:
			delete(t.workers, id)
		default:
		}
	}
	for id, e := range enabled {
		if t.workers[id] == nil {
			t.workers[id] = t.start(ctx, e)
		}
	}
}

// update runs a transaction under the lease, and extends it.
func (t *tenure) update(ctx context.Context, fn func(*store.Tx) error) error {
	return t.db.UpdateLeased(ctx, t.lease, clerk.TimeOf(time.Now()), t.limits.lease, fn)
}
