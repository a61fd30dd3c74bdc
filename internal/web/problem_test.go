package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/web"
)

// serve writes one request and returns the response with its body, decoded if it is JSON.
func serve(t *testing.T, h http.Handler, r *http.Request) (*http.Response, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	res := w.Result()
	var body map[string]any
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("body %q: %v", w.Body, err)
		}
	}
	return res, body
}

func get(target string) *http.Request {
	return httptest.NewRequest(http.MethodGet, target, http.NoBody)
}

func failing(err error) http.Handler {
	return web.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return err })
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	internal := map[string]any{
		"type": "about:blank", "title": "Internal Server Error", "status": 500.0, "code": "internal_error",
		"detail": "Something went wrong on our side; quote the request id when you report it",
	}
	denied := &web.Problem{
		Status: 401, Code: "invalid_token", Detail: "Invalid authentication token", Err: errors.New("hunter2"),
		Extra:  map[string]any{"reason": "expired", "status": 200, "code": "fine"},
		Header: http.Header{"WWW-Authenticate": {"Bearer"}},
	}
	deniedBody := map[string]any{
		"type": "about:blank", "title": "Unauthorized", "status": 401.0, "code": "invalid_token",
		"detail": "Invalid authentication token", "reason": "expired",
	}
	tests := []struct {
		name   string
		err    error
		status int
		body   map[string]any
	}{
		{"unknown", errors.New("hunter2"), 500, internal},
		{"problem", denied, 401, deniedBody},
		{"wrapped problem", fmt.Errorf("hunter2: %w", denied), 401, deniedBody},
		{"problem without status", &web.Problem{Code: "hunter2"}, 500, internal},
		{"problem that is no error", &web.Problem{Status: 200, Code: "hunter2"}, 500, internal},
		{"cancelled, but not by the client", context.Canceled, 500, internal},
		{"own title", &web.Problem{Status: 403, Title: "No"}, 403, map[string]any{
			"type": "about:blank", "title": "No", "status": 403.0, "code": "", "detail": "",
		}},
		{"unencodable extension", &web.Problem{Status: 409, Code: "c", Extra: map[string]any{"x": math.NaN()}}, 409, map[string]any{
			"type": "about:blank", "title": "Conflict", "status": 409.0, "code": "c", "detail": "",
		}},
		{"limit of an outer reader", &http.MaxBytesError{Limit: 1}, 413, map[string]any{
			"type": "about:blank", "title": "Request Entity Too Large", "status": 413.0, "code": "body_too_large",
			"detail": "The body is larger than this route accepts",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, body := serve(t, failing(tt.err), get("/"))
			if res.StatusCode != tt.status || res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d, header %v", res.StatusCode, res.Header)
			}
			if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header = %v", res.Header)
			}
			if id := res.Header.Get("X-Request-Id"); id == "" || body["request_id"] != id {
				t.Errorf("request_id %v, header %q", body["request_id"], id)
			}
			delete(body, "request_id")
			if diff := cmp.Diff(tt.body, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
	res, _ := serve(t, failing(denied), get("/"))
	if got := res.Header.Get("WWW-Authenticate"); got != "Bearer" {
		t.Errorf("WWW-Authenticate = %q", got)
	}
}

func TestWriteErrorWhenTheClientLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := fmt.Errorf("query: %w", context.Canceled)
	res, body := serve(t, failing(err), get("/").WithContext(ctx))
	if res.StatusCode != 499 || body["code"] != "client_closed_request" {
		t.Errorf("status %d, body %v", res.StatusCode, body)
	}
}

func TestWriteErrorDropsHeadersOfTheAnswerThatFailed(t *testing.T) {
	t.Parallel()
	h := web.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		for _, name := range []string{"Content-Encoding", "ETag", "Last-Modified", "Content-Length"} {
			w.Header().Set(name, "1")
		}
		w.Header().Set("Cache-Control", "public, max-age=60")
		return errors.New("late")
	})
	res, _ := serve(t, h, get("/"))
	for _, name := range []string{"Content-Encoding", "ETag", "Last-Modified"} {
		if got := res.Header.Get(name); got != "" {
			t.Errorf("%s = %q", name, got)
		}
	}
	if res.Header.Get("Content-Length") == "1" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("header = %v", res.Header)
	}
}

// A client must see that an answer which failed midway is not whole.
func TestErrorAfterTheAnswerBeganCutsTheConnection(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(web.Standard(web.Config{}, web.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, `[{"id":1},`)
		w.(http.Flusher).Flush()
		return errors.New("database gone")
	})))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the client read %q as a whole answer", b)
	}
}

func TestProblemIsAnError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	p := &web.Problem{Status: 409, Code: "conflict", Detail: "Somebody was faster", Err: cause}
	if !errors.Is(p, cause) || p.Error() != "conflict: cause" {
		t.Errorf("Error() = %q, Is cause: %v", p.Error(), errors.Is(p, cause))
	}
	p.Err = nil
	if p.Error() != "conflict: Somebody was faster" {
		t.Errorf("Error() = %q", p.Error())
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	write := func(v any) http.Handler {
		return web.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { return web.WriteJSON(w, 201, v) })
	}
	res, body := serve(t, write(map[string]any{"a": nil}), get("/"))
	if diff := cmp.Diff(map[string]any{"a": nil}, body); diff != "" || res.StatusCode != 201 {
		t.Errorf("status %d, body (-want +got):\n%s", res.StatusCode, diff)
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"10"},
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
	}
	if diff := cmp.Diff(want, res.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if res, body := serve(t, write(func() {}), get("/")); res.StatusCode != 500 || body["code"] != "internal_error" {
		t.Errorf("unencodable value: status %d, body %v", res.StatusCode, body)
	}
	cached := web.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "max-age=60")
		return web.WriteJSON(w, 200, 1)
	})
	w := httptest.NewRecorder()
	cached.ServeHTTP(w, get("/"))
	if got := w.Header().Get("Cache-Control"); got != "max-age=60" {
		t.Errorf("the handler's Cache-Control became %q", got)
	}
}
