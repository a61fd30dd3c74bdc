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

const (
	tableMarker = "<!-- written by go test ./internal/metrics -update -->"
	tableHead   = "\n\n| Prometheus | OpenTelemetry | Type | Labels | |\n|---|---|---|---|---|\n"
)

// What follows the marker in docs/metrics.md is written from the table.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	text, _, _ := strings.Cut(string(testenv.Fixture(t, "docs/metrics.md")), tableMarker)
	b.WriteString(text + tableMarker + tableHead)
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
