package clerktest

import (
	"context"
	"fmt"
	"strings"
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
// retries. It compares users, sessions, organizations and memberships. If there are differences and
// webhooks were not delivered, it logs what became of the last one.
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
	if why := c.undelivered(); len(differences) > 0 && why != "" {
		t.Logf("%s", why)
	}
}

// undelivered returns why webhooks did not reach the mirror, or "" if they did. It ignores those
// that a fault dropped.
func (c *Clerk) undelivered() string {
	var failed int
	var last Attempt
	messages := c.Deliveries()
	for _, m := range messages {
		if m.State == "delivered" || m.State == "dropped" {
			continue
		}
		failed++
		if n := len(m.Attempts); n > 0 {
			last = m.Attempts[n-1]
		}
	}
	switch {
	case len(messages) == 0 || failed > 0 && last.At.IsZero():
		return "no webhook was sent; Clerk.SendTo subscribes a handler to all events from then on"
	case failed == 0:
		return ""
	case last.Error != "":
		return fmt.Sprintf("%d of %d webhooks were not delivered; the last attempt failed: %s", failed, len(messages), last.Error)
	}
	return fmt.Sprintf("%d of %d webhooks were not delivered; the last response was status %d, %q",
		failed, len(messages), last.Status, strings.TrimSpace(last.Answer))
}
