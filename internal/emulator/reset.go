package emulator

import (
	"cmp"
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
func (e *Emulator) begin() error {
	e.origin = origin{e.random.clone(), e.clock.now()}
	var wrong error
	e.random = e.rebuild(e.random, func(path string, err error) {
		wrong = cmp.Or(wrong, fmt.Errorf("the fixtures do not fit the users that the seed makes: %s: %w", path, err))
	})
	return wrong
}

// rebuild replaces all objects by those of the start, and returns the source with which it made
// them.
func (e *Emulator) rebuild(from random, refused func(path string, err error)) (used random) {
	kept, dev := e.random, e.browsers.known()
	e.random = from
	e.objects = noObjects()
	e.browsers.dev = dev // pages that are open stay recognized, without a client
	e.seedAccess()
	e.seedUsers(e.options.Users)
	e.seedOrganizations(e.options.Organizations, e.options.Memberships)
	if e.options.Fixtures != nil {
		e.buildFixtures(e.options.Fixtures, refused)
	}
	used, e.random = e.random, kept
	return used
}

// Reset returns the instance to its start. Keys and endpoints stay, and so does the count of calls
// that got 501. Sessions, messages, faults and what the clock was advanced by are gone. Messages
// under way are discarded. Requests that a receiver has not answered yet get a second to end.
func (e *Emulator) Reset(ctx context.Context) {
	e.mu.Lock()
	e.clock.reset()
	if now := e.clock.now(); now.Sub(e.origin.at) > oldStart {
		e.origin.at = now
	}
	e.rebuild(e.origin.random.clone(), func(string, error) {}) // it was possible at the start
	e.chaos, e.changed = newRandom(e.options.Seed+1), true
	round := e.sender.forget()
	e.faults = e.startFaults()
	e.sender.setFaults(e.faults)
	e.mu.Unlock()
	round.finish(ctx)
}

// oldStart is how long after the start a reset gives the objects the times of the start. Then they
// get the time of the reset, so that invitations of a long-lived instance have not expired.
const oldStart = 24 * time.Hour

// startFaults returns the faults that are in force from the start.
func (e *Emulator) startFaults() Faults {
	if e.options.Fixtures == nil {
		return Faults{}
	}
	return e.options.Fixtures.file.Faults
}

// Restore changes all objects back to those of the start, and sends the events of these changes, so
// that a mirror can follow. Unlike [Emulator.Reset] it moves no clock, and messages under way are
// sent, now and without faults. It returns the ids of users and organizations that were deleted and
// are back: a mirror keeps those deleted, because Clerk never gives an id again.
func (e *Emulator) Restore() (returned []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults, e.chaos, e.changed = e.startFaults(), newRandom(e.options.Seed+1), true
	e.sender.hurry()
	e.sender.setFaults(e.faults)
	return e.restore()
}

func (e *Emulator) resetInstance(c *call) (any, error) {
	var p struct {
		Events bool `json:"events"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	returned := []string{}
	if p.Events {
		returned = append(returned, e.Restore()...)
	} else {
		e.Reset(c.r.Context())
	}
	return struct {
		Clock    time.Time `json:"clock"`
		Returned []string  `json:"returned"` // ids that a mirror keeps deleted
	}{e.Now().UTC(), returned}, nil
}
