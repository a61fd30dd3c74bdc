package nats

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// Publisher publishes the change feed of a mirror to NATS JetStream. Make it with [New]. It is safe
// for concurrent use; [Publisher.Run] is called once.
type Publisher struct {
	feed    changeFeed
	options Options
	log     *slog.Logger
	id      string // random, for HeaderPublisher
	times   times
	state   state
	metrics *metrics.Instruments

	known  position // where the stream ended when this publisher looked or stored last
	doubt  doubt
	resets []time.Time // because of another history that another publisher stored
}

// changeFeed is what the publisher needs of the change feed.
type changeFeed interface {
	Page(ctx context.Context, query mirror.FeedQuery) (mirror.FeedPage, error)
	Head(ctx context.Context) (mirror.FeedCursor, error)
	Oldest(ctx context.Context) (mirror.FeedCursor, error)
}

// times are replaced in tests.
type times struct {
	retryMin, retryMax time.Duration // between two tries
	settle             time.Duration // until a last message that is not the one named is believed
	standbyLook        time.Duration // how often a publisher that stands by looks
	takeover           time.Duration // how long the stream must not move although there are changes
	shutdown           time.Duration // for what is in flight when Run is told to stop
}

func defaultTimes() times {
	return times{
		retryMin: 250 * time.Millisecond, retryMax: 15 * time.Second, settle: 3 * time.Second,
		standbyLook: time.Second, takeover: 5 * time.Second, shutdown: ackTimeout,
	}
}

// New makes a publisher of the changes of a mirror. It connects to nothing; see [Publisher.Run].
// The error lists all faults of the options. It contains no part of the URL and of the credentials.
func New(m *clerksync.Mirror, options Options) (*Publisher, error) {
	return newPublisher(m.Feed(), options)
}

func newPublisher(f changeFeed, options Options) (*Publisher, error) {
	options = options.withDefaults()
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	p := &Publisher{feed: f, options: options, log: options.Logger, id: hex.EncodeToString(id), times: defaultTimes()}
	p.state.begin(time.Now())
	var err error
	p.metrics, err = metrics.NewFor(options.MeterProvider, metrics.NATS(), p.collect)
	return p, err
}

// StoppedError is the error of [Publisher.Run] for what it cannot mend by trying again.
type StoppedError struct {
	// Reason says what is wrong, and what to do.
	Reason string
}

// Error returns the reason.
func (e *StoppedError) Error() string { return "nats: publishing has stopped: " + e.Reason }

// Run publishes until the context ends. Then it waits a few seconds for what is in flight, and
// returns nil. While NATS or the database cannot be reached, or NATS refuses something, it tries
// again, with pauses of up to 15 seconds, and logs why.
//
// Run returns a [*StoppedError] if going on could store wrong messages: another program stores
// messages with the ids of the feed, or another database is published to the same stream.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.metrics.Close() //nolint:errcheck // what was registered can be unregistered
	var c *connection
	defer func() { c.close() }()
	delay := p.times.retryMin
	for ctx.Err() == nil {
		var err error
		if c.closed() {
			c, err = p.connect(ctx)
		}
		published := p.state.count()
		if err == nil {
			err = p.publish(ctx, c)
		}
		if ctx.Err() != nil {
			break
		}
		if stopped, ok := errors.AsType[*StoppedError](err); ok {
			p.state.stop()
			p.log.Error("publishing to NATS has stopped", "stream", p.options.Stream, "reason", stopped.Reason)
			return stopped
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
			c.reconnect()
		}
		if p.state.count() > published {
			delay = p.times.retryMin
		}
		if p.state.fail(err) {
			p.log.Warn("changes cannot be published to NATS; trying again", "stream", p.options.Stream, "error", err)
		}
		if place := p.state.place(); place != "" {
			if head, err := p.feed.Head(ctx); err == nil && head == place {
				p.state.idle()
			}
		}
		_ = wait.For(ctx, delay)
		delay = min(2*delay, p.times.retryMax)
	}
	return nil
}

// maxOvertaken is how often a publisher is overtaken until it makes a pause.
const maxOvertaken = 10

// publish publishes until something fails.
func (p *Publisher) publish(ctx context.Context, c *connection) error {
	stream, err := p.openStream(ctx, c)
	if err != nil {
		return err
	}
	overtaken := false
	for tries := 0; ; tries++ {
		pos, err := p.position(ctx, c, stream)
		if err == nil && overtaken && pos.by != p.id {
			pos, err = p.standBy(ctx, c, stream, pos)
		}
		if err == nil {
			err = p.follow(ctx, c, stream, pos)
		}
		overtaken = errors.Is(err, errOvertaken) || errors.Is(err, errMoved)
		switch {
		case !overtaken || ctx.Err() != nil:
			return err
		case tries == maxOvertaken:
			return fmt.Errorf("the stream %s takes no message after its last one: %w", p.options.Stream, err)
		}
	}
}

func (p *Publisher) onDisconnect(_ *natsgo.Conn, err error) {
	if err != nil {
		p.log.Warn("the connection to NATS broke", "error", err)
	}
}

func (p *Publisher) onReconnect(c *natsgo.Conn) {
	p.log.Info("connected to NATS again", "server", c.ConnectedUrlRedacted())
}
