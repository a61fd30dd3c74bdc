package clerksync_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
)

// ask sends a request without a server, with a bearer token if one is given.
func ask(t *testing.T, h http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// All public routes can be mounted at once, below any prefix.
func TestHandlerMountsThePublicRoutes(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t))
	for _, prefix := range []string{"", "/clerk", "auth/v1/"} {
		mux := http.NewServeMux()
		below := "/" + strings.Trim(prefix, "/")
		mux.Handle(strings.TrimSuffix(below, "/")+"/", g.m.Handler(clerksync.HandlerOptions{
			Prefix: prefix, CORSOrigins: []string{"https://app.example.com"},
		}))
		below = strings.TrimSuffix(below, "/")
		for _, c := range []struct {
			method, path string
			status       int
			code         string
		}{
			{"POST", "/api/webhooks/clerk", 400, "invalid_signature"},
			{"GET", "/api/webhooks/clerk", 405, "method_not_allowed"},
			{"GET", "/api/auth/me", 401, "authentication_required"},
			{"OPTIONS", "/api/auth/me", 204, ""},
			{"GET", "/health", 200, ""},
			{"GET", "/livez", 200, ""},
			{"GET", "/readyz", 200, ""},
			{"POST", "/health", 405, "method_not_allowed"},
			{"GET", "/nothing", 404, "not_found"},
			{"GET", "/api/sync", 404, "not_found"}, // is for operators
		} {
			r := httptest.NewRequestWithContext(t.Context(), c.method, below+c.path, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			if c.method == http.MethodOptions {
				r.Header.Set("Origin", "https://app.example.com")
				r.Header.Set("Access-Control-Request-Method", "GET")
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != c.status || c.code != "" && !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) {
				t.Errorf("%s %s: %d %s", c.method, below+c.path, w.Code, w.Body)
			}
			if id := w.Header().Get("X-Request-Id"); id == "" || c.code != "" && !strings.Contains(w.Body.String(), `"request_id":"`+id+`"`) {
				t.Errorf("%s %s: request id %q in %s", c.method, below+c.path, id, w.Body)
			}
		}
	}
}

// The handlers set request_id by themselves, in a server that has no chain of ours, and keep an id
// that the application has set.
func TestHandlersSetTheRequestID(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t))
	for name, h := range map[string]http.Handler{
		"me": g.m.MeHandler(), "webhooks": g.m.WebhookHandler(), "require": g.m.Require()(http.NotFoundHandler()),
	} {
		for _, own := range []string{"", "from-the-application"} {
			w := httptest.NewRecorder()
			if own != "" {
				w.Header().Set("X-Request-Id", own)
			}
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			var problem struct {
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatalf("%s: %v in %s", name, err, w.Body)
			}
			if id := w.Header().Get("X-Request-Id"); problem.RequestID == "" || problem.RequestID != id || own != "" && id != own {
				t.Errorf("%s, own id %q: %q in the header, %q in the body", name, own, id, problem.RequestID)
			}
		}
	}
}

// Operators need their token for everything. Without one, everything is denied.
func TestOperatorHandlerDeniesByDefault(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t))
	const token = "0123456789abcdef0123456789abcdef"
	paths := []string{"/health", "/livez", "/readyz", "/nothing"}
	for name, c := range map[string]struct {
		options clerksync.OperatorOptions
		given   string
		open    func(path string) bool
	}{
		"no token is configured": {clerksync.OperatorOptions{}, token, func(string) bool { return false }},
		"no token is given":      {clerksync.OperatorOptions{Token: token}, "", func(string) bool { return false }},
		"another one is given":   {clerksync.OperatorOptions{Token: token}, token + "0", func(string) bool { return false }},
		"it is given":            {clerksync.OperatorOptions{Token: token}, token, func(string) bool { return true }},
		"the health is open": {clerksync.OperatorOptions{Token: token, OpenHealth: true}, "", func(p string) bool {
			return p == "/health" || p == "/livez" || p == "/readyz"
		}},
	} {
		for _, prefix := range []string{"", "/operators"} {
			c.options.Prefix = prefix
			h := g.m.OperatorHandler(c.options)
			for _, path := range paths {
				w := ask(t, h, http.MethodGet, prefix+path, c.given, "")
				if denied := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden; denied == c.open(path) {
					t.Errorf("%s: %s is answered %d", name, prefix+path, w.Code)
				}
			}
		}
	}
	h := g.m.OperatorHandler(clerksync.OperatorOptions{Token: token})
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/health", 200, `"counts":{`},
		{"PUT", "/health", 405, "method_not_allowed"},
		{"GET", "/api/sync", 404, "not_found"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		r.Header.Set("Origin", "https://evil.example")
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "cross_site_request") {
			t.Errorf("another site is answered %d by %s", w.Code, c.path)
		}
	}
}
