package web

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many connections a server has at once. Each takes some 30 kB.
const maxConnections = 1000

// connections bounds how many connections a server has. When the bound is reached, a new connection
// replaces the one that has waited for its client for longest. When all are being answered, it
// waits until one of them ends.
type connections struct {
	net.Listener
	limit int

	mu      sync.Mutex
	changed *sync.Cond
	open    int
	waiting list.List // of *connection, for their clients; the longest first
	closed  bool
}

// bounded makes srv accept at most limit connections from l.
func bounded(srv *http.Server, l net.Listener, limit int) *connections {
	c := &connections{Listener: l, limit: limit}
	c.changed = sync.NewCond(&c.mu)
	handler := srv.Handler
	if handler == nil {
		handler = http.NotFoundHandler()
	}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			defer c.answering(conn)()
		}
		handler.ServeHTTP(w, r)
	})
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, conn)
	}
	return c
}

type connectionKey struct{}

// connection is one of a bounded number. It keeps the methods that net/http looks for.
type connection struct {
	*net.TCPConn
	owner     *connections
	place     *list.Element // nil while it is being answered, and once it is closed
	ended     bool
	streaming bool // it does not count
}

// Accept waits for the next connection, and for room for it.
func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return accepted, nil
	}
	conn := &connection{TCPConn: tcp, owner: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.limit && !c.closed {
		if c.waiting.Len() > 0 {
			longest, _ := c.waiting.Front().Value.(*connection)
			_ = c.end(longest)
			continue
		}
		c.changed.Wait()
	}
	if c.closed {
		_ = tcp.Close()
		return nil, net.ErrClosed
	}
	c.open++
	conn.place = c.waiting.PushBack(conn)
	return conn, nil
}

// Close also ends the wait for room.
func (c *connections) Close() error {
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

// Close closes the connection and makes room.
func (conn *connection) Close() error {
	conn.owner.mu.Lock()
	defer conn.owner.mu.Unlock()
	return conn.owner.end(conn)
}

// end closes a connection once. The caller holds the lock.
func (c *connections) end(conn *connection) error {
	if conn.ended {
		return net.ErrClosed
	}
	conn.ended = true
	if !conn.streaming {
		c.open--
	}
	c.stopWaiting(conn)
	c.changed.Signal()
	return conn.TCPConn.Close()
}

// Uncounted takes the connection of a request out of the bound of connections, until the function
// that it returns is called. It is for handlers that bound their streams themselves: streams that
// stay open for minutes would keep everyone else out.
func Uncounted(ctx context.Context) (done func()) {
	conn, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return func() {}
	}
	conn.count(false)
	return func() { conn.count(true) }
}

// count sets whether a connection counts.
func (conn *connection) count(counts bool) {
	c := conn.owner
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.ended || conn.streaming == !counts {
		return
	}
	conn.streaming = !counts
	if counts {
		c.open++
		return
	}
	c.open--
	c.changed.Signal()
}

func (c *connections) stopWaiting(conn *connection) {
	if conn.place != nil {
		c.waiting.Remove(conn.place)
		conn.place = nil
	}
}

// answering notes that a request of the connection is being answered, until the function that it
// returns is called.
func (c *connections) answering(conn *connection) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopWaiting(conn)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !conn.ended {
			conn.place = c.waiting.PushBack(conn)
			c.changed.Signal()
		}
	}
}
