package web_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
)

func TestChainOrder(t *testing.T) {
	t.Parallel()
	var got []string
	named := func(name string) web.Middleware {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = append(got, name)
				h.ServeHTTP(w, r)
			})
		}
	}
	h := web.Chain(http.NotFoundHandler(), named("outer"), named("middle"), named("inner"))
	h.ServeHTTP(httptest.NewRecorder(), get("/"))
	if diff := cmp.Diff([]string{"outer", "middle", "inner"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, inbound string
		kept          bool
	}{
		{"none", "", false},
		{"uuid", "0b7e9a4e-5d0e-4f6b-9d57-0c2c5c7c1d11", true},
		{"dots and underscores", "req_1.2", true},
		{"longest", strings.Repeat("a", 64), true},
		{"too long", strings.Repeat("a", 65), false},
		{"space", "a b", false},
		{"newline", "a\nb", false},
		{"not ASCII", "é", false},
		{"markup", "<b>", false},
		{"e-mail", "ann@example.com", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := get("/")
			r.Header.Set("X-Request-Id", tt.inbound)
			res, body := serve(t, web.Standard(web.Config{}, failing(errors.New("x"))), r)
			id := res.Header.Get("X-Request-Id")
			if (id == tt.inbound) != tt.kept || len(id) < 7 && !tt.kept {
				t.Errorf("id %q for %q, want it kept: %v", id, tt.inbound, tt.kept)
			}
			if body["request_id"] != id {
				t.Errorf("problem says %v, header %q", body["request_id"], id)
			}
		})
	}
	h := web.Standard(web.Config{}, http.NotFoundHandler())
	one, _ := serve(t, h, get("/"))
	two, _ := serve(t, h, get("/"))
	if one.Header.Get("X-Request-Id") == two.Header.Get("X-Request-Id") {
		t.Error("two requests have one id")
	}
}

