package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
)

// Users may use the API of operators with the admin role: by default the last role of a ladder that
// has others, because on a ladder of one everyone has it.
func TestAdminRole(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"CLERKSYNC_ROLES=member":           "",
		"CLERKSYNC_ROLES=solo,admin":       `MinRole("admin")`,
		"CLERKSYNC_ADMIN_ROLE=growth":      `MinRole("growth")`,
		"CLERKSYNC_ADMIN_ROLE=off":         "",
		"CLERKSYNC_OPERATOR_LISTEN=public": `MinRole("admin")`,
	} {
		got := ""
		if rule := adminRule(mustLoad(t, config.Options{Environ: []string{environ}})); rule != nil {
			got = rule.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", environ, got, want)
		}
	}
}

// With CLERKSYNC_OPERATOR_LISTEN=public the public listener has the API, for those who sign in, and
// neither metrics nor profiles. Otherwise it has none of it.
func TestPublicOperatorAPI(t *testing.T) {
	t.Parallel()
	const token = "CLERKSYNC_OPERATOR_TOKEN=" + longText
	_, public, _ := handlers(t, token, "CLERKSYNC_OPERATOR_LISTEN=public")
	_, separate, _ := handlers(t, token)
	ask := func(h http.Handler, method, path, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		r.Host = "auth.example.com"
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, c := range []struct {
		method, path, token string
		status, elsewhere   int
	}{
		{"GET", "/api/users", longText, 200, 404},
		{"GET", "/api/sync", longText, 200, 404},
		{"GET", "/api/changes", longText, 200, 404},
		{"GET", "/api/users", "", 401, 404},
		{"GET", "/api/users", longText + "x", 401, 404},
		{"POST", "/api/explain", "", 401, 404},
		{"POST", "/mcp", longText, 415, 404},
		{"POST", "/mcp", "", 401, 404},
		{"GET", "/mcp", longText, 405, 404},
		{"GET", "/llms.txt", longText, 200, 404},
		{"GET", "/llms.txt", "", 401, 404},
		{"GET", "/llms.txt/", longText, 404, 404},
		{"POST", "/api/users", longText, 405, 404},
		{"GET", "/api/nothing", longText, 404, 404},
		{"GET", "/api/auth/me", longText, 401, 401},
		{"POST", "/api/webhooks/clerk", "", 400, 400},
		{"GET", "/api/webhooks/clerk", longText, 405, 405},
		{"GET", "/health", "", 200, 200},
		{"GET", "/console/sign-in", "", 200, 404},
		{"GET", "/livez", "", 200, 200},
		{"GET", "/metrics", longText, 404, 404},
		{"GET", "/debug/pprof/", longText, 404, 404},
		{"GET", "/debug/pprof/heap", longText, 404, 404},
	} {
		for h, want := range map[*http.Handler]int{&public: c.status, &separate: c.elsewhere} {
			w := ask(*h, c.method, c.path, c.token)
			problem := strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json")
			if w.Code != want || want >= 400 && !problem {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.path, w.Code, w.Body, want)
			}
		}
	}
}
