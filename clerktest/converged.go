package clerktest

import (
	"context"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
)

// patience is how long one wait for deliveries may take, in real time.
const patience = 30 * time.Second

// rounds is how many retries are waited for: more than Svix makes.
const rounds = 1000

// AssertConverged waits until every event is delivered, given up or dropped, moving the instance's
// clock over the waits between retries, and fails the test with each difference between the
// instance and the mirror.
func AssertConverged(t testing.TB, c *Clerk, m *clerksync.Mirror) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range rounds {
		c.must(c.emulator.Settle(ctx))
		next, waits := c.emulator.Pending()
		if !waits {
			break
		}
		if d := next.Sub(c.emulator.Now()); d > 0 {
			c.Advance(d)
		}
	}
	differences, err := c.emulator.Differences(ctx, Reader(m))
	c.must(err)
	for _, d := range differences {
		t.Errorf("the mirror differs: %s", d)
	}
}