func FuzzRequestID(f *testing.F) {
	f.Add("abc")
	f.Add("a\r\nSet-Cookie: x")
	f.Fuzz(func(t *testing.T, inbound string) {
		r := get("/")
		r.Header["X-Request-Id"] = []string{inbound}
		w := httptest.NewRecorder()
		web.WithRequestID(http.NotFoundHandler()).ServeHTTP(w, r)
		id := w.Header().Get("X-Request-Id")
		if id == "" || len(id) > 64 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("id %q of %q", id, inbound)
		}
	})
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	const query = "?__clerk_ticket=hunter2"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") })
	mux.HandleFunc("GET /silent", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /readyz", failing(&web.Problem{Status: 503, Code: "not_ready"}))
	mux.Handle("GET /denied", failing(&web.Problem{
		Status: 401, Code: "invalid_token", Extra: map[string]any{"reason": "expired"}, Err: errors.New("exp is past"),
	}))
	mux.Handle("GET /bare", failing(&web.Problem{Status: 403, Code: "forbidden"}))
	mux.Handle("GET /broken", failing(errors.New("disk full")))
	mux.HandleFunc("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /informed", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
	})

	line := func(level, method, pattern string, status float64, more map[string]any) map[string]any {
		m := map[string]any{
			"level": level, "msg": "request", "method": method, "pattern": pattern, "status": status,
			"request_id": "r1", "client_ip": "192.0.2.1",
		}
		maps.Copy(m, more)
		return m
	}
	tests := []struct {
		method, path string
		want         map[string]any
	}{
		{"GET", "/users/ann", line("INFO", "GET", "GET /users/{id}", 200, nil)},
		{"GET", "/silent", line("INFO", "GET", "GET /silent", 200, nil)},
		{"GET", "/livez", line("DEBUG", "GET", "GET /livez", 200, nil)},
		{"GET", "/readyz", line("ERROR", "GET", "GET /readyz", 503, map[string]any{"code": "not_ready"})},
		{"GET", "/denied", line("INFO", "GET", "GET /denied", 401, map[string]any{
			"code": "invalid_token", "reason": "expired", "error": "invalid_token: exp is past",
		})},
		{"GET", "/bare", line("INFO", "GET", "GET /bare", 403, map[string]any{"code": "forbidden"})},
		{"GET", "/broken", line("ERROR", "GET", "GET /broken", 500, map[string]any{
			"code": "internal_error", "error": "disk full",
		})},
		{"GET", "/abort", line("INFO", "GET", "GET /abort", 0, map[string]any{"aborted": true})},
		{"GET", "/informed", line("INFO", "GET", "GET /informed", 202, nil)},
		{"HUNTER2", "/hunter2", line("INFO", "other", "unmatched", 404, map[string]any{"code": "not_found"})},
		{"CONNECT", "/users/hunter2", line("INFO", "CONNECT", "unmatched", 405, map[string]any{"code": "method_not_allowed"})},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			var logs testenv.Logs
			h := web.Standard(web.Config{Logger: logs.Logger()}, web.NotFoundAndMethod(mux))
			r := httptest.NewRequest(tt.method, tt.path+query, http.NoBody)
			r.Header.Set("X-Request-Id", "r1")
			w := httptest.NewRecorder()
			func() {
				defer func() { _ = recover() }() // of the one that aborts
				h.ServeHTTP(w, r)
			}()
			logs.MustNotContain(t, "hunter2", "ann", "HUNTER2")
			entries := logs.Entries(t)
			if len(entries) != 1 {
				t.Fatalf("%d lines:\n%s", len(entries), logs.String())
			}
			got := entries[0]
			if _, ok := got["duration_ms"].(float64); !ok {
				t.Errorf("duration_ms = %v", got["duration_ms"])
			}
			if got["bytes"] != float64(w.Body.Len()) {
				t.Errorf("bytes = %v of a body of %d", got["bytes"], w.Body.Len())
			}
			for _, varying := range []string{"time", "duration_ms", "bytes"} {
				delete(got, varying)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStandardTwiceLogsOnce(t *testing.T) {
	t.Parallel()
	var outer, inner testenv.Logs
	h := web.Standard(web.Config{Logger: inner.Logger()}, failing(errors.New("disk full")))
	res, body := serve(t, web.Standard(web.Config{Logger: outer.Logger()}, h), get("/"))
	if inner.String() != "" || !strings.Contains(outer.String(), "disk full") {
		t.Errorf("outer log: %sinner log: %s", &outer, &inner)
	}
	if body["request_id"] != res.Header.Get("X-Request-Id") {
		t.Errorf("request_id %v, header %v", body["request_id"], res.Header)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	var logs testenv.Logs
	h := web.Standard(web.Config{Logger: logs.Logger()}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("hunter2")
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, get("/"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "goroutine") {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	entries := logs.Entries(t)
	if len(entries) != 2 || entries[0]["error"] != "panic: hunter2" ||
		!strings.Contains(entries[0]["stack"].(string), "TestRecover") || entries[1]["status"] != 500.0 {
		t.Errorf("log = %v", entries)
	}
	if entries[0]["request_id"] != entries[1]["request_id"] || entries[0]["request_id"] == "" {
		t.Errorf("request ids %v and %v", entries[0]["request_id"], entries[1]["request_id"])
	}
}

func TestRecoverAlone(t *testing.T) {
	t.Parallel()
	recovering := web.Recover(slog.New(slog.DiscardHandler))
	begun := recovering(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("hunter2")
	}))
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the value that net/http compares with
			t.Errorf("panic after the answer began passed on as %v, want http.ErrAbortHandler", v)
		}
	}()
	begun.ServeHTTP(httptest.NewRecorder(), get("/"))
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	h := web.SecurityHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/static" {
			w.Header().Set("Cache-Control", "public")
		}
	}))
	res, _ := serve(t, h, get("/"))
	want := http.Header{
		"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	}
	if diff := cmp.Diff(want, res.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if res, _ := serve(t, h, get("/static")); res.Header.Get("Cache-Control") != "public" {
		t.Errorf("the handler's Cache-Control became %q", res.Header.Get("Cache-Control"))
	}
}

// A stream needs the connection's own controls through our writer.
func TestResponseController(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(web.Standard(web.Config{}, web.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		rc := http.NewResponseController(w)
		if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.Flush()); err != nil {
			return err
		}
		_, err := io.WriteString(w, "streamed")
		return err
	})))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "streamed" {
		t.Errorf("read %q, %v", b, err)
	}
}

// The chain stands in front of 10,000 webhooks a second: what it allocates is counted.
func TestStandardAllocations(t *testing.T) {
	const limit = 15
	logger := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h := web.Standard(web.Config{Logger: logger}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := get("/"), discardWriter{}
	if got := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); got > limit {
		t.Errorf("%v allocations a request, want at most %d", got, limit)
	}
}

type discardWriter http.Header

func (d discardWriter) Header() http.Header         { return http.Header(d) }
func (d discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (d discardWriter) WriteHeader(int)             {}

func BenchmarkStandard(b *testing.B) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn} {
		b.Run(level.String(), func(b *testing.B) {
			logger := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: level}))
			mux := http.NewServeMux()
			mux.HandleFunc("POST /api/webhooks/clerk", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
			h := web.Standard(web.Config{Logger: logger}, web.NotFoundAndMethod(mux))
			r, w := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", http.NoBody), discardWriter{}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
