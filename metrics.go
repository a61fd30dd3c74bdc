package clerksync

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
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
}

// figuresEvery is how often they are read at most, however many collect.
const figuresEvery = 5 * time.Second

func (m *Mirror) measure() (err error) {
	m.metrics, err = metrics.New(m.config.MeterProvider, m.collect)
	return err
}

// measured takes down a committed batch.
func (m *Mirror) measured(c ingest.Commit) {
	m.metrics.Record(metrics.CommitDuration, c.Took.Seconds())
	m.metrics.Record(metrics.CommitEvents, float64(c.Events))
	for _, lag := range c.Lags {
		m.metrics.Record(metrics.ApplyLag, lag.Seconds())
	}
}

// timed measures and traces a webhook: by the code of the problem, else ok.
func (m *Mirror) timed(next web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		began := time.Now()
		ctx, span := m.tracer.Start(r.Context(), "clerksync.webhook", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		if span.IsRecording() {
			r = r.WithContext(ctx)
		}
		err := next(w, r)
		code := "ok"
		if err != nil {
			code = "error"
			if p, ok := errors.AsType[*web.Problem](err); ok {
				code = p.Code
			}
		}
		span.SetAttributes(attribute.String("clerksync.code", code))
		if code != "ok" {
			span.SetStatus(codes.Error, code)
		}
		m.metrics.Record(metrics.WebhookDuration, time.Since(began).Seconds(), code)
		return err
	}
}

// collect observes everything that is counted anyway.
func (m *Mirror) collect(ctx context.Context, o metrics.Observe) {
	m.collectEvents(o)
	m.collectDatabase(ctx, o)
	m.gate.Collect(o)
	m.instance.Collect(o)
	if m.api != nil {
		collectAPI(m.api.Stats(), o)
	}
	if m.reconciler != nil {
		o(metrics.Swept, metrics.Seconds(m.reconciler.Swept()))
		drifted := m.reconciler.Drifted()
		for _, kind := range reconcile.Kinds() {
			o(metrics.DriftFound, float64(drifted[kind].Found), string(kind))
			o(metrics.DriftRepaired, float64(drifted[kind].Repaired), string(kind))
		}
	}
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, module := range info.Deps { // where this is a library
			if module.Path == modulePath {
				version = module.Version
			}
		}
	}
	o(metrics.Build, 1, version, runtime.Version())
}

const modulePath = "github.com/clerksync/clerksync"

func (m *Mirror) collectEvents(o metrics.Observe) {
	m.ingest.Stats.ByType(func(eventType string, status mirror.Outcome, n int64) {
		o(metrics.Events, float64(n), eventType, string(status))
	})
	waiting, size := m.ingest.Waiting()
	o(metrics.QueueEvents, float64(waiting))
	o(metrics.QueueSize, float64(size))
	o(metrics.Conflicts, float64(m.ingest.Stats.Conflicts.Load()))
	o(metrics.FactsRejected, float64(m.ingest.Stats.FactsRejected.Load()))
	o(metrics.ClockSkew, float64(m.clockSkew.Load()))
}

func (m *Mirror) collectDatabase(ctx context.Context, o metrics.Observe) {
	f, answered := m.figures.get(ctx)
	f.ok = f.ok && answered
	o(metrics.DatabaseUp, metrics.Bool(f.ok), string(m.db.Engine()))
	for name, pool := range m.db.Pools() {
		o(metrics.DatabaseConnections, float64(pool.InUse), name, "used")
		o(metrics.DatabaseConnections, float64(pool.Idle), name, "idle")
		o(metrics.DatabaseWaits, float64(pool.WaitCount), name)
		o(metrics.DatabaseWaited, pool.WaitDuration.Seconds(), name)
	}
	for _, w := range m.Health(ctx).Warnings {
		o(metrics.Warnings, 1, w.Code, string(w.Severity))
	}
	if !f.ok { // old figures would look like new ones
		return
	}
	o(metrics.LastEvent, metrics.Seconds(f.head.LastReceivedAt.Time()))
	o(metrics.FeedBehind, float64(max(0, f.head.Seq-m.gate.FeedAt())))
	for _, state := range []mirror.DeliveryState{mirror.DeliveryIgnored, mirror.DeliveryQuarantined, mirror.DeliveryDead, mirror.DeliveryDismissed} {
		o(metrics.Deliveries, float64(f.states[state]), string(state))
	}
	o(metrics.DeadOldest, metrics.Seconds(f.backlog.DeadOldest.Time()))
	o(metrics.VerifyQueue, float64(f.backlog.Verify))
	o(metrics.VerifyOldest, metrics.Seconds(f.backlog.VerifyOldest.Time()))
	o(metrics.DatabaseSize, float64(f.size))
	if m.reconciler == nil {
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

func (m *Mirror) readFigures(ctx context.Context) (f figures) {
	for _, read := range []func() error{
		func() (err error) { f.head, err = m.db.Head(ctx); return err },
		func() (err error) { f.states, err = m.db.CountNotApplied(ctx); return err },
		func() (err error) { f.backlog, err = m.db.Backlog(ctx); return err },
		func() (err error) { f.walks, err = m.db.Walks(ctx); return err },
		func() (err error) { f.size, err = m.db.Size(ctx); return err },
	} {
		if read() != nil {
			return f
		}
	}
	f.ok = true
	return f
}

func collectAPI(s clerkapi.Stats, o metrics.Observe) {
	o(metrics.APIRequests, float64(s.Requests))
	o(metrics.APIRetries, float64(s.Retries))
	o(metrics.APIRefused, float64(s.TooMany))
	o(metrics.APIFailures, float64(s.Failures))
	o(metrics.APILimit, float64(s.Limit))
	o(metrics.APIBudget, float64(s.Budget))
	o(metrics.APIAllowed, float64(s.Allowed))
	o(metrics.APIUsed, float64(s.Used))
	o(metrics.APIPaused, s.Paused.Seconds())
	o(metrics.APIWaits, float64(s.Waits))
	o(metrics.APIWaited, s.Waited.Seconds())
	o(metrics.BreakerOpen, metrics.Bool(s.Breaker != clerkapi.BreakerClosed))
	o(metrics.BreakerOpens, float64(s.BreakerOpens))
}
