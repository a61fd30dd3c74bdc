package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/nats"
)

// newNATSPublisher returns the publisher to NATS, nil if none is configured.
func newNATSPublisher(m *clerksync.Mirror, c *config.Config, meters metric.MeterProvider, logger *slog.Logger) (*nats.Publisher, error) {
	if c.NATS.URL == "" {
		return nil, nil
	}
	secured, err := natsTLS(&c.NATS)
	if err != nil {
		return nil, err
	}
	return nats.New(m, nats.Options{
		URL: c.NATS.URL, Credentials: c.NATS.Credentials, TLS: secured, Stream: c.NATS.Stream, SubjectPrefix: c.NATS.Prefix,
		MaxAge: c.ChangesRetention, MeterProvider: meters, Logger: logger,
	})
}

// natsTLS returns nil if nothing is configured.
func natsTLS(c *config.NATS) (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		secured.RootCAs = x509.NewCertPool()
		secured.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	if c.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key))
		if err != nil {
			return nil, fmt.Errorf("the client certificate for NATS: %w", err)
		}
		secured.Certificates = []tls.Certificate{pair}
	}
	return secured, nil
}

// natsPublisher is the publisher of a server, if it has one. Its warnings are those of the mirror,
// which is made before it.
type natsPublisher struct{ atomic.Pointer[nats.Publisher] }

func (p *natsPublisher) open(m *clerksync.Mirror, c *config.Config, meters metric.MeterProvider, logger *slog.Logger) error {
	publisher, err := newNATSPublisher(m, c, meters, logger)
	p.Store(publisher)
	return err
}

func (p *natsPublisher) warnings() []mirror.Warning {
	if publisher := p.Load(); publisher != nil {
		return publisher.Warnings()
	}
	return nil
}

// start publishes in the background. The function that it returns ends that, and waits for what is
// in flight. If the publisher stops by itself, it logs why, and its warning stays.
func (p *natsPublisher) start(ctx context.Context) (stop func()) {
	publisher := p.Load()
	if publisher == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = publisher.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}
