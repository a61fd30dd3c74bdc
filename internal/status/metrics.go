package status

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// figures are what metrics show of the database.
type figures struct {
	ok      bool
	head    store.Head
	states  map[mirror.DeliveryState]int64
	backlog store.Backlog
	walks   map[string]store.Walk
	size    int64

	consumers []mirror.Consumer
	jobs      map[mirror.JobState]int64 // that wait or run
}

func (m *Monitor) readFigures(ctx context.Context) (f figures) {
	for _, read := range []func() error{
		func() (err error) { f.head, err = m.db.Head(ctx); return err },
		func() (err error) { f.states, err = m.db.CountNotApplied(ctx); return err },
		func() (err error) { f.backlog, err = m.db.Backlog(ctx); return err },
		func() (err error) { f.walks, err = m.db.Walks(ctx); return err },
		func() (err error) { f.size, err = m.db.Size(ctx); return err },
		func() (err error) {
			f.consumers, err = m.db.Consumers(ctx, clerk.TimeOf(m.config.Now()))
			return err
		},
		func() (err error) { f.jobs, err = m.db.CountOpenJobs(ctx); return err },
	} {
		if read() != nil {
			return f
		}
	}
	f.ok = true
	return f
}

// Collect observes the database and the warnings.
func (m *Monitor) Collect(ctx context.Context, o metrics.Observe) {
	f, answered := m.figures.get(ctx)
	f.ok = f.ok && answered
	o(metrics.DatabaseUp, metrics.Bool(f.ok), string(m.db.Engine()))
	for name, pool := range m.db.Pools() {
		o(metrics.DatabaseConnections, float64(pool.InUse), name, "used")
		o(metrics.DatabaseConnections, float64(pool.Idle), name, "idle")
		o(metrics.DatabaseWaits, float64(pool.WaitCount), name)
		o(metrics.DatabaseWaited, pool.WaitDuration.Seconds(), name)
	}
	if r, ok := m.db.Replica(); ok && r.Err == nil {
		o(metrics.ReplicaLag, r.Lag.Seconds())
	}
	for _, w := range m.Health(ctx).Warnings {
		o(metrics.Warnings, 1, w.Code, string(w.Severity))
	}
	if !f.ok { // old figures would look like new ones
		return
	}
	o(metrics.LastEvent, metrics.Seconds(f.head.LastReceivedAt.Time()))
	o(metrics.FeedBehind, float64(max(0, f.head.Seq-m.config.FeedAt())))
	for _, state := range []mirror.DeliveryState{mirror.DeliveryIgnored, mirror.DeliveryQuarantined, mirror.DeliveryDead, mirror.DeliveryDismissed} {
		o(metrics.Deliveries, float64(f.states[state]), string(state))
	}
	o(metrics.DeadOldest, metrics.Seconds(f.backlog.DeadOldest.Time()))
	o(metrics.VerifyQueue, float64(f.backlog.Verify))
	o(metrics.VerifyOldest, metrics.Seconds(f.backlog.VerifyOldest.Time()))
	o(metrics.DatabaseSize, float64(f.size))
	for i := range f.consumers {
		c := &f.consumers[i]
		o(metrics.ConsumerLag, c.LagSeconds, c.Name)
		o(metrics.ConsumerLagChanges, float64(c.LagChanges), c.Name)
		o(metrics.ConsumerHeldBack, float64(c.HeldBack), c.Name)
		o(metrics.ConsumerParked, float64(c.Parked), c.Name)
	}
	o(metrics.JobsOpen, float64(f.jobs[mirror.JobWaiting]), string(mirror.JobWaiting))
	o(metrics.JobsOpen, float64(f.jobs[mirror.JobRunning]+f.jobs[mirror.JobCancelling]), string(mirror.JobRunning))
	if m.config.API == nil {
		return
	}
	for _, kind := range reconcile.Kinds() {
		w, label := f.walks[string(kind)], string(kind)
		o(metrics.Backfilled, metrics.Bool(w.BackfilledAt != 0), label)
		o(metrics.WalkBegan, metrics.Seconds(w.BegunAt.Time()), label)
		o(metrics.WalkCompleted, metrics.Seconds(w.CompleteAt.Time()), label)
		o(metrics.WalkRows, float64(w.Rows), label)
	}
}
