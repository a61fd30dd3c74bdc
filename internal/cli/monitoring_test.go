package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
)

// Each alert of docs/monitoring fires when it must and is silent when it must be: alerts_test.yaml
// says when, and promtool judges.
func TestAlertsFireWhenTheyMust(t *testing.T) {
	t.Parallel()
	folder, promtool := filepath.Join(testenv.Root(t), "docs", "monitoring"), testenv.Prometheus(t, "promtool")
	for _, arguments := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, arguments...)
		cmd.Dir = folder
		if output, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(output), "SUCCESS") {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
	tests := string(testenv.Fixture(t, "docs/monitoring/alerts_test.yaml"))
	for line := range strings.Lines(string(testenv.Fixture(t, "docs/monitoring/alerts.yaml"))) {
		_, name, found := strings.Cut(strings.TrimSpace(line), "- alert: ")
		if !found {
			continue
		}
		if silent, all := strings.Count(tests, "alertname: "+name+", exp_alerts: []"), strings.Count(tests, "alertname: "+name); silent == 0 || silent == all {
			t.Errorf("%s: %d of %d tests want silence; there must be tests of both kinds", name, silent, all)
		}
	}
}

// dashboard is what the tests read of docs/monitoring/dashboard.json.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Query string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Datasource  struct{ Type, UID string }
		GridPos     struct{ X, Y, W, H int }
		FieldConfig struct{ Defaults struct{ Unit string } }
		Targets     []struct{ Expr, RefID, LegendFormat string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal(testenv.Fixture(t, "docs/monitoring/dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Grafana itself is not to be had from Debian, so this checks the form of the dashboard: what
// Grafana needs to show each panel, and that no panel hides another.
func TestDashboardIsWellFormed(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.Title == "" || d.UID == "" || d.SchemaVersion == 0 || len(d.Panels) == 0 {
		t.Fatalf("the dashboard is %+v", d)
	}
	if v := d.Templating.List; len(v) != 1 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[0].Query != "prometheus" {
		t.Errorf("the variables are %+v", v)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || !slices.Contains([]string{"stat", "timeseries"}, p.Type) {
			t.Errorf("the panel %d %q has the type %q; ids must differ", p.ID, p.Title, p.Type)
		}
		ids[p.ID] = true
		if p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: the data source is %+v", p.Title, p.Datasource)
		}
		if !slices.Contains([]string{"s", "short", "reqps", "bytes", "percentunit"}, p.FieldConfig.Defaults.Unit) {
			t.Errorf("%s: the unit is %q", p.Title, p.FieldConfig.Defaults.Unit)
		}
		if g := p.GridPos; g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s is at %+v; a row has 24 columns", p.Title, g)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s covers %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		letters := map[string]bool{}
		for _, target := range p.Targets {
			if target.Expr == "" || target.RefID == "" || letters[target.RefID] {
				t.Errorf("%s: the query %+v", p.Title, target)
			}
			letters[target.RefID] = true
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
	}
}

// A Prometheus server scrapes a server that has met a bit of everything, with the alerts as its
// rules. It understands every expression of the dashboard and finds series for it, and evaluates
// every alert.
func TestPrometheusUnderstandsAlertsAndDashboard(t *testing.T) {
	t.Parallel()
	scraped := httptest.NewServer(measured(t))
	t.Cleanup(scraped.Close)
	prometheus := startPrometheus(t, scraped.URL)
	type queried struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	ask := func(expression string) (got queried) {
		fetchJSON(t, prometheus+"/api/v1/query?"+url.Values{"query": {expression}}.Encode(), &got)
		return got
	}
	until(t, "three scrapes", func() bool { return len(ask(`count_over_time(clerksync_build_info[1m]) >= 3`).Data.Result) == 1 })
	empty := map[string]string{ // panels without data, and why
		"Oldest whole comparison, ago": "this server has never walked; 0 would be shown as decades",
	}
	asked := 0
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			asked++
			got := ask(strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"))
			if got.Status != "success" || (len(got.Data.Result) == 0) != (empty[p.Title] != "") {
				t.Errorf("%s: %s: %s %s, %d series", p.Title, target.Expr, got.Status, got.Error, len(got.Data.Result))
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d expressions were asked", asked)
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	judged := func() (healthy int) {
		fetchJSON(t, prometheus+"/api/v1/rules", &rules)
		for _, g := range rules.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("%s: %s", r.Name, r.LastError)
				}
				if r.Health == "ok" {
					healthy++
				}
			}
		}
		return healthy
	}
	alerts := strings.Count(string(testenv.Fixture(t, "docs/monitoring/alerts.yaml")), "- alert: ")
	until(t, "each alert is evaluated", func() bool { return judged() == alerts })
}

// startPrometheus starts a Prometheus server that scrapes each 200 ms, and returns its URL.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	folder := t.TempDir()
	config := fmt.Sprintf(`global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 500ms}
rule_files: [%s]
scrape_configs: [{job_name: clerksync, static_configs: [{targets: [%s]}]}]
`, filepath.Join(testenv.Root(t), "docs", "monitoring", "alerts.yaml"), strings.TrimPrefix(target, "http://"))
	file := filepath.Join(folder, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address, err := freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, testenv.Prometheus(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	var output strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &output, &output, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus says:\n%s", &output)
		}
	})
	until(t, "Prometheus is ready", func() bool {
		r, err := get(t, "http://"+address+"/-/ready")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return "http://" + address
}

// until waits until something holds, for half a minute at most.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

// get sends a GET request that takes ten seconds at most. The caller closes the body.
func get(t *testing.T, address string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	return (&http.Client{Timeout: 10 * time.Second}).Do(r)
}

func fetchJSON(t *testing.T, address string, into any) {
	t.Helper()
	r, err := get(t, address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
