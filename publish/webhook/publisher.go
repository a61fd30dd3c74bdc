package webhook

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

const (
	leaseName = "webhooks"
	leaseTTL  = 30 * time.Second
	// pollEndpoints is how often the process that sends looks for changed endpoints, and pollLease
	// how often the others look whether it is gone.
	pollEndpoints = time.Second
	pollLease     = 2 * time.Second
	// maxConcurrency bounds the requests of a process, and endpointConcurrency those to one
	// endpoint. An endpoint whose last attempt failed gets one request at a time.
	// All endpoints whose last attempt failed have failingConcurrency together.
	maxConcurrency      = 32
	failingConcurrency  = 16
	endpointConcurrency = 8
	// maxBacklog bounds the messages of an endpoint that wait. Beyond it they wait in the change
	// feed.
	maxBacklog = 10_000
	// maxEndpoints bounds the endpoints.
	maxEndpoints = 100
	// keptPerEndpoint is how many attempts and how many failed messages are kept for one endpoint.
	keptPerEndpoint = 10_000
)

// Options configure a [Publisher]. The zero value is ready to use.
type Options struct {
	// AllowHosts are host names or addresses that may be private or loopback, and reached by plain
	// http. A name is compared as a whole, without port. Addresses from which clouds serve
	// credentials, such as 169.254.169.254, are refused even if their host is allowed.
	AllowHosts []string
	// Actor is who operates the endpoints, for the audit. [Publisher.As] says more.
	Actor string
	// Logger gets what operators need to know. The default discards it.
	Logger *slog.Logger
	// MeterProvider provides metrics. The default provides none.
	MeterProvider metric.MeterProvider
}

// Publisher manages endpoints and sends changes to them. It is safe for concurrent use.
type Publisher struct {
	db        *store.DB
	feed      changeFeed
	sender    *sender
	options   Options
	by        mirror.By
	incidents *incident.Log
	metrics   *metrics.Instruments
	holder    string
	limits    limits

	slots, failingSlots chan struct{}
}

// limits are what tests change.
type limits struct {
	backlog, concurrency int
	lease, poll          time.Duration
	connect, attempt     time.Duration
	roots                *x509.CertPool
	resolver             *net.Resolver
}

// or returns the limits with the defaults where they are zero.
func (l limits) or(d limits) limits {
	l.backlog, l.concurrency = cmp.Or(l.backlog, d.backlog), cmp.Or(l.concurrency, d.concurrency)
	l.lease, l.poll = cmp.Or(l.lease, d.lease), cmp.Or(l.poll, d.poll)
	l.connect, l.attempt = cmp.Or(l.connect, d.connect), cmp.Or(l.attempt, d.attempt)
	return l
}

// changeFeed is what a publisher needs of clerksync.Feed.
type changeFeed interface {
	Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error)
}

// New returns a publisher of the changes of a mirror. The database is the one that the mirror was
// made with. New accesses nothing; [Publisher.Run] sends.
func New(database clerksync.DB, m *clerksync.Mirror, o Options) (*Publisher, error) {
	db, err := driver.Of(database)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return newPublisher(db, m.Feed(), o, limits{})
}

func newPublisher(db *store.DB, f changeFeed, o Options, l limits) (*Publisher, error) {
	allowed, err := newHosts(o.AllowHosts)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MeterProvider == nil {
		o.MeterProvider = noop.NewMeterProvider()
	}
	l = l.or(limits{
		backlog: maxBacklog, concurrency: endpointConcurrency, lease: leaseTTL, poll: pollEndpoints, connect: connectTimeout, attempt: attemptTimeout,
	})
	p := &Publisher{
		db: db, feed: f, options: o, by: mirror.By{Actor: o.Actor}, incidents: incident.New(o.Logger), holder: holder.New(),
		sender: newSender(allowed, l), limits: l,
		slots: make(chan struct{}, maxConcurrency), failingSlots: make(chan struct{}, failingConcurrency),
	}
	p.metrics, err = metrics.NewFor(o.MeterProvider, metrics.Outgoing(), p.collect)
	return p, err
}

// As returns the same publisher for an operator: the audit has by for what its methods do.
func (p *Publisher) As(by mirror.By) *Publisher {
	same := *p
	same.by = by
	return &same
}

// Run sends changes to the endpoints until the context ends. Of several processes that share a
// database one sends at a time; the others take over within 30 seconds if it is gone. An endpoint
// that is added or changed by another process is noticed within seconds.
//
// When the context ends, requests under way have three more seconds. What did not end by then is
// sent again by the next process.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.sender.client.CloseIdleConnections()
	defer p.metrics.Close() //nolint:errcheck // what was registered can be unregistered
	for ctx.Err() == nil {
		wanted, err := p.wanted(ctx)
		if err == nil && wanted {
			err = p.lead(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrLeaseHeld) {
			p.incidents.Report(slog.LevelWarn, "lead", "outgoing webhooks wait for the database", slog.Any("error", err))
		}
		_ = wait.For(ctx, pollLease)
	}
	return nil
}

// wanted reports whether there is an endpoint to send to, and no other process that sends.
func (p *Publisher) wanted(ctx context.Context) (bool, error) {
	endpoints, err := p.db.WebhookEndpoints(ctx)
	if err != nil || !slices.ContainsFunc(endpoints, func(e store.WebhookEndpoint) bool { return e.Enabled }) {
		return false, err
	}
	return p.db.LeaseFree(ctx, leaseName, clerk.TimeOf(time.Now()), holder.Dead)
}

// sleepUntil waits, and returns early if the context ends or a channel has an element.
func sleepUntil(ctx context.Context, d time.Duration, c <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c:
	case <-timer.C:
	}
}
