package metrics_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestNames(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^clerksync(\.[a-z][a-z_]*)+$`)
	seen := map[string]bool{}
	for _, m := range metrics.All() {
		if !form.MatchString(m.Name) || seen[m.Prometheus()] || m.Help == "" || m.Unit == "" {
			t.Errorf("%+v: the name is odd or taken, or something is missing", m)
		}
		seen[m.Prometheus()] = true
	}
}

const docsHead = `# Metrics

` + "`clerksync serve`" + ` shows these at ` + "`/metrics`" + ` of the operator listener (` + "`CLERKSYNC_OPERATOR_LISTEN`" + `, 127.0.0.1:8081 unless told), beside
those of the Go runtime and the process. On a loopback address it asks for no password. On any other address it asks for the operator
token (` + "`Authorization: Bearer …`" + `, in Prometheus ` + "`authorization.credentials_file`" + `), unless ` + "`CLERKSYNC_OPERATOR_METRICS=open`" + `. With
` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + ` (or ` + "`…_METRICS_ENDPOINT`, `…_TRACES_ENDPOINT`" + `) they are sent by OTLP over HTTP as well, under the same names
with dots. In the library they go to ` + "`Config.MeterProvider`" + `.

Labels have few values, and none names a person. Alerts and a dashboard to begin with are in
[monitoring](monitoring). Names are stable.

<!-- written by go test ./internal/metrics -update -->

| Prometheus | OpenTelemetry | Type | Labels | |
|---|---|---|---|---|
`

// docs/metrics.md is written from the table.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(docsHead)
	for _, m := range metrics.All() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", m.Prometheus(), m.Name, m.Kind, strings.Join(m.Labels, ", "), m.Help)
	}
	testenv.Golden(t, filepath.Join(testenv.Root(t), "docs", "metrics.md"), []byte(b.String()))
}

// Alerts and dashboard use metrics that there are.
func TestMonitoringUsesTheTable(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range metrics.All() {
		known[m.Prometheus()] = true
		if m.Kind == metrics.Histogram {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[m.Prometheus()+suffix] = true
			}
		}
	}
	name := regexp.MustCompile(`\bclerksync_[a-z_]+`)
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "monitoring", file))
		if err != nil {
			t.Fatal(err)
		}
		found := name.FindAllString(string(text), -1)
		if len(found) < 5 {
			t.Errorf("%s uses %v: this test looks for the wrong thing", file, found)
		}
		for _, n := range found {
			if !known[n] {
				t.Errorf("%s uses %s, which is not in the table", file, n)
			}
		}
	}
}
