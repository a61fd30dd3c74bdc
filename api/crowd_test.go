package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// crowd is many clients of one server, each with little memory of its own.
type crowd struct {
	t       testing.TB
	address string
	events  atomic.Int64 // that the quick ones got
	ended   atomic.Int64 // streams that the server ended
}

// join opens a stream and waits until it has begun.
func (c *crowd) join(query string) *bufio.Reader {
	c.t.Helper()
	conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	_, err = fmt.Fprintf(conn, "GET /api/changes?%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n", query, operatorToken)
	in := bufio.NewReaderSize(conn, 512)
	for err == nil {
		var line []byte
		if line, err = in.ReadSlice('\n'); bytes.HasPrefix(line, []byte("id: ")) {
			return in
		}
	}
	c.t.Fatal(err)
	return nil
}

// quick adds a client that always reads.
func (c *crowd) quick(query string) {
	c.t.Helper()
	in := c.join(query)
	go func() {
		for {
			line, err := in.ReadSlice('\n')
			if err != nil && err != bufio.ErrBufferFull { //nolint:errorlint // identity
				c.ended.Add(1)
				return
			}
			if bytes.HasPrefix(line, []byte("event: change")) {
				c.events.Add(1)
			}
		}
	}()
}

// await waits until the quick clients have n events, and returns how long that took.
func (c *crowd) await(n int) time.Duration {
	c.t.Helper()
	began := time.Now()
	for c.events.Load() < int64(n) {
		if time.Since(began) > patience {
			c.t.Fatalf("%d events of %d came in %s", c.events.Load(), n, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

func memoryInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// A thousand clients, of which a tenth do not read what is sent: those are cut, the others notice
// nothing, and memory is bounded. Our clients are in the same process, so they count as well.
// Requests that are no streams are served next to them.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const quick, slow = 900, 100 // together as many connections as a server has
	feed := newMemoryFeed()
	h := &handler{feed: feed, operator: onlyOperator, limits: newLimits(Options{MaxStreamsPerClient: quick + slow}), rates: newRates(quick + slow), heartbeat: heartbeatEvery, maxAge: randomAge}
	url, stop := serve(t, h.routes())
	c := &crowd{t: t, address: strings.TrimPrefix(url, "http://")}
	before := memoryInUse()
	for range quick {
		c.quick("kind=users")
	}
	for range slow {
		c.join("")
	}
	idle := memoryInUse() - before
	if most := int64(100 << 20); idle > most {
		t.Errorf("%d clients take %d MiB", quick+slow, idle>>20)
	}
	if a := (&site{T: t}).get(url + "/api/changes"); a.status != 200 {
		t.Errorf("a request next to the streams: %d %s", a.status, a.body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	flooded := make(chan struct{})
	go func() { // what only the slow ones asked for
		defer close(flooded)
		for ctx.Err() == nil && open(h) > quick {
			feed.add(clerk.KindSession, 100)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	rounds := 0
	var slowest time.Duration
	for deadline := time.Now().Add(3 * patience); open(h) > quick; rounds++ {
		feed.add(clerk.KindUser, 1)
		slowest = max(slowest, c.await((rounds+1)*quick))
		if time.Now().After(deadline) {
			t.Fatalf("%d slow clients are not cut", open(h)-quick)
		}
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	<-flooded
	busy := memoryInUse() - before
	if most := int64(200 << 20); busy > most {
		t.Errorf("with slow clients it takes %d MiB", busy>>20)
	}
	if slowest > 5*time.Second {
		t.Errorf("an event takes %s to the others", slowest)
	}
	if n := c.ended.Load(); n > 0 {
		t.Errorf("%d of the others were cut", n)
	}
	t.Logf("idle %d MiB, busy %d MiB, %d rounds, slowest %s", idle>>20, busy>>20, rounds, slowest)
	began := time.Now()
	if err := stop(); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("the server stops after %s: %v", time.Since(began), err)
	}
}

// open returns how many streams there are.
func open(h *handler) int {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	return h.limits.open
}
