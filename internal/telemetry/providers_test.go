package telemetry_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/clerksync/clerksync/internal/telemetry"
)

// collector notes what is sent to it.
type collector struct {
	mu    sync.Mutex
	paths []string
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths = append(c.paths, r.URL.Path)
}

// Metrics and traces are sent where the standard variables say so, and nowhere else. The exporters
// read the environment of the process, so these tests take turns.
func TestOTLP(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string // %: the collector
		want    []string
	}{
		"unset":        {map[string]string{}, nil},
		"both":         {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%"}, []string{"/v1/metrics", "/v1/traces"}},
		"traces alone": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "%/v1/traces"}, []string{"/v1/traces"}},
		"no metrics":   {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%", "OTEL_METRICS_EXPORTER": "none"}, []string{"/v1/traces"}},
		"switched off": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%", "OTEL_SDK_DISABLED": "true"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			collected := &collector{}
			server := httptest.NewServer(collected)
			defer server.Close()
			for variable, value := range c.environ {
				if value[0] == '%' {
					value = server.URL + value[1:]
				}
				t.Setenv(variable, value)
			}
			p, err := telemetry.Start(t.Context(), os.Getenv, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			counter, err := p.Meters().Meter("test").Int64Counter("test")
			if err != nil {
				t.Fatal(err)
			}
			counter.Add(t.Context(), 1)
			_, span := p.Tracers().Tracer("test").Start(t.Context(), "test")
			span.End()
			if err := p.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			slices.Sort(collected.paths)
			if !slices.Equal(slices.Compact(collected.paths), c.want) {
				t.Errorf("sent to %v, want %v", collected.paths, c.want)
			}
		})
	}
}
