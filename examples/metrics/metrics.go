// Package metrics shows how to have the metrics of a mirror in your own Prometheus registry, next
// to those of your application. OpenTelemetry's exporter is the bridge.
package metrics

import (
	"context"
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/clerksync/clerksync"
)

// NewMirror returns a mirror whose metrics are registered with a registry of the application. Open
// one mirror for each registry: two would register the same names.
func NewMirror(
	ctx context.Context, db clerksync.DB, config clerksync.Config, registry prometheus.Registerer,
) (*clerksync.Mirror, error) {
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry),
		otelprometheus.WithoutScopeInfo(), // fewer labels: docs/metrics.md lists the names that remain
		otelprometheus.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	config.MeterProvider = metric.NewMeterProvider(metric.WithReader(exporter))
	return clerksync.New(ctx, db, config)
}

// Handler serves all metrics of the registry. Mount it where only operators reach it.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
