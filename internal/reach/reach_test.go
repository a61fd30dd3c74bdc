package reach_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/reach"
)

// What really happens on the way to a server is explained.
func TestExplain(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusProxyAuthRequired)
		}
	}))
	t.Cleanup(plain.Close)
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	proxy := func(address string) func(*http.Transport) {
		return func(c *http.Transport) {
			c.Proxy = func(r *http.Request) (*url.URL, error) { return r.URL.Parse(address) }
		}
	}
	trusting := func(when time.Time, name string) func(*http.Transport) {
		return func(c *http.Transport) {
			c.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			c.TLSClientConfig.ServerName = name
			c.TLSClientConfig.Time = func() time.Time { return when }
		}
	}
	for name, c := range map[string]struct {
		url             string
		change          func(*http.Transport)
		problem, remedy string
	}{
		"no such host":       {"https://no-such-host.invalid", nil, "cannot be found: ", "/etc/resolv.conf"},
		"nothing listens":    {"http://127.0.0.1:1", nil, "refuses the connection", "firewall"},
		"hangs":              {"http://" + silent.Addr().String(), nil, "does not answer in time", "firewall"},
		"unknown authority":  {secure.URL, nil, "does not trust", "SSL_CERT_FILE"},
		"another name":       {secure.URL, trusting(time.Now(), "other.example.org"), "another host name", "Correct the URL"},
		"clock far off":      {secure.URL, trusting(time.Unix(7e9, 0), "example.com"), "not valid now", "clock"},
		"no TLS":             {strings.Replace(plain.URL, "http:", "https:", 1), nil, "does not speak TLS", "port"},
		"proxy away":         {"https://api.example.com", proxy("http://127.0.0.1:1"), "through the proxy: connection refused", "HTTPS_PROXY"},
		"proxy wants a name": {"https://api.example.com", proxy(plain.URL), "the proxy answers Proxy Authentication Required", "HTTPS_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
			if c.change != nil {
				c.change(transport)
			}
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			if name == "hangs" {
				client.Timeout = 100 * time.Millisecond
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err == nil {
				_ = response.Body.Close()
				t.Fatal("it was reached")
			}
			problem, remedy := reach.Explain(err)
			if !strings.Contains(problem, c.problem) || !strings.Contains(remedy, c.remedy) {
				t.Errorf("%v is explained as %q, %q", err, problem, remedy)
			}
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 300_000_000, time.UTC)
	for name, c := range map[string]struct {
		date, age string
		took      time.Duration
		want      time.Duration
	}{
		"it agrees":                {"Wed, 01 Jul 2026 12:00:00 GMT", "", 200 * time.Millisecond, 0},
		"less than is noticed":     {"Wed, 01 Jul 2026 11:59:56 GMT", "", 0, 0},
		"ahead":                    {"Wed, 01 Jul 2026 11:59:50 GMT", "", 0, 10 * time.Second},
		"behind":                   {"Wed, 01 Jul 2026 12:06:00 GMT", "", 0, -6 * time.Minute},
		"from a cache":             {"Wed, 01 Jul 2026 11:59:00 GMT", "60", 0, 0},
		"the answer took its time": {"Wed, 01 Jul 2026 11:59:55 GMT", "", 3 * time.Second, 0},
		"it took too long":         {"Wed, 01 Jul 2026 10:00:00 GMT", "", 5 * time.Second, 0},
		"no date":                  {"", "", 0, 0},
	} {
		var clock reach.Clock
		clock.Observe(now, now.Add(c.took), http.Header{"Date": {c.date}, "Age": {c.age}})
		if got := clock.Ahead(); got != c.want {
			t.Errorf("%s: ahead by %s, want %s", name, got, c.want)
		}
	}
	var none *reach.Clock
	none.Observe(now, now, http.Header{}) // compares nothing
}
