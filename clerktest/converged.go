package clerktest

import (
	"context"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/viewreader"
)

const (
	patience = 30 * time.Second // how long one wait for deliveries may take, in real time
	rounds   = 1000             // the number of retries to wait for, more than Svix makes
)

// AssertConverged waits until no webhook is pending, and then fails the test with every difference
// between the instance and the mirror. It moves the instance's clock over the pauses between
// retries. It compares users, sessions, organizations and memberships.
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
	differences, err := c.emulator.Differences(ctx, viewreader.FromAPI(m))
	c.must(err)
	for _, d := range differences {
		t.Errorf("the mirror differs: %s", d)
	}
}
