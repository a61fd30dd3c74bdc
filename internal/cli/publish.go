package cli

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/metric"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

// publishers are what publishes the changes of a server.
type publishers struct {
	nats     natsPublisher
	webhooks *outgoing.Publisher
}

func (p *publishers) open(db clerksync.DB, m *clerksync.Mirror, c *config.Config, meters metric.MeterProvider, logger *slog.Logger) (err error) {
	p.webhooks, err = outgoing.New(db, m, outgoing.Options{AllowHosts: c.WebhooksAllow, Logger: logger, MeterProvider: meters})
	return errors.Join(err, p.nats.open(m, c, meters, logger))
}

// start publishes in the background. The function that it returns ends that, and waits for what is
// in flight.
func (p *publishers) start(ctx context.Context) (stop func()) {
	stopNATS := p.nats.start(ctx)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.webhooks.Run(ctx) // it ends with the context alone
	}()
	return func() {
		cancel()
		stopNATS()
		<-ended
	}
}
