package cli

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/sqlite"
)

// publicHandlerOf returns what a server with a configuration serves to all, on a database of its
// own.
func publicHandlerOf(t *testing.T, cfg *config.Config) http.Handler {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, mirrorConfig(cfg, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	h, err := publicHandler(m, cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// An OAuth client that is refused behind the proxy is told where the metadata of the resource is,
// which the server itself has.
func TestServerNamesTheMetadataOfResources(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	keys := clerk.Keys()
	cfg := mustLoad(t, config.Options{WorkingDir: t.TempDir(), Environ: []string{
		"CLERK_API_URL=" + keys.APIURL, "CLERK_JWT_KEY=" + keys.PEM, "CLERK_ISSUER=" + keys.Issuer, "CLERKSYNC_TRUSTED_PROXIES=192.0.2.1",
		"CLERKSYNC_OAUTH_RESOURCES=https://api.example.com/mcp,https://api.example.com/mcp/inner",
		"CLERKSYNC_POLICY=routes: [{path: /mcp/**, require: {accept: oauth}}, {path: /app/**}]",
	}})
	h := publicHandlerOf(t, cfg)
	const known = "/.well-known/oauth-protected-resource"
	for at, want := range map[string]string{
		"api.example.com/mcp": known + "/mcp", "api.example.com:443/mcp/x?y": known + "/mcp", "API.example.com/mcp/inner/x": known + "/mcp/inner",
		"other.example.com/mcp": "", "api.example.com/app/x": "",
	} {
		host, path, _ := strings.Cut(at, "/")
		r := httptest.NewRequest(http.MethodGet, "/api/auth/verify", nil)
		for name, value := range map[string]string{"X-Original-Method": "POST", "X-Original-URI": "/" + path, "X-Forwarded-Host": host} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		challenge := "Bearer"
		if want != "" {
			challenge += ` resource_metadata="https://api.example.com` + want + `"`
		}
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != challenge {
			t.Errorf("%s: %d %q, want %q", at, w.Code, w.Header().Get("WWW-Authenticate"), challenge)
		}
		if want == "" {
			continue
		}
		w = httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, want, nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), keys.Issuer) {
			t.Errorf("%s: %d %s", want, w.Code, w.Body)
		}
	}
}

// The metadata of resources that have one path on different hosts is that of the host, and names
// the scopes of the policy. A resource that is listed twice is one.
func TestServerHasTheMetadataOfEachHost(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	keys := clerk.Keys()
	cfg := mustLoad(t, config.Options{WorkingDir: t.TempDir(), Environ: []string{
		"CLERK_API_URL=" + keys.APIURL, "CLERK_JWT_KEY=" + keys.PEM, "CLERK_ISSUER=" + keys.Issuer,
		"CLERKSYNC_OAUTH_RESOURCES=https://a.example.com/mcp,https://b.example.com/mcp,https://b.example.com:8443/mcp,https://b.example.com/mcp/," +
			"https://a.example.com/mcp,https://b.example.com/other",
		"CLERKSYNC_POLICY=routes: [{path: /mcp/**, require: {accept: oauth, scope: deals:read}}, {path: /app/**, require: {accept: oauth, scope: app}}]",
	}})
	h := publicHandlerOf(t, cfg)
	for at, want := range map[string]string{
		"a.example.com/mcp": "https://a.example.com/mcp [deals:read]", "A.EXAMPLE.com:443/mcp": "https://a.example.com/mcp [deals:read]",
		"b.example.com/mcp": "https://b.example.com/mcp [deals:read]", "b.example.com:8443/mcp": "https://b.example.com:8443/mcp [deals:read]",
		"b.example.com/mcp/": "https://b.example.com/mcp [deals:read]", "c.example.com/mcp": " []",
		"c.example.com/other": "https://b.example.com/other []",
	} {
		host, path, _ := strings.Cut(at, "/")
		r := httptest.NewRequest(http.MethodGet, "/.well-known/oauth-protected-resource/"+path, nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var got struct {
			Resource string
			Scopes   []string `json:"scopes_supported"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || fmt.Sprintf("%s %v", got.Resource, got.Scopes) != want {
			t.Errorf("%s: %d %s, want %s", at, w.Code, w.Body, want)
		}
	}
}

// The server answers checks before its mux, which would redirect what is not clean.
func TestServerVerifies(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	keys := clerk.Keys()
	cfg := mustLoad(t, config.Options{WorkingDir: t.TempDir(), Environ: []string{
		"CLERK_API_URL=" + keys.APIURL, "CLERK_JWT_KEY=" + keys.PEM, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERK_INSTANCE_ID=" + keys.InstanceID, "CLERKSYNC_TRUSTED_PROXIES=192.0.2.1",
		"CLERKSYNC_IDENTITY_SECRET=" + longText, "CLERKSYNC_POLICY=routes: [{path: /public/**, public: true}, {path: /app/**, require: {min_role: growth}}]",
	}})
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	var logs testenv.Logs
	m, err := clerksync.New(t.Context(), db, mirrorConfig(cfg, logs.Logger()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	h, err := publicHandler(m, cfg, nil, logs.Logger())
	if err != nil {
		t.Fatal(err)
	}
	clerk.SendTo(m.WebhookHandler())
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	token := clerk.Token(ada)
	clerk.Settle()
	for target, status := range map[string]int{
		"/app/x": 200, "/app": 200, "/app/../app/x": 403, "//app/x": 403, "/nowhere": 403, "/public/x": 200, "/": 403,
	} {
		for _, envoy := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodGet, "/api/auth/verify", nil)
			if envoy {
				r = httptest.NewRequest(http.MethodGet, "/api/auth/verify"+target, nil)
			} else {
				r.Header.Set("X-Original-Method", "GET")
				r.Header.Set("X-Original-URI", target)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != status || status == 200 && (w.Header().Get("X-Clerk-Role") != "growth" || w.Header().Get("X-Clerk-Identity") == "") {
				t.Errorf("%s, envoy %v: %d %v", target, envoy, w.Code, w.Header())
			}
		}
	}
	for _, entry := range logs.Entries(t) {
		if entry["msg"] == "request" && entry["pattern"] == "unmatched" {
			t.Errorf("a check has no pattern in the log: %v", entry)
		}
	}
}

// "Why was this user denied?" is one grep for the user's id: each check is one line that names the
// user, the decision, the reason, the route, and the original request without its query.
func TestWhyAUserWasDeniedIsOneGrep(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	keys := clerk.Keys()
	cfg := mustLoad(t, config.Options{WorkingDir: t.TempDir(), Environ: []string{
		"CLERK_API_URL=" + keys.APIURL, "CLERK_JWT_KEY=" + keys.PEM, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERK_INSTANCE_ID=" + keys.InstanceID, "CLERKSYNC_TRUSTED_PROXIES=192.0.2.1",
		"CLERKSYNC_POLICY=routes: [{path: /public/**, public: true}, {path: /app/**, require: {min_role: growth}}, {path: /never, deny: true}]",
	}})
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	var logs testenv.Logs
	logger, err := telemetry.NewLogger(&logs, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, mirrorConfig(cfg, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	h, err := publicHandler(m, cfg, nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	clerk.SendTo(m.WebhookHandler())
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	bob, eve := clerk.CreateUser(clerktest.User{Email: "bob@example.com"}), clerk.CreateUser(clerktest.User{Email: "eve@example.com"})
	tokens := map[string]string{ada: clerk.Token(ada), bob: clerk.Token(bob), eve: clerk.Token(eve), "": "eyJhbGciOiJub25lIn0.e30.forged"}
	clerk.Ban(eve)
	clerk.Settle()
	for _, c := range []struct{ token, method, target, peer, want string }{
		{ada, "GET", "/app/x?token=s3cr3t", "", "allowed " + ada + " GET /app/x /app/** <nil> <nil>"},
		{bob, "POST", "/app/x?token=s3cr3t#s3cr3t", "", "denied " + bob + " POST /app/x /app/** forbidden role"},
		{bob, "GET", "/app/ada@example.com", "", "denied " + bob + " GET [redacted] /app/** forbidden role"},
		{eve, "GET", "/app/x", "", "denied " + eve + " GET /app/x /app/** user_inactive <nil>"},
		{eve, "GET", "/public/x", "", "allowed  GET /public/x /public/** <nil> <nil>"},
		{"", "GET", "/app/x", "", "denied  GET /app/x /app/** invalid_token malformed"},
		{"", "GET", "/public/x", "", "allowed  GET /public/x /public/** <nil> <nil>"},
		{ada, "GET", "/never", "", "denied  GET /never /never forbidden denied"},
		{ada, "GET", "/nowhere", "", "denied  GET /nowhere  forbidden no_route"},
		{ada, "BREW", "/app/x", "", "denied  other /app/x  forbidden no_route"},
		{ada, "GET", "/app/..;s3cr3t", "", "denied  GET /app/..  forbidden unsafe_path"},
		{ada, "GET", "/app/%3Fs3cr3t", "", "denied  GET /app/  forbidden unsafe_path"},
		{ada, "GET", "/app/%253Fs3cr3t", "", "denied  GET /app/  forbidden unsafe_path"},
		{ada, "GET", "", "", "denied  <nil> <nil> <nil> forbidden original_request"},
		{ada, "GET", "/app/x", "203.0.113.9:1", "denied  <nil> <nil> <nil> forbidden untrusted_proxy"},
	} {
		before := len(logs.String())
		r := httptest.NewRequest(http.MethodGet, "/api/auth/verify", nil)
		if c.peer != "" {
			r.RemoteAddr = c.peer
		}
		r.Header.Set("X-Original-Method", c.method)
		if c.target != "" {
			r.Header.Set("X-Original-URI", c.target)
		}
		r.Header.Set("Authorization", "Bearer "+tokens[c.token])
		h.ServeHTTP(httptest.NewRecorder(), r)
		var line map[string]any
		for text := range strings.Lines(logs.String()[before:]) {
			if line = nil; json.Unmarshal([]byte(text), &line) == nil && line["msg"] == "request" {
				break
			}
		}
		got := fmt.Sprintf("%v %v %v %v %v %v %v", line["decision"], line["user"], line["original_method"], line["original_path"], line["route"], line["code"], line["reason"])
		if got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.target, got, c.want)
		}
	}
	logs.MustNotContain(t, "s3cr3t", "eyJ", "ada@example.com")
}
