package clerksync_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

// Metrics in your own Prometheus registry: the mirror's metrics are next to those of the
// application, under one route. OpenTelemetry's exporter is the bridge.
func ExampleConfig_metrics() {
	registry := prometheus.NewRegistry() // the application's own
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		log.Fatal(err)
	}
	meters := metric.NewMeterProvider(metric.WithReader(exporter))
	defer meters.Shutdown(context.Background())

	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(context.Background(), db, clerksync.Config{
		MeterProvider: meters, // in production with SecretKey and WebhookSecrets
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) // for operators only

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "clerksync_queue_") {
			fmt.Print(line)
		}
	}
	// Output:
	// clerksync_queue_events 0
	// clerksync_queue_size_bytes 0
}
