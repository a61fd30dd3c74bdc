package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/examples/metrics"
	"github.com/clerksync/clerksync/sqlite"
)

func TestOneRegistryHasAllMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	deals := prometheus.NewCounter(prometheus.CounterOpts{Name: "deals_total", Help: "Deals."})
	registry.MustRegister(deals)
	deals.Inc()

	clerk := clerktest.New(t)
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metrics.NewMirror(t.Context(), db, clerk.Config(), registry)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	clerk.SendTo(m.WebhookHandler())
	clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	clerktest.AssertConverged(t, clerk, m)

	w := httptest.NewRecorder()
	metrics.Handler(registry).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		"deals_total 1\n",
		`clerksync_events_total{outcome="processed",type="user.created"} 1` + "\n",
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no line %q in\n%s", line, w.Body)
		}
	}
}
