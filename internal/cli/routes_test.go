package cli

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/sqlite"
)

// handlers returns the two listeners of a server with these settings.
func handlers(t *testing.T, environ ...string) (m *clerksync.Mirror, public, operators http.Handler) {
	t.Helper()
	keys := clerktest.New(t).Keys()
	cfg := mustLoad(t, config.Options{WorkingDir: t.TempDir(), Environ: append([]string{
		"CLERK_API_URL=" + keys.APIURL, "CLERK_JWT_KEY=" + keys.PEM, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERK_INSTANCE_ID=" + keys.InstanceID,
	}, environ...)})
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	var logs testenv.Logs
	m, err = clerksync.New(t.Context(), db, mirrorConfig(cfg, logs.Logger()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	public, err = publicHandler(m, cfg, nil, logs.Logger())
	if err != nil {
		t.Fatal(err)
	}
	return m, public, operatorHandler(m, cfg, http.NotFoundHandler(), nil, logs.Logger())
}

// unclean are ways to write a path that a mux would redirect to it, and others that come near.
func unclean(path string) []string {
	last := strings.LastIndexByte(path, '/')
	return []string{
		"/" + path, path + "/", path + "//", path + "/.", path + "/x/..", "/." + path, "/x/.." + path, "/.." + path, "//host" + path,
		path[:last] + "/" + path[last:], path[:last] + "/." + path[last:], path[:last] + "/%2e" + path[last:], path + "/%2e", "/%2f" + path, `/\` + path,
		"http://other.example.com/" + path, "//" + path + "?a=b",
	}
}

// D4: no route answers with a redirect, however its path is written: the sender of a webhook and a
// proxy that asks do not follow one, or hand it to the client.
func TestNoRouteRedirects(t *testing.T) {
	t.Parallel()
	_, public, operators := handlers(t, "CLERKSYNC_TRUSTED_PROXIES=192.0.2.1", "CLERKSYNC_CORS_ORIGINS=https://app.example.com",
		"CLERKSYNC_POLICY=routes: [{path: /public/**, public: true}]")
	listeners := map[string]struct {
		handler http.Handler
		host    string
		paths   []string
	}{
		"public": {public, "example.com", []string{
			"/api/webhooks/clerk", "/api/auth/me", "/api/auth/verify", "/api/auth/verify/public/x", "/livez", "/readyz", "/health", "/debug/pprof/heap", "",
		}},
		"operators": {operators, "127.0.0.1:8081", []string{
			"/livez", "/readyz", "/health", "/api/explain", "/api/sync", "/api/changes", "/api/users", "/api/users/user_1", "/api/deliveries/", "/metrics", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/symbol",
		}},
	}
	for name, l := range listeners {
		for _, path := range l.paths {
			targets := []string{path + "/", path, ""}
			if path != "" {
				targets = append(targets, unclean(path)...)
			}
			for _, target := range targets {
				for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "CONNECT", "PROPFIND"} {
					w := answerTo(t, l.handler, l.host, method, target)
					problem := w.Header().Get("Content-Type") == "application/problem+json"
					if w.Code >= 300 && w.Code < 400 || w.Header().Get("Location") != "" || w.Code >= 400 && !problem && !strings.HasPrefix(path, "/debug") && path != "/metrics" {
						t.Errorf("%s: %s %q: %d %v", name, method, target, w.Code, w.Header())
					}
				}
			}
		}
	}
	for _, target := range []string{"//api/auth/verify", "/api//auth/verify", "/x/../api/auth/verify", "/api/auth/verify//", "/api/auth/verify/../verify", "/api/auth/./verify"} {
		if w := answerTo(t, public, "example.com", "GET", target); w.Code != 403 && w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	for _, target := range []string{"/api/webhooks/clerk/", "//api/webhooks/clerk", "/api/webhooks//clerk"} {
		if w := answerTo(t, public, "example.com", "POST", target); w.Code != 404 {
			t.Errorf("POST %s: %d", target, w.Code)
		}
	}
}

// answerTo asks as net/http reads a request line, without a client that would clean the path.
func answerTo(t *testing.T, h http.Handler, host, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		u = &url.URL{Path: target}
	}
	if strings.HasPrefix(target, "//") { // a server takes no host from there
		path, query, _ := strings.Cut(target, "?")
		u = &url.URL{Path: path, RawQuery: query}
	}
	r := &http.Request{Method: method, URL: u, RequestURI: target, Host: host, RemoteAddr: "192.0.2.1:1", Header: http.Header{}, Body: http.NoBody}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(t.Context()))
	return w
}

// D1: where proxies are answered without a policy, health says so.
func TestHealthWarnsOfNoPolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		warned  bool
	}{
		"nothing":         {nil, false},
		"proxies":         {[]string{"CLERKSYNC_TRUSTED_PROXIES=192.0.2.1"}, true},
		"proxies, policy": {[]string{"CLERKSYNC_TRUSTED_PROXIES=192.0.2.1", "CLERKSYNC_POLICY=routes: [{path: /x}]"}, false},
	} {
		m, public, _ := handlers(t, c.environ...)
		warned := false
		for _, w := range m.Health(t.Context()).Warnings {
			warned = warned || w.Code == "no_policy"
		}
		body := answerTo(t, public, "example.com", "GET", "/health").Body.String()
		if warned != c.warned || strings.Contains(body, `"no_policy"`) != c.warned {
			t.Errorf("%s: warned %v, want %v; %s", name, warned, c.warned, body)
		}
	}
}
