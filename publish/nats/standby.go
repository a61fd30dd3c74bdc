package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// standBy waits until the publisher that has overtaken this one stops. It returns where the stream
// then ends.
func (p *Publisher) standBy(ctx context.Context, c *connection, stream jetstream.Stream, pos position) (position, error) {
	p.log.Info("another publisher works on the stream; this one stands by", "stream", p.options.Stream)
	moved, known := time.Now(), time.Now() // when the stream moved, and when the feed knew its place
	for {
		_ = wait.For(ctx, p.times.standbyLook)
		if ctx.Err() != nil {
			return pos, ctx.Err()
		}
		now, err := p.position(ctx, c, stream)
		switch {
		case errors.Is(err, errMoved):
			moved = time.Now()
			continue
		case err != nil:
			return pos, err
		case now.last != pos.last:
			moved = time.Now()
		}
		pos = now
		waiting, foreign, err := p.hasNext(ctx, pos)
		if err != nil {
			return pos, err
		}
		if !foreign {
			known = time.Now()
		}
		quiet := time.Since(moved) >= p.times.takeover
		switch {
		case !waiting:
			p.state.caughtUp(pos.cursor)
		case quiet:
			p.log.Info("the other publisher has stopped; this one takes over", "stream", p.options.Stream)
			return pos, nil
		case time.Since(known) >= 2*p.times.takeover: // it works, on changes that are not ours
			return pos, p.anotherDatabase()
		}
	}
}

// hasNext reports whether something could be published after a position, and whether the position
// is of another history.
func (p *Publisher) hasNext(ctx context.Context, pos position) (waiting, foreign bool, err error) {
	if pos.none || pos.inSnapshot && pos.cursor == "" {
		return true, false, nil
	}
	page, err := p.feed.Page(ctx, mirror.FeedQuery{After: pos.cursor, Limit: 1})
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return true, gone.Reason == mirror.CursorOtherHistory, nil
	}
	return pos.inSnapshot || len(page.Changes) > 0, false, err
}

// anotherDatabase is the error for two databases on one stream.
func (p *Publisher) anotherDatabase() error {
	return &StoppedError{"another database is published to the stream " + p.options.Stream +
		", too, and each sees a history that is not its own. Give each database a stream and a subject prefix of its own"}
}
