package emulator

import (
	"context"
	"fmt"
	"time"
)

// origin is what the objects of the start are made from.
type origin struct {
	random random    // as it was then
	at     time.Time // when the instance began, by its clock
}

// clone returns a second source of the same numbers.
func (r random) clone() random {
	state, err := r.source.MarshalBinary()
	copied := newRandom(0)
	if err == nil {
		err = copied.source.UnmarshalBinary(state)
	}
	if err != nil {
		panic(fmt.Sprintf("emulator: copy a source of random numbers: %v", err)) // it has no other states
	}
	*copied.ids = *r.ids
	return copied
}

// begin makes the objects of the start. What is created later never gets an id that exists.
func (e *Emulator) begin() {
	e.origin = origin{e.random.clone(), e.clock.now()}
	e.random = e.rebuild(e.random)
}

// rebuild replaces all objects by those of the start, and returns the source with which it made
// them.
func (e *Emulator) rebuild(from random) (used random) {
	kept, dev := e.random, e.browsers.known()
	e.random = from
	e.objects = noObjects()
	e.browsers.dev = dev // pages that are open stay recognized, without a client
	e.seedAccess()
	e.seedUsers(e.options.Users)
	e.seedOrganizations(e.options.Organizations, e.options.Memberships)
	used, e.random = e.random, kept
	return used
}

// Reset returns the instance to its start. Keys and endpoints stay, and so does the count of calls
// that got 501. Sessions, messages, faults and what the clock was advanced by are gone. Messages
// under way are discarded. Requests that a receiver has not answered yet get a second to end.
func (e *Emulator) Reset(ctx context.Context) {
	e.mu.Lock()
	e.clock.reset()
	e.rebuild(e.origin.random.clone())
	e.faults, e.chaos = Faults{}, newRandom(e.options.Seed+1)
	e.changed = true
	round := e.sender.forget()
	e.mu.Unlock()
	round.finish(ctx)
}

func (e *Emulator) resetInstance(c *call) (any, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return nil, err
	}
	e.Reset(c.r.Context())
	return map[string]time.Time{"clock": e.Now().UTC()}, nil
}
