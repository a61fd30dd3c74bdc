package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
	"github.com/clerksync/clerksync/webhook"
)

// measured is a mirror of an emulated Clerk that has met an event, a forged one and a bad token,
// and its operator listener.
func measured(t *testing.T) http.Handler {
	t.Helper()
	e, err := emulator.New(emulator.Options{Users: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	cfg, _, err := config.Load(config.Options{Environ: []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL,
		"CLERK_ISSUER=" + keys.Issuer, "CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERKSYNC_NATS_URL=nats://127.0.0.1:1",
		"CLERKSYNC_WEBHOOKS_ALLOW=127.0.0.1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	signals, err := telemetry.Start(t.Context(), func(string) string { return "" }, logger)
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(cfg)
	if err != nil {
		t.Fatal(err)
	}
	settings := mirrorConfig(cfg, logger)
	settings.MeterProvider, settings.TracerProvider = signals.Meters(), signals.Tracers()
	settings.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error { return nil }
	m, err := clerksync.New(t.Context(), db, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	var publish publishers
	if err := publish.open(db, m, cfg, signals.Meters(), logger); err != nil {
		t.Fatal(err)
	}
	endpoint, _, err := publish.webhooks.Add(t.Context(), outgoing.Endpoint{URL: server.URL})
	if err == nil {
		_, err = publish.webhooks.Ping(t.Context(), endpoint.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := m.FetchKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	public, err := publicHandler(m, cfg, nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/metrics": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound} {
		if got := answered(t, public, httptest.NewRequest(http.MethodGet, path, http.NoBody)).StatusCode; got != want {
			t.Errorf("the public listener answers %d for %s", got, path)
		}
	}
	body := fmt.Sprintf(`{"type":"user.created","object":"event","timestamp":%d,"data":{"object":"user","id":"user_1"}}`, time.Now().UnixMilli())
	for _, secret := range []string{keys.WebhookSecret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", strings.NewReader(body))
		signer, err := webhook.NewSigner(secret)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = signer.Sign("msg_1", time.Now(), []byte(body))
		r.Header.Set("Content-Type", "application/json")
		answered(t, public, r)
	}
	if _, err := m.Users().Ban(t.Context(), "user_unknown", mirror.By{Actor: "ada"}); err == nil { // a change that fails counts, too
		t.Fatal("a user who does not exist was banned")
	}
	job, err := m.Jobs().Plan(t.Context(), mirror.JobRequest{Action: mirror.JobReplayDeliveries}, mirror.By{Actor: "ada"})
	if err == nil {
		_, err = m.Jobs().Start(t.Context(), job.ID, mirror.By{Actor: "ada"})
	}
	if err == nil {
		_, err = m.Jobs().Run(t.Context(), job.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	work := func(context.Context, mirror.Change) error {
		stop()
		return nil
	}
	if err := m.Consume(ctx, "mail", work, clerksync.StartAt(mirror.FeedStart)); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/auth/me", http.NoBody)
	r.Header.Set("Authorization", "Bearer none")
	answered(t, public, r)
	return operatorHandler(m, cfg, signals.Handler(), nil, logger)
}

// answered is the answer to a request; of the operators' address unless it names another.
func answered(t *testing.T, h http.Handler, r *http.Request) *http.Response {
	t.Helper()
	if r.Host == "example.com" { // httptest's
		r.Host = "localhost:8081"
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// What Prometheus sees is what the table and docs/metrics.md say: names, types, texts and labels.
func TestExpositionIsAsDocumented(t *testing.T) {
	t.Parallel()
	response := answered(t, measured(t), httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	defer response.Body.Close()
	labels, about := map[string]map[string]bool{}, map[string]string{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if comment, found := strings.CutPrefix(lines.Text(), "# "); found {
			what, text, _ := strings.Cut(comment, " ")
			name, text, _ := strings.Cut(text, " ")
			about[name] += what + " " + text + "\n"
			continue
		}
		series, _, _ := strings.Cut(lines.Text(), " ")
		name, inner, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, found := strings.CutSuffix(name, suffix); found && strings.Contains(about[base], "TYPE histogram") {
				name = base
			}
		}
		if labels[name] == nil {
			labels[name] = map[string]bool{}
		}
		for pair := range strings.SplitSeq(inner, `",`) {
			if label, _, found := strings.Cut(pair, "="); found && label != "le" {
				labels[name][label] = true
			}
		}
	}
	var golden strings.Builder
	for _, m := range metrics.All() {
		name := m.Prometheus()
		if name == "clerksync_read_replica_lag_seconds" { // this server has no replica
			if about[name] != "" {
				t.Errorf("%s is exposed without a replica", name)
			}
			fmt.Fprintf(&golden, "%s %s []\n", name, m.Kind)
			continue
		}
		if want := "HELP " + m.Help + "\nTYPE " + string(m.Kind) + "\n"; about[name] != want {
			t.Errorf("%s is exposed as %q, want %q", name, about[name], want)
		}
		var have []string
		for label := range labels[name] {
			have = append(have, label)
		}
		slices.Sort(have)
		want := slices.Sorted(slices.Values(m.Labels))
		if labels[name] == nil || !slices.Equal(have, want) {
			t.Errorf("%s has the labels %v (none: no series), want %v", name, have, want)
		}
		delete(about, name)
		fmt.Fprintf(&golden, "%s %s %v\n", name, m.Kind, have)
	}
	for name := range about {
		if strings.HasPrefix(name, "clerksync") || strings.HasPrefix(name, "otel") || strings.HasPrefix(name, "target") {
			t.Errorf("%s is exposed and not in the table", name)
		}
	}
	testenv.Golden(t, "testdata/metrics.txt", []byte(golden.String()))
}

// Nothing of a person or a secret is in the exposition, and profiles are there for operators.
func TestMetricsTellOfNobody(t *testing.T) {
	t.Parallel()
	h := measured(t)
	for path, want := range map[string]string{"/metrics": "clerksync_events_total", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		response := answered(t, h, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		body, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, %.200s", path, err, body)
		}
		for _, secret := range []string{"user_1", "sk_test_", "whsec_", "msg_1", "example.com"} {
			if path == "/metrics" && strings.Contains(string(body), secret) {
				t.Errorf("%s tells %s", path, secret)
			}
		}
	}
}

// A page whose name was made to point to a loopback address gets nothing.
func TestOperatorListenerKnowsItsHost(t *testing.T) {
	t.Parallel()
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		listen, host string
		want         int
	}{
		{"127.0.0.1:8081", "127.0.0.1:8081", 200},
		{"127.0.0.1:8081", "localhost:9000", 200}, // through a tunnel
		{"localhost:8081", "[::1]:8081", 200},
		{"[::1]:8081", "[::1]", 200},
		{"127.0.0.1:8081", "evil.example:8081", 421},
		{"127.0.0.1:8081", "localhost.evil.example", 421},
		{"127.0.0.1:8081", "10.0.0.1", 421},
		{"127.0.0.1:8081", "", 421},
		{"10.0.0.1:8081", "clerksync:8081", 200}, // the operator chose who reaches it
		{":8081", "clerksync:8081", 200},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		r.Host = c.host
		w := httptest.NewRecorder()
		ownHost(c.listen, next).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s answers %d for host %q, want %d", c.listen, w.Code, c.host, c.want)
		}
	}
}
