package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/mirror"
)

// standBy waits until the publisher that has overtaken this one stops. It returns where the stream
// then ends.
func (p *Publisher) standBy(ctx context.Context, c *connection, stream jetstream.Stream, pos position) (position, error) {
	p.log.Info("another publisher works on the stream; this one stands by", "stream", p.options.Stream)
	moved := time.Now()
	for {
		sleep(ctx, p.times.standbyLook)
		if ctx.Err() != nil {
			return pos, ctx.Err()
		}
		now, err := p.position(ctx, c, stream)
		switch {
		case errors.Is(err, errMoved), err == nil && now.last != pos.last:
			moved = time.Now()
			if err != nil {
				continue
			}
		case err != nil:
			return pos, err
		}
		pos = now
		waiting, err := p.hasNext(ctx, pos)
		switch {
		case err != nil:
			return pos, err
		case !waiting:
			p.state.caughtUp(pos.cursor)
		case time.Since(moved) >= p.times.takeover:
			p.log.Info("the other publisher has stopped; this one takes over", "stream", p.options.Stream)
			return pos, nil
		}
	}
}

// hasNext reports whether something could be published after a position.
func (p *Publisher) hasNext(ctx context.Context, pos position) (bool, error) {
	if pos.none || pos.inSnapshot {
		return true, nil
	}
	page, err := p.feed.Page(ctx, mirror.FeedQuery{After: pos.cursor, Limit: 1})
	if _, gone := errors.AsType[*mirror.CursorGoneError](err); gone {
		return true, nil
	}
	return len(page.Changes) > 0, err
}
