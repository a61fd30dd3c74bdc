package clerkapi

import (
	"context"
	"fmt"
)

// flightKey is what calls must have in common to share a request. Calls of different priorities do
// not share one: a NoWait call would wait for the budget with a background call.
type flightKey struct {
	ref      Ref
	priority Priority
}

// flight is a shared call under way. reading and err may be read once done is closed.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	callers int // guarded by Client.mu
	reading Reading
	err     error
}

// share joins the flight of a key, or starts one. A flight goes on while any of its callers waits.
func (c *Client) share(
	ctx context.Context, key flightKey, call func(context.Context) (Reading, error),
) (Reading, error) {
	cancelled := func(err error) (Reading, error) {
		return Reading{Ref: key.ref}, fmt.Errorf("clerk: %s: %w", key.ref.op(), err)
	}
	if err := ctx.Err(); err != nil {
		return cancelled(err)
	}
	f := c.join(ctx, key, call)
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
	return cancelled(ctx.Err())
}

// join returns the flight of a key, with one caller more, and starts it if there is none.
func (c *Client) join(ctx context.Context, key flightKey, call func(context.Context) (Reading, error)) *flight {
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
		f.reading, f.err = call(detached)
		c.mu.Lock()
		c.end(key, f)
		c.mu.Unlock()
		close(f.done)
	}()
	return f
}

// end ends a flight, so that no further caller joins it. The caller holds Client.mu.
func (c *Client) end(key flightKey, f *flight) {
	f.cancel()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}
