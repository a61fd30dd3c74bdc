package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCORS(t *testing.T) {
	t.Parallel()
	const app = "https://app.example.com"
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, tc := range []struct {
		name, method, origin, asks string
		origins                    []string
		status                     int
		allowed                    string
	}{
		{"a page of ours", "GET", app, "", []string{app}, 418, app},
		{"a refusal reaches the page too", "GET", app, "", []string{"https://other.example.com", app}, 418, app},
		{"a page elsewhere", "GET", "https://evil.example.com", "", []string{app}, 418, ""},
		{"a page whose name only begins alike", "GET", app + ".evil.com", "", []string{app}, 418, ""},
		{"a page in another case", "GET", "https://APP.example.com", "", []string{app}, 418, ""},
		{"a file", "GET", "null", "", []string{app}, 418, ""},
		{"no page at all", "GET", "", "", []string{app}, 418, ""},
		{"a preflight", "OPTIONS", app, "GET", []string{app}, 204, app},
		{"a preflight from elsewhere", "OPTIONS", "https://evil.example.com", "GET", []string{app}, 204, ""},
		{"OPTIONS that is no preflight", "OPTIONS", app, "", []string{app}, 418, app},
		{"nothing configured", "OPTIONS", app, "GET", nil, 418, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tc.method, "/api/auth/me", nil)
			for name, value := range map[string]string{"Origin": tc.origin, "Access-Control-Request-Method": tc.asks} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			CORS(tc.origins, "GET")(reached).ServeHTTP(w, r)
			h := w.Header()
			if w.Code != tc.status || h.Get("Access-Control-Allow-Origin") != tc.allowed {
				t.Errorf("answered %d %v", w.Code, h)
			}
			if len(tc.origins) > 0 && h.Get("Vary") != "Origin" {
				t.Error("a cache would mix up the pages")
			}
			if tc.allowed == "" && len(h) > 3 {
				t.Errorf("more is told than who may not call: %v", h)
			}
		})
	}
}
