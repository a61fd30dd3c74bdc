package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/mirror"
)

const (
	pageSize = 500              // changes that are read at a time
	pageWait = 20 * time.Second // for the next change
)

// Two publishers of different databases on one stream would reset each other without end.
const (
	maxResets   = 3
	resetWindow = 10 * time.Minute
)

// follow publishes what comes after a position. It returns an error, or nil when the context has
// ended.
func (p *Publisher) follow(ctx context.Context, c *connection, stream jetstream.Stream, pos position) error {
	w := &window{p: p, c: c, stream: stream, last: pos.last, limit: p.messageLimit(c, stream)}
	err := p.fill(ctx, w, pos)
	if stopping := ctx.Err() != nil; stopping {
		err = nil
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.times.shutdown)
	defer cancel()
	if settled := w.settle(finish, err == nil); err == nil {
		err = settled
	}
	return err
}

// messageLimit returns the size of the largest message.
func (p *Publisher) messageLimit(c *connection, stream jetstream.Stream) int64 {
	limit := c.conn.MaxPayload()
	if size := int64(stream.CachedInfo().Config.MaxMsgSize); size > 0 {
		limit = min(limit, size)
	}
	return limit
}

// fill reads pages and sends their changes.
func (p *Publisher) fill(ctx context.Context, w *window, pos position) error {
	if pos.none {
		if err := p.begin(ctx, w, &pos); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		if err := p.complete(ctx, w, &pos, false); err != nil {
			return err
		}
		page, err := p.feed.Page(ctx, p.query(w, pos))
		if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
			if err := p.restart(ctx, w, &pos, gone); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read the change feed: %w", err)
		}
		if err := p.sendPage(ctx, w, &pos, page); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// query returns what to read after a position. Only when all messages are acknowledged it waits.
func (p *Publisher) query(w *window, pos position) mirror.FeedQuery {
	q := mirror.FeedQuery{After: pos.cursor, Limit: pageSize, IncludeObject: p.options.IncludeObject}
	if pos.inSnapshot && pos.cursor == "" {
		q.Snapshot = p.options.Snapshot
	}
	if len(w.sent) == 0 && !pos.inSnapshot {
		q.Wait = pageWait
	}
	return q
}

// sendPage sends the changes of a page. At the end of the feed it waits until they are
// acknowledged, so that a failure is noticed before the next change comes.
func (p *Publisher) sendPage(ctx context.Context, w *window, pos *position, page mirror.FeedPage) error {
	for _, change := range page.Changes {
		if change.Operation != mirror.Read {
			if err := p.complete(ctx, w, pos, true); err != nil {
				return err
			}
		}
		m, err := changeMessage(change, w.limit)
		if err == nil {
			err = w.send(ctx, m)
		}
		if err != nil {
			return err
		}
		pos.cursor, pos.inSnapshot, pos.by = change.Cursor, change.Operation == mirror.Read, p.id
	}
	pos.cursor = page.Next
	if !page.CaughtUp {
		return nil
	}
	if err := w.settle(ctx, true); err != nil {
		return err
	}
	p.state.caughtUp(pos.cursor)
	return nil
}

// complete says that a snapshot is complete, if it is: the next place is one of the feed.
func (p *Publisher) complete(ctx context.Context, w *window, pos *position, changesFollow bool) error {
	_, _, err := pos.cursor.Split()
	if !pos.inSnapshot || err != nil && !changesFollow {
		return nil
	}
	pos.inSnapshot = false
	m, err := completeMessage(pos.cursor)
	if err != nil {
		return err
	}
	return w.send(ctx, m)
}

// begin starts in a stream that says no place: it is new, or it was emptied.
func (p *Publisher) begin(ctx context.Context, w *window, pos *position) (err error) {
	r := Reset{Reason: ReasonStart}
	switch {
	case pos.last > 0: // consumers may have missed what was removed
		r = Reset{Reason: ReasonEmptied, Snapshot: p.options.Snapshot}
	case p.options.Start == StartSnapshot:
		r.Snapshot = p.options.Snapshot
	case p.options.Start == StartOldest:
		r.Cursor, err = p.feed.Oldest(ctx)
	case p.options.Start == StartNow:
		r.Cursor, err = p.feed.Head(ctx)
	}
	if err != nil {
		return fmt.Errorf("read the change feed: %w", err)
	}
	pos.none = false
	return p.reset(ctx, w, pos, r)
}

// restart starts again where the feed cannot be continued after the cursor of the stream.
func (p *Publisher) restart(ctx context.Context, w *window, pos *position, gone *mirror.CursorGoneError) error {
	if gone.Reason == mirror.CursorOtherHistory && pos.by != "" && pos.by != p.id {
		now := time.Now()
		p.resets = slices.DeleteFunc(p.resets, func(t time.Time) bool { return now.Sub(t) > resetWindow })
		if p.resets = append(p.resets, now); len(p.resets) > maxResets {
			return p.anotherDatabase()
		}
	}
	p.log.Warn("the change feed cannot be continued after the last message of the stream; consumers get a reset and a snapshot",
		"stream", p.options.Stream, "cursor", string(gone.Cursor), "reason", gone.Reason)
	return p.reset(ctx, w, pos, Reset{Reason: gone.Reason, Snapshot: p.options.Snapshot})
}

func (p *Publisher) reset(ctx context.Context, w *window, pos *position, r Reset) error {
	m, err := resetMessage(r)
	if err != nil {
		return err
	}
	pos.cursor, pos.inSnapshot, pos.by = r.Cursor, r.Cursor == "", p.id
	p.state.reset()
	return w.send(ctx, m)
}
