package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/clerksync/clerksync/internal/web"
)

const small = 64 << 10 // what a small body counts

func TestBodiesRead(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	large := strings.Repeat("x", 300_000)
	tests := []struct {
		name   string
		length int64
		body   io.Reader
		want   string
		code   string
		status int
	}{
		{"empty", 0, strings.NewReader(""), "", "", 0},
		{"small", 4, strings.NewReader("1234"), "1234", "", 0},
		{"small, length unknown", -1, strings.NewReader("1234"), "1234", "", 0},
		{"large", 300_000, strings.NewReader(large), large, "", 0},
		{"large in small pieces, length unknown", -1, iotest.HalfReader(strings.NewReader(large)), large, "", 0},
		{"at the limit", limit, bytes.NewReader(make([]byte, limit)), string(make([]byte, limit)), "", 0},
		{"at the limit, length unknown", -1, bytes.NewReader(make([]byte, limit)), string(make([]byte, limit)), "", 0},
		{"one over, length unknown", -1, bytes.NewReader(make([]byte, limit+1)), "", "body_too_large", 413},
		{"one over", limit + 1, iotest.ErrReader(errors.New("it was read")), "", "body_too_large", 413},
		{"length lies downwards", 1, strings.NewReader("123"), "", "body_too_large", 413},
		{"cut off", 9, io.MultiReader(strings.NewReader("1234"), iotest.ErrReader(io.ErrUnexpectedEOF)), "", "body_unreadable", 400},
		{"too slow", 9, iotest.ErrReader(fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)), "", "request_timeout", 408},
		{"outer limit", 9, iotest.ErrReader(&http.MaxBytesError{Limit: 1}), "", "body_too_large", 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := web.NewBodies(limit)
			for range 3 { // what was released is there for the next
				r := httptest.NewRequest(http.MethodPost, "/", tt.body)
				r.ContentLength = tt.length
				body, err := b.Read(httptest.NewRecorder(), r, limit)
				if p, _ := errors.AsType[*web.Problem](err); tt.code != "" {
					if p == nil || p.Code != tt.code || p.Status != tt.status {
						t.Fatalf("refused with %v, want %s", err, tt.code)
					}
					return
				}
				if err != nil || string(body.Bytes()) != tt.want {
					t.Fatalf("read %d bytes, %v", len(body.Bytes()), err)
				}
				kept := body.Keep()
				body.Release()
				body.Release()
				other, err := b.Read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("y", limit))), limit)
				if err != nil || string(kept) != tt.want {
					t.Fatalf("what was kept became another body: %v", err)
				}
				other.Release()
				if seeker, ok := tt.body.(io.Seeker); !ok {
					return
				} else if _, err := seeker.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Where a body cannot be given up, the next one is refused, and comes again later.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := web.NewBodies(2 * small)
	read := func() (*web.Body, error) {
		return b.Read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")), 1<<20)
	}
	one, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err != nil {
		t.Fatal(err)
	}
	_, err = read()
	if p, _ := errors.AsType[*web.Problem](err); p == nil || p.Code != "server_busy" || p.Status != 503 || p.Header.Get("Retry-After") == "" {
		t.Errorf("the third is answered %v", err)
	}
	one.Release()
	if _, err := read(); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}

// stalled is a connection whose sender waits, until its deadline is moved into the past.
type stalled struct {
	*httptest.ResponseRecorder
	reading chan struct{}
	given   chan struct{}
	last    time.Time
}

func newStalled() *stalled {
	return &stalled{httptest.NewRecorder(), make(chan struct{}), make(chan struct{}), time.Time{}}
}

func (s *stalled) SetReadDeadline(at time.Time) error {
	if s.last = at; at.Unix() == 1 {
		close(s.given)
	}
	return nil
}

func (s *stalled) Read([]byte) (int, error) {
	close(s.reading)
	<-s.given
	return 0, os.ErrDeadlineExceeded
}

// A sender that only holds room loses it to one that needs it: the oldest first, with an answer
// after which senders retry.
func TestStalledBodiesGiveWay(t *testing.T) {
	t.Parallel()
	b := web.NewBodies(2 * small)
	ends := map[string]chan error{"first": make(chan error, 1), "second": make(chan error, 1)}
	conns := map[string]*stalled{"first": newStalled(), "second": newStalled()}
	for _, name := range []string{"first", "second"} {
		s := conns[name]
		go func() {
			r := httptest.NewRequest(http.MethodPost, "/", s)
			r.ContentLength = 10
			_, err := b.Read(s, r, 1<<20)
			ends[name] <- err
		}()
		<-s.reading
		if left := time.Until(s.last); left <= 0 || left > time.Minute {
			t.Errorf("the sender has %v", left)
		}
	}
	honest := newStalled()
	for range 3 { // each is released, so that no other must go
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("real"))
		body, err := b.Read(honest, r, 1<<20)
		if err != nil || string(body.Bytes()) != "real" {
			t.Fatalf("a real sender got %v", err)
		}
		if !honest.last.IsZero() {
			t.Error("the deadline of the body outlives it")
		}
		body.Release()
	}
	err := <-ends["first"]
	if p, _ := errors.AsType[*web.Problem](err); p == nil || p.Code != "server_busy" {
		t.Errorf("the first got %v", err)
	}
	select {
	case err := <-ends["second"]:
		t.Errorf("the second had to go, too: %v", err)
	default:
	}
	close(conns["second"].given)
	if p, _ := errors.AsType[*web.Problem](<-ends["second"]); p == nil || p.Code != "request_timeout" {
		t.Errorf("the second got %v", p)
	}
}

// Many goroutines at once never hold more than the bound, and leave nothing behind.
func TestBodiesUnderLoad(t *testing.T) {
	t.Parallel()
	b := web.NewBodies(4 * small)
	server := httptest.NewServer(web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		body, err := b.Read(w, r, 1<<20)
		if err != nil {
			return err
		}
		defer body.Release()
		return web.WriteJSON(w, http.StatusOK, len(body.Bytes()))
	}))
	defer server.Close()
	answers := make(chan int, 64)
	for range cap(answers) {
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, io.MultiReader(strings.NewReader("x")))
			if err != nil {
				panic(err)
			}
			res, err := server.Client().Do(r) // of unknown length: each may become large
			if err != nil {
				answers <- 0
				return
			}
			_ = res.Body.Close()
			answers <- res.StatusCode
		}()
	}
	for range cap(answers) {
		if status := <-answers; status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("answered %d", status)
		}
	}
	for range 4 {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
		if _, err := b.Read(httptest.NewRecorder(), r, 1<<20); err != nil {
			t.Errorf("room was lost: %v", err)
		}
	}
}
