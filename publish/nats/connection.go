package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	connectTimeout = 5 * time.Second
	requestTimeout = 5 * time.Second // of an answer of JetStream's API
	ackTimeout     = 5 * time.Second // of an acknowledgement
	reconnectWait  = 500 * time.Millisecond
	pingInterval   = 10 * time.Second // a dead connection is found after three
)

// connection is a connection to NATS. It reconnects to any server of the cluster by itself.
type connection struct {
	conn       *natsgo.Conn
	js         jetstream.JetStream
	violations chan error // what NATS did not permit
}

// dialer ends what it dials with the publisher.
type dialer struct {
	net.Dialer
	ctx context.Context
}

// Dial dials an address of a server.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(d.ctx, network, address)
}

// connect connects once.
func (p *Publisher) connect(ctx context.Context) (*connection, error) {
	c := &connection{violations: make(chan error, 1)}
	options := []natsgo.Option{
		natsgo.Name("clerksync"), natsgo.Timeout(connectTimeout), natsgo.SetCustomDialer(&dialer{net.Dialer{Timeout: connectTimeout}, ctx}),
		natsgo.PingInterval(pingInterval),
		natsgo.MaxReconnects(-1), natsgo.ReconnectWait(reconnectWait), natsgo.IgnoreAuthErrorAbort(),
		// what is published while there is no connection fails at once, and is not sent later
		natsgo.ReconnectBufSize(-1),
		natsgo.ErrorHandler(c.onError), natsgo.DisconnectErrHandler(p.onDisconnect), natsgo.ReconnectHandler(p.onReconnect),
	}
	if p.options.Credentials != "" {
		options = append(options, natsgo.UserCredentialBytes([]byte(p.options.Credentials)))
	}
	if p.options.TLS != nil {
		options = append(options, natsgo.Secure(p.options.TLS.Clone()))
	}
	var err error
	if c.conn, err = natsgo.Connect(p.options.URL, options...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	c.js, err = jetstream.New(c.conn, jetstream.WithPublishAsyncTimeout(ackTimeout), jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		c.conn.Close()
		return nil, err
	}
	p.log.Info("connected to NATS", "server", c.conn.ConnectedUrlRedacted(), "stream", p.options.Stream)
	return c, nil
}

// close ends the connection. It is called after all that was sent is acknowledged or given up.
func (c *connection) close() {
	if c != nil {
		c.conn.Close()
	}
}

// reconnect replaces a connection on which no answer came. It may be dead, and pings would find
// that later; another server of the cluster may know more.
func (c *connection) reconnect() {
	if !c.closed() {
		_ = c.conn.ForceReconnect()
	}
}

func (c *connection) closed() bool { return c == nil || c.conn.IsClosed() }

// onError remembers what NATS does not permit. A request or a message that is not permitted gets
// no answer.
func (c *connection) onError(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
	if !errors.Is(err, natsgo.ErrPermissionViolation) {
		return
	}
	select {
	case c.violations <- err:
	default: // an older one has not been reported yet
	}
}

// permissionError is the error for what NATS does not permit. The text of err names the subject.
func permissionError(err error) error {
	return fmt.Errorf("%w. Permit it to the user of the publisher; docs/changes.md lists all that it needs", err)
}

// request calls f with a context that ends when there is no answer in time, or when NATS does not
// permit something.
func (c *connection) request(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case violation := <-c.violations:
		cancel()
		if err := <-done; err == nil { // it was about something else
			return nil
		}
		return permissionError(violation)
	}
}
