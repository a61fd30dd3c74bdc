package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
)

func testMux() *http.ServeMux {
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	inner := http.NewServeMux()
	inner.Handle("GET /api/known", text(200, "known"))
	mux := http.NewServeMux()
	mux.Handle("GET /things/{id}", text(200, "thing"))
	mux.Handle("POST /things/{id}", text(200, "posted"))
	mux.Handle("GET /own404", text(404, "mine"))
	mux.Handle("GET /own405", text(405, "mine"))
	mux.Handle("GET /tree/", text(200, "tree"))
	mux.Handle("GET /moved", http.RedirectHandler("/things/1", http.StatusTemporaryRedirect))
	mux.Handle("GET /tree/moved", http.RedirectHandler("/things/1", http.StatusTemporaryRedirect))
	mux.Handle("/api/", web.NotFoundAndMethod(inner))
	mux.Handle("/stripped/", http.StripPrefix("/stripped", web.NotFoundAndMethod(inner)))
	return mux
}

func TestNotFoundAndMethod(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method, path string
		status       int
		code         string // of a problem; empty: the handler's own answer
		body, allow  string
	}{
		{"GET", "/things/1", 200, "", "thing", ""},
		{"DELETE", "/things/1", 405, "method_not_allowed", "", "GET, HEAD, POST"},
		{"GET", "/nothing", 404, "not_found", "", ""},
		{"BREW", "/nothing", 404, "not_found", "", ""},
		{"HEAD", "/nothing", 404, "not_found", "", ""},
		{"GET", "/own404", 404, "", "mine", ""},
		{"GET", "/own405", 405, "", "mine", ""},
		{"GET", "/tree", 404, "not_found", "", ""},
		{"GET", "/tree/", 200, "", "tree", ""},
		{"GET", "/tree/a/b", 200, "", "tree", ""},
		{"HEAD", "/tree", 404, "not_found", "", ""},
		{"POST", "/tree", 405, "method_not_allowed", "", "GET, HEAD"},
		{"GET", "/a//b", 404, "not_found", "", ""},
		{"GET", "//things/1", 404, "not_found", "", ""},
		{"POST", "/things//1", 404, "not_found", "", ""},
		{"POST", "/x/../things/1", 404, "not_found", "", ""},
		{"GET", "/./things/1", 404, "not_found", "", ""},
		{"GET", "/things/1/..", 404, "not_found", "", ""},
		{"GET", "/moved", 307, "", "", ""},
		{"GET", "/tree/moved", 307, "", "", ""},
		{"GET", "/api/known", 200, "", "known", ""},
		{"GET", "/api/unknown", 404, "not_found", "", ""},
		{"POST", "/api/known", 405, "method_not_allowed", "", "GET, HEAD"},
		{"GET", "/stripped/api/known", 200, "", "known", ""},
		{"GET", "/stripped/api/unknown", 404, "not_found", "", ""},
	}
	bare := web.NotFoundAndMethod(testMux())
	for name, h := range map[string]http.Handler{"bare": bare, "in the chain": web.Standard(web.Config{}, bare)} {
		for _, tt := range tests {
			t.Run(name+" "+tt.method+" "+tt.path, func(t *testing.T) {
				t.Parallel()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, http.NoBody))
				if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
					t.Errorf("status %d, Allow %q, want %d, %q", w.Code, w.Header().Get("Allow"), tt.status, tt.allow)
				}
				if location := w.Header().Get("Location"); (location != "") != (w.Code == 307) {
					t.Errorf("Location %q with %d", location, w.Code)
				}
				if tt.code == "" {
					if tt.body != "" && w.Body.String() != tt.body {
						t.Errorf("body %q, want %q", w.Body, tt.body)
					}
					return
				}
				if _, body := serve(t, h, httptest.NewRequest(tt.method, tt.path, http.NoBody)); body["code"] != tt.code {
					t.Errorf("body %v, want code %s", body, tt.code)
				}
				if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
					t.Errorf("Content-Type = %q", got)
				}
			})
		}
	}
}

// Code that wraps our writer, as instrumentation does, must not hide it.
func TestNotFoundAndMethodBeneathAForeignWriter(t *testing.T) {
	t.Parallel()
	var logs testenv.Logs
	h := web.NotFoundAndMethod(testMux())
	wrapped := web.Standard(web.Config{Logger: logs.Logger()}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(foreignWriter{w}, r)
	}))
	if _, body := serve(t, wrapped, get("/nothing")); body["code"] != "not_found" {
		t.Errorf("body = %v", body)
	}
	if entries := logs.Entries(t); len(entries) != 1 || entries[0]["code"] != "not_found" || entries[0]["pattern"] != "unmatched" {
		t.Errorf("log = %v", entries)
	}
}

type foreignWriter struct{ w http.ResponseWriter }

func (f foreignWriter) Header() http.Header         { return f.w.Header() }
func (f foreignWriter) Write(p []byte) (int, error) { return f.w.Write(p) }
func (f foreignWriter) WriteHeader(status int)      { f.w.WriteHeader(status) }
func (f foreignWriter) Unwrap() http.ResponseWriter { return f.w }
