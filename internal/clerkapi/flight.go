package clerkapi

import (
	"context"
	"fmt"
)

// flightKey is what calls must have in common to share a request. Priorities share none: who has no time would wait
// behind the budget of who has.
type flightKey struct {
	ref      Ref
	priority Priority
}

// flight is a shared call under way. reading and err are to be read after done is closed.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	callers int // guarded by Client.mu
	reading Reading
	err     error
}

// share joins the flight of this key, or starts it. It goes on as long as any of its callers waits.
func (c *Client) share(
	ctx context.Context, key flightKey, fly func(context.Context) (Reading, error),
) (Reading, error) {
	gone := func(err error) (Reading, error) {
		return Reading{Ref: key.ref}, fmt.Errorf("clerk: %s: %w", key.ref.op(), err)
	}
	if err := ctx.Err(); err != nil {
		return gone(err)
	}
	f := c.board(ctx, key, fly)
	select {
	case <-f.done:
		return f.reading, f.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.callers--; f.callers == 0 {
		c.end(key, f)
	}
	return gone(ctx.Err())
}

func (c *Client) board(ctx context.Context, key flightKey, fly func(context.Context) (Reading, error)) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		f.callers++
		c.shared.Add(1)
		return f
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel, callers: 1}
	c.flights[key] = f
	go func() {
		f.reading, f.err = fly(detached)
		c.mu.Lock()
		c.end(key, f)
		c.mu.Unlock()
		close(f.done)
	}()
	return f
}

// end lets nobody join any more. Client.mu is held.
func (c *Client) end(key flightKey, f *flight) {
	f.cancel()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}
