package nats

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// network is a way to a server that loses what the server answers, and breaks.
type network struct {
	net.Listener
	to   string
	deaf atomic.Bool  // what the server sends is lost
	dead *atomic.Bool // of the connections that there are: what the server sends on them is lost
	lost atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
}

func newNetwork(t *testing.T, n *node) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &network{Listener: l, to: n.Addr().String(), dead: &atomic.Bool{}}
	t.Cleanup(func() { l.Close(); w.cut() })
	go w.serve()
	return w
}

func (w *network) serve() {
	for {
		client, err := w.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", w.to)
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, broker)
		dead := w.dead
		w.mu.Unlock()
		go func() { _, _ = io.Copy(broker, client); broker.Close() }()
		go w.answer(client, broker, dead)
	}
}

// answer passes on what the server sends.
func (w *network) answer(client, broker net.Conn, dead *atomic.Bool) {
	defer client.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := broker.Read(buffer)
		if err != nil {
			return
		}
		if w.deaf.Load() || dead.Load() {
			w.lost.Add(int64(n))
			continue
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// die makes the connections that there are useless. They stay open.
func (w *network) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead.Store(true)
	w.dead = &atomic.Bool{}
}

// cut breaks all connections.
func (w *network) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// The network loses acknowledgements of messages that are stored, and then breaks. The publisher
// reads what is stored, and goes on after it: nothing is there twice, and nothing is missing.
func TestNetworkLosesAcknowledgements(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	// a short window of duplicates, so that JetStream does not hide a mistake
	n := newNode(t, &server.Options{})
	o := observe(t, n.ClientURL())
	o.createStream()
	w := newNetwork(t, n)
	r := run(t, l, Options{URL: "nats://" + w.Addr().String(), Start: StartOldest})
	for range 5 {
		l.append(2000)
		from := uint64(l.appended - 2000)
		eventually(t, "publishing is under way", func() bool { return o.last(defaultStream) > from+50 })
		lost := w.lost.Load()
		w.deaf.Store(true)
		l.append(10)
		// what a server sends to a publisher are acknowledgements, each longer than this
		eventually(t, "an acknowledgement is lost", func() bool { return w.lost.Load() > lost+40 })
		w.cut()
		w.deaf.Store(false)
		o.reaches(l)
	}
	o.assertChanges(defaultStream, l)
	if have := r.state.count(); have >= int64(l.appended) {
		t.Errorf("the publisher knows of %d messages: no acknowledgement was lost", have)
	}
}

// A connection dies without being closed, as one through a firewall that forgot it. The publisher
// replaces it after the first timeout.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	n := newNode(t, &server.Options{})
	o := observe(t, n.ClientURL())
	w := newNetwork(t, n)
	run(t, l, Options{URL: "nats://" + w.Addr().String(), Start: StartOldest})
	l.append(10)
	o.reaches(l)
	began := time.Now()
	w.die()
	l.append(1) // which is stored, and the publisher does not know it
	o.reaches(l)
	l.append(10)
	o.reaches(l)
	if took := time.Since(began); took > 2*pingInterval {
		t.Errorf("it took %s", took)
	}
	o.assertChanges(defaultStream, l)
}
