package web_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/clerksync/clerksync/internal/web"
)

func TestReadBody(t *testing.T) {
	t.Parallel()
	const limit = 8
	tests := []struct {
		name     string
		encoding []string
		length   int64
		body     io.Reader
		want     string
		code     string
		status   int
	}{
		{"empty", nil, 0, strings.NewReader(""), "", "", 0},
		{"at the limit", nil, 8, strings.NewReader("12345678"), "12345678", "", 0},
		{"one over", nil, 9, strings.NewReader("123456789"), "", "body_too_large", 413},
		{"over, length unknown", nil, -1, strings.NewReader("123456789"), "", "body_too_large", 413},
		{"length lies upwards", nil, 1 << 40, strings.NewReader("1234"), "1234", "", 0},
		{"length lies downwards", nil, 1, strings.NewReader("123456789"), "", "body_too_large", 413},
		{"identity", []string{"identity"}, 2, strings.NewReader("ok"), "ok", "", 0},
		{"identity in capitals", []string{"", " Identity "}, 2, strings.NewReader("ok"), "ok", "", 0},
		{"gzip", []string{"gzip"}, 2, strings.NewReader("ok"), "", "unsupported_content_encoding", 415},
		{"gzip second", []string{"identity, gzip"}, 2, strings.NewReader("ok"), "", "unsupported_content_encoding", 415},
		{"gzip on a second line", []string{"identity", "gzip"}, 2, strings.NewReader("ok"), "", "unsupported_content_encoding", 415},
		{"cut off", nil, 4, iotest.ErrReader(io.ErrUnexpectedEOF), "", "body_unreadable", 400},
		{"too slow", nil, 4, iotest.ErrReader(fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)), "", "request_timeout", 408},
		{"outer limit", nil, 4, iotest.ErrReader(&http.MaxBytesError{Limit: 1}), "", "body_too_large", 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", tt.body)
			r.ContentLength = tt.length
			r.Header["Content-Encoding"] = tt.encoding
			got, err := web.ReadBody(httptest.NewRecorder(), r, limit)
			p, _ := errors.AsType[*web.Problem](err)
			if tt.code == "" {
				if err != nil || string(got) != tt.want {
					t.Errorf("ReadBody = %q, %v, want %q", got, err, tt.want)
				}
			} else if p == nil || p.Code != tt.code || p.Status != tt.status || got != nil {
				t.Errorf("ReadBody = %q, %v, want code %s, status %d", got, err, tt.code, tt.status)
			}
		})
	}
}

// endless counts what is read from a body without end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }

func TestReadBodyIsBounded(t *testing.T) {
	t.Parallel()
	body, w := new(endless), httptest.NewRecorder()
	_, err := web.ReadBody(w, httptest.NewRequest(http.MethodPost, "/", body), 1<<16)
	if p, _ := errors.AsType[*web.Problem](err); p == nil || p.Status != 413 {
		t.Errorf("err = %v", err)
	}
	if body.read > 2<<20 || w.Header().Get("Connection") != "close" {
		t.Errorf("read %d bytes, Connection %q", body.read, w.Header().Get("Connection"))
	}
}

// A client that writes all before it reads must get the 413, not a reset.
func TestTooLargeBodyIsAnswered(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		_, err := web.ReadBody(w, r, 1<<10)
		return err
	}))
	defer srv.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := bytes.Repeat([]byte("x"), 1<<20)
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("status %d", res.StatusCode)
	}
}

func FuzzReadBody(f *testing.F) {
	f.Add("gzip", []byte("x"), int64(1))
	f.Add("identity,,", []byte("123456789"), int64(-1))
	f.Fuzz(func(t *testing.T, encoding string, body []byte, length int64) {
		const limit = 8
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.ContentLength = length
		r.Header["Content-Encoding"] = []string{encoding}
		got, err := web.ReadBody(httptest.NewRecorder(), r, limit)
		if _, ok := errors.AsType[*web.Problem](err); err != nil && !ok {
			t.Errorf("error is no problem: %v", err)
		}
		if err == nil && (len(body) > limit || !bytes.Equal(got, body)) {
			t.Errorf("read %q of %q", got, body)
		}
		if strings.Contains(strings.ToLower(encoding), "gzip") && err == nil {
			t.Errorf("accepted Content-Encoding %q", encoding)
		}
	})
}
