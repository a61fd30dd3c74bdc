package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
)

func TestNewServerIsBounded(t *testing.T) {
	t.Parallel()
	srv := web.NewServer("127.0.0.1:0", http.NotFoundHandler())
	got := []time.Duration{srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout}
	want := []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second, 2 * time.Minute}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("timeout %d = %s, want %s", i, got[i], want[i])
		}
	}
	if srv.MaxHeaderBytes != 32<<10 || srv.Addr != "127.0.0.1:0" || srv.Handler == nil {
		t.Errorf("server = %+v", srv)
	}
}

// running is a set of servers under test with the error that Serve returned.
type running struct {
	*web.Servers
	stop   context.CancelFunc
	result chan error
}

func run(t *testing.T, logger *slog.Logger, drain time.Duration, servers ...*http.Server) *running {
	t.Helper()
	s, err := web.Listen(t.Context(), logger, drain, servers...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &running{Servers: s, stop: cancel, result: make(chan error, 1)}
	go func() { r.result <- s.Serve(ctx) }()
	return r
}

func fetch(t *testing.T, addr net.Addr) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr.String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestServeDrains(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-web.Draining(r.Context())
		<-release
		if r.Context().Err() != nil {
			return // cancelled: the client gets nothing
		}
		_, _ = io.WriteString(w, "finished")
	})
	quick := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "quick") })
	var logs testenv.Logs
	s := run(t, logs.Logger(), time.Minute, web.NewServer("127.0.0.1:0", slow), web.NewServer("127.0.0.1:0", quick))
	if body, err := fetch(t, s.Addrs()[1]); err != nil || body != "quick" {
		t.Fatalf("fetch = %q, %v", body, err)
	}
	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		body, err := fetch(t, s.Addrs()[0])
		answers <- answer{body, err}
	}()
	<-entered
	s.stop()
	close(release)
	if got := <-answers; got.err != nil || got.body != "finished" {
		t.Errorf("the running request got %q, %v", got.body, got.err)
	}
	if err := <-s.result; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if _, err := fetch(t, s.Addrs()[1]); err == nil {
		t.Error("a stopped server answers")
	}
	if strings.Contains(logs.String(), "cut") {
		t.Errorf("log: %s", &logs)
	}
}

func TestServeCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	stuck := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	var logs testenv.Logs
	s := run(t, logs.Logger(), time.Millisecond, web.NewServer("127.0.0.1:0", stuck))
	failed := make(chan error, 1)
	go func() {
		_, err := fetch(t, s.Addrs()[0])
		failed <- err
	}()
	<-entered
	s.stop()
	if err := <-s.result; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request that never ends got an answer")
	}
	if !strings.Contains(logs.String(), "requests cut at shutdown") {
		t.Errorf("log: %s", &logs)
	}
}

func TestServeEndsAllWhenOneFails(t *testing.T) {
	t.Parallel()
	one, two := web.NewServer("127.0.0.1:0", http.NotFoundHandler()), web.NewServer("127.0.0.1:0", http.NotFoundHandler())
	s := run(t, slog.New(slog.DiscardHandler), time.Second, one, two)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-s.result; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve = %v, want the failure", err)
	}
	if _, err := fetch(t, s.Addrs()[1]); err == nil {
		t.Error("the other server still answers")
	}
}

func TestListenIsAllOrNone(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	taken, err := web.Listen(t.Context(), logger, 0, web.NewServer("127.0.0.1:0", nil))
	if err != nil {
		t.Fatal(err)
	}
	addr := taken.Addrs()[0].String()
	free, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // finds a free port
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Listen(t.Context(), logger, 0, web.NewServer(free.Addr().String(), nil), web.NewServer(addr, nil)); err == nil {
		t.Fatal("two servers listen on one address")
	}
	again, err := net.Listen("tcp", free.Addr().String()) //nolint:noctx // as above
	if err != nil {
		t.Errorf("the first address stayed open: %v", err)
	} else {
		_ = again.Close()
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := taken.Serve(done); err != nil {
		t.Errorf("Serve with an ended context = %v", err)
	}
	if web.Draining(t.Context()) != nil {
		t.Error("Draining outside of a server is not nil")
	}
}
