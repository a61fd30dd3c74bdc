package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/sqlite"
)

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
