package emulator

import (
	"sync"
	"time"
)

// clock is real time plus what it was advanced by. Objects, events and retries follow it. Tokens
// and timestamps of signatures do not, because real verifiers check those.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
	moved  chan struct{} // closed when advanced
}

func newClock() *clock { return &clock{moved: make(chan struct{})} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.move(c.offset + d)
}

// reset returns to the real time.
func (c *clock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.move(0)
}

func (c *clock) move(offset time.Duration) {
	c.offset = offset
	close(c.moved)
	c.moved = make(chan struct{})
}

func (c *clock) advanced() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}
