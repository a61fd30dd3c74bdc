package nats

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// limit is how long tests wait for what must happen.
const limit = 90 * time.Second

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	timeout := time.After(limit)
	for !condition() {
		select {
		case <-ticks.C:
		case <-timeout:
			t.Fatalf("not in %s: %s", limit, what)
		}
	}
}

// node is a NATS server in this process.
type node struct {
	*server.Server
	options *server.Options
}

// newNode starts a server with JetStream on a random port of the loopback address. It ends with the
// test.
func newNode(t testing.TB, options *server.Options) *node {
	t.Helper()
	options.Host, options.NoSigs, options.NoLog = "127.0.0.1", true, true
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	options.JetStream, options.StoreDir = true, t.TempDir()
	n := &node{options: options}
	n.start(t)
	t.Cleanup(n.stop)
	return n
}

func (n *node) start(t testing.TB) {
	t.Helper()
	s, err := server.NewServer(n.options.Clone())
	if err != nil {
		t.Fatal(err)
	}
	n.Server = s
	s.Start()
	if !s.ReadyForConnections(limit) {
		t.Fatal("the server does not start")
	}
}

// stop ends the server. It may be started again.
func (n *node) stop() {
	n.Shutdown()
	n.WaitForShutdown()
}

// cluster is three servers.
type cluster []*node

// newCluster starts a cluster and waits until it has a leader.
func newCluster(t testing.TB) cluster {
	t.Helper()
	ports := freePorts(t, 3)
	var routes []*url.URL
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	c := make(cluster, 3)
	for i, client := range freePorts(t, 3) { // known, so that a server has its address again after a restart
		c[i] = newNode(t, &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Port: client, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]},
		})
	}
	c.waitForLeader(t)
	return c
}

// freePorts returns ports of the loopback address that nothing uses.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func (c cluster) waitForLeader(t testing.TB) {
	t.Helper()
	eventually(t, "the cluster has a leader that knows all servers", func() bool {
		return slices.ContainsFunc(c, func(n *node) bool {
			return n.JetStreamIsLeader() && len(n.JetStreamClusterPeers()) == len(c)
		})
	})
}

// urls returns the addresses of all servers.
func (c cluster) urls() string {
	var all []string
	for _, n := range c {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", n.options.Port))
	}
	return strings.Join(all, ",")
}

// leader returns the server that leads a stream.
func (c cluster) leader(t testing.TB, stream string) *node {
	t.Helper()
	var leader *node
	eventually(t, "the stream has a leader", func() bool {
		for _, n := range c {
			if n.Running() && n.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				leader = n
			}
		}
		return leader != nil
	})
	return leader
}

type storedMessage = *jetstream.RawStreamMsg

// observer is what tests see of JetStream.
type observer struct {
	*testing.T
	conn *natsgo.Conn
	js   jetstream.JetStream
}

func observe(t *testing.T, address string, options ...natsgo.Option) *observer {
	t.Helper()
	conn, err := natsgo.Connect(address, append(options, natsgo.MaxReconnects(-1), natsgo.ReconnectWait(50*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	return &observer{t, conn, js}
}

func (o *observer) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// stream waits until there is a stream.
func (o *observer) stream(name string) jetstream.Stream {
	o.Helper()
	var stream jetstream.Stream
	eventually(o.T, "there is a stream "+name, func() bool {
		var err error
		stream, err = o.js.Stream(o.Context(), name)
		return err == nil
	})
	return stream
}

// last returns the number of the last message, 0 if it is not known.
func (o *observer) last(name string) uint64 {
	ctx, cancel := context.WithTimeout(o.Context(), time.Second)
	defer cancel()
	stream, err := o.js.Stream(ctx, name)
	if err != nil {
		return 0
	}
	return stream.CachedInfo().State.LastSeq
}

// messages returns all messages of a stream.
func (o *observer) messages(name string) (all []storedMessage) {
	o.Helper()
	stream := o.stream(name)
	info, err := stream.Info(o.Context())
	o.must(err)
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		msg, err := stream.GetMsg(o.Context(), seq)
		o.must(err)
		all = append(all, msg)
	}
	return all
}

// serverAt returns the options of a server with a port that it has again after a restart.
func serverAt(t *testing.T) *server.Options {
	t.Helper()
	return &server.Options{Port: freePorts(t, 1)[0]}
}

// createStream makes the stream with the shortest window of duplicates that there is.
func (o *observer) createStream() {
	o.Helper()
	_, err := o.js.CreateStream(o.Context(), jetstream.StreamConfig{
		Name: defaultStream, Subjects: []string{defaultPrefix + ".>"}, Storage: jetstream.FileStorage, Duplicates: 100 * time.Millisecond,
	})
	o.must(err)
}
