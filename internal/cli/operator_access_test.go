package cli

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// On an address that other machines reach, everything needs the operator token, except what is
// opened by name.
func TestOperatorListenerAsksOtherMachinesForTheToken(t *testing.T) {
	t.Parallel()
	m, cfg, _, _, _ := explained(t) //nolint:dogsled // the mirror and its settings are enough
	scraped := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	paths := []string{
		"/livez", "/readyz", "/health", "/metrics", "/api/sync", "/api/users", "/api/explain?user_id=user_1", "/debug/pprof/",
		"/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/symbol", "/nothing",
	}
	for _, c := range []struct {
		listen, token, metrics string
		given                  string
		open                   func(path string) bool
	}{
		{"127.0.0.1:8081", longText, "token", "", func(p string) bool { return !strings.HasPrefix(p, "/api/") }},
		{"[::1]:8081", "", "token", "", func(p string) bool { return !strings.HasPrefix(p, "/api/") }},
		{"0.0.0.0:8081", longText, "token", "", func(string) bool { return false }},
		{":8081", longText, "token", "x" + longText, func(string) bool { return false }},
		{"10.0.0.1:8081", longText, "token", longText, func(string) bool { return true }},
		{"[::]:8081", longText, "open", "", func(p string) bool { return p == "/metrics" }},
		{"clerksync.internal:8081", longText, "open", longText, func(string) bool { return true }},
		{":8081", "", "token", "", func(string) bool { return false }}, // which Load refuses
	} {
		served := *cfg
		served.OperatorListen, served.OperatorToken, served.OperatorMetrics = c.listen, c.token, c.metrics
		h := operatorHandler(m, &served, scraped, nil, slog.New(slog.DiscardHandler))
		for _, path := range paths {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.Host = "localhost:8081"
			if c.given != "" {
				r.Header.Set("Authorization", "Bearer "+c.given)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			denied := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
			if denied == c.open(path) {
				t.Errorf("%s, token %q, metrics %s, given %q: %s is answered %d", c.listen, c.token, c.metrics, c.given, path, w.Code)
			}
		}
	}
}

// The console asks by itself, on every listener that has it, and is nowhere else.
func TestConsoleIsWhereOperatorsAre(t *testing.T) {
	t.Parallel()
	m, cfg, _, _, _ := explained(t) //nolint:dogsled // the mirror and its settings are enough
	none := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		listen, console, host string
		public                bool
		want                  int
	}{
		{listen: "127.0.0.1:8081", host: "localhost:8081", want: http.StatusSeeOther},
		{listen: "127.0.0.1:8081", host: "rebound.example:8081", want: http.StatusMisdirectedRequest},
		{listen: ":8081", host: "ops.example.com", want: http.StatusSeeOther},
		{listen: ":8081", console: "off", host: "ops.example.com", want: http.StatusForbidden},
		{listen: "127.0.0.1:8081", public: true, host: "localhost", want: http.StatusNotFound},
		{listen: "public", public: true, host: "auth.example.com", want: http.StatusSeeOther},
		{listen: "public", console: "off", public: true, host: "auth.example.com", want: http.StatusNotFound},
	} {
		served := *cfg
		served.OperatorListen, served.OperatorToken, served.Console = c.listen, longText, c.console
		h := operatorHandler(m, &served, none, nil, slog.New(slog.DiscardHandler))
		if c.public {
			var err error
			if h, err = publicHandler(m, &served, nil, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
		}
		r := httptest.NewRequest(http.MethodGet, "/console/users", http.NoBody)
		r.Host = c.host
		r.Header.Set("Sec-Fetch-Site", "cross-site") // a link in a chat
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || w.Code == http.StatusSeeOther && !strings.HasPrefix(w.Header().Get("Location"), "/console/sign-in?back=") {
			t.Errorf("%+v: answered %d, %s", c, w.Code, w.Header().Get("Location"))
		}
	}
}

// A page of another site gets nothing from the operator listener, on any address and for any path.
func TestOperatorListenerGivesOtherSitesNothing(t *testing.T) {
	t.Parallel()
	m, cfg, _, _, _ := explained(t) //nolint:dogsled // the mirror and its settings are enough
	scraped := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, listen := range []string{"127.0.0.1:8081", ":8081"} {
		served := *cfg
		served.OperatorListen, served.OperatorToken, served.OperatorMetrics = listen, longText, "open"
		h := operatorHandler(m, &served, scraped, nil, slog.New(slog.DiscardHandler))
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/health", "/livez", "/api/sync", "/api/users"} {
			for _, c := range []struct {
				site, origin string
				refused      bool
			}{
				{"", "", false},
				{"none", "", false}, // typed
				{"same-origin", "http://localhost:8081", false},
				{"cross-site", "", true},
				{"same-site", "", true}, // another port of this machine
				{"same-origin", "https://evil.example", true},
				{"", "https://evil.example", true},
				{"", "http://localhost:3000", true},
				{"", "null", true},
				{"Cross-Site", "", true},
			} {
				r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
				r.Host = "localhost:8081"
				r.Header.Set("Authorization", "Bearer "+longText)
				for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Origin": c.origin} {
					if value != "" {
						r.Header.Set(name, value)
					}
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if refused := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "cross_site_request"); refused != c.refused {
					t.Errorf("%s%s, Sec-Fetch-Site %q, Origin %q: %d %.80s", listen, path, c.site, c.origin, w.Code, w.Body)
				}
			}
		}
	}
}
