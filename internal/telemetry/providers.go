package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/buildinfo"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Providers collect the metrics and traces of a process. Metrics are always at hand for Prometheus;
// both are sent by OTLP over HTTP where the standard variables OTEL_EXPORTER_OTLP_… name an
// endpoint.
type Providers struct {
	meters   *sdkmetric.MeterProvider
	tracer   *sdktrace.TracerProvider // nil: no traces
	registry *prometheus.Registry
	sends    []string
}

// maxSeries bounds the series of one metric, in case a label has more values than expected.
const maxSeries = 1000

// Start returns the providers. getenv reads OTEL_SDK_DISABLED, OTEL_…_EXPORTER (otlp or none) and
// the endpoints; all other OTEL_… variables are read by the exporters, from the environment of the
// process.
func Start(ctx context.Context, getenv func(string) string, logger *slog.Logger) (*Providers, error) {
	p := &Providers{registry: prometheus.NewRegistry()}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	toPrometheus, err := exporter.New(exporter.WithRegisterer(p.registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics for Prometheus: %w", err)
	}
	here, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "clerksync"), attribute.String("service.version", buildinfo.Read().Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	options := []sdkmetric.Option{
		sdkmetric.WithResource(here), sdkmetric.WithReader(toPrometheus), sdkmetric.WithCardinalityLimit(maxSeries),
	}
	if sends(getenv, "METRICS") {
		to, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("metrics by OTLP: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(to)))
		p.sends = append(p.sends, "metrics")
	}
	p.meters = sdkmetric.NewMeterProvider(options...)
	if sends(getenv, "TRACES") {
		to, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("traces by OTLP: %w", err), p.meters.Shutdown(ctx))
		}
		p.tracer = sdktrace.NewTracerProvider(sdktrace.WithBatcher(to), sdktrace.WithResource(here))
		p.sends = append(p.sends, "traces")
	}
	if len(p.sends) > 0 {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("telemetry cannot be sent", "error", err) }))
		logger.Info("telemetry is sent by OTLP", "signals", p.sends)
	}
	return p, nil
}

// sends reports whether a signal, METRICS or TRACES, is sent, which needs an endpoint.
func sends(getenv func(string) string, signal string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	endpoint := getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT")
	how := getenv("OTEL_" + signal + "_EXPORTER")
	return endpoint != "" && (how == "" || how == "otlp")
}

// Meters returns the provider of metrics.
func (p *Providers) Meters() metric.MeterProvider { return p.meters }

// Tracers returns the provider of traces. It drops traces that are not sent.
func (p *Providers) Tracers() trace.TracerProvider {
	if p.tracer == nil {
		return noop.NewTracerProvider()
	}
	return p.tracer
}

// Handler returns the handler that Prometheus scrapes. It needs no password, so do not serve it
// publicly.
func (p *Providers) Handler() http.Handler {
	return promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Shutdown sends what is pending, until the context ends.
func (p *Providers) Shutdown(ctx context.Context) error {
	err := p.meters.Shutdown(ctx)
	if p.tracer != nil {
		err = errors.Join(err, p.tracer.Shutdown(ctx))
	}
	return err
}
