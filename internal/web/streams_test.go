package web

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Streams that their handler bounds do not keep other connections out, and count again when they
// end.
func TestUncountedConnections(t *testing.T) {
	t.Parallel()
	const limit = 2
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(_ http.ResponseWriter, r *http.Request) {
		done := Uncounted(r.Context())
		defer done()
		defer Uncounted(r.Context())() // twice is once
		entered <- struct{}{}
		<-release
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	srv := NewServer("", mux)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := bounded(srv, l, limit)
	go func() { _ = srv.Serve(b) }()
	t.Cleanup(func() { _ = srv.Close() })
	answered := make(chan string, 3*limit)
	for range 3 * limit {
		c := dial(t, l.Addr().String())
		go func() { answered <- c.get("/stream") }()
		<-entered
	}
	if got := dial(t, l.Addr().String()).get("/"); got != "200 OK" {
		t.Errorf("next to streams: %q", got)
	}
	close(release)
	for range 3 * limit {
		if got := <-answered; got != "200 OK" {
			t.Errorf("a stream ends with %q", got)
		}
	}
	counted := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.open }
	for deadline := time.Now().Add(20 * time.Second); counted() != 3*limit+1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections count", counted())
		}
	}
	if got := dial(t, l.Addr().String()).get("/"); got != "200 OK" { // the idle ones give way
		t.Errorf("after the streams: %q", got)
	}
	if n := counted(); n > limit {
		t.Errorf("%d connections count, of %d", n, limit)
	}
	if done := Uncounted(t.Context()); done == nil {
		t.Error("outside of a server there is nothing to call")
	} else {
		done()
	}
}

// failing is a connection that cannot be flushed.
type failing struct{ *httptest.ResponseRecorder }

var errGone = errors.New("gone")

func (failing) FlushError() error { return errGone }

func TestStreamsLearnThatTheClientIsGone(t *testing.T) {
	t.Parallel()
	var got error
	h := Standard(Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		got = http.NewResponseController(w).Flush()
	}))
	h.ServeHTTP(failing{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if !errors.Is(got, errGone) {
		t.Errorf("Flush = %v", got)
	}
}

// A server that is not ours ends its streams, too.
func TestDrainingOfAnyServer(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		draining := Draining(r.Context())
		if draining != Draining(r.Context()) {
			t.Error("a server has two ends")
		}
		close(began)
		<-draining
		close(ended)
	}))
	t.Cleanup(srv.Close)
	go func() {
		if res, err := srv.Client().Get(srv.URL); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-began
	if err := srv.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
}
