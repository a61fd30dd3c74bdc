package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// Connections that are idle must not keep others out.
func TestIdleConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	const limit = 3
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	srv := NewServer("", mux)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(bounded(srv, l, limit)) }()
	address := l.Addr().String()

	idle := dial(t, address)
	if got := idle.get("/"); got != "200 OK" { // and the connection is kept
		t.Fatalf("the first is answered %q", got)
	}
	answered := make(chan string, limit)
	for range limit - 1 {
		c := dial(t, address)
		go func() { answered <- c.get("/slow") }()
		<-entered
	}
	if got := dial(t, address).get("/"); got != "200 OK" {
		t.Errorf("a new one next to an idle one is answered %q", got)
	}
	if got := idle.get("/"); got == "200 OK" {
		t.Error("the idle one was kept beyond the limit")
	}
	// the one that has just been answered gives way, too, and then all are busy
	last := dial(t, address)
	go func() { answered <- last.get("/slow") }()
	<-entered
	waiting := make(chan string, 1)
	patient := dial(t, address)
	go func() { waiting <- patient.get("/") }()
	select {
	case got := <-waiting:
		t.Errorf("a fourth next to three busy ones is answered %q", got)
	case <-time.After(50 * time.Millisecond): // nothing is to come: there is nothing to wait for
	}
	close(release)
	for range limit {
		if got := <-answered; got != "200 OK" {
			t.Errorf("a busy one is answered %q", got)
		}
	}
	if got := <-waiting; got != "200 OK" {
		t.Errorf("the one that waited is answered %q", got)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != http.ErrServerClosed { //nolint:errorlint // identity
		t.Errorf("Serve: %v", err)
	}
}

type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &client{conn, bufio.NewReader(conn)}
}

// get is the status of an answer, or the error of getting none.
func (c *client) get(path string) string {
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return err.Error()
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err.Error()
	}
	_ = res.Body.Close()
	return res.Status
}
