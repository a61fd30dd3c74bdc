package clerktest

import (
	"context"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

const consumedPoll = 5 * time.Millisecond

// Consumed waits until a consumer ([clerksync.Mirror.Consume]) has handled or parked every change
// that the mirror has now. It fails the test if that takes longer than 30 seconds, and if the
// consumer is paused or stopped. The consumer need not run yet when Consumed is called. A new
// consumer begins with the next change; pass [clerksync.StartAt] with [mirror.FeedStart] so that it
// does not matter which is first, the consumer or the change.
func Consumed(t testing.TB, m *clerksync.Mirror, consumer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	head, err := m.Feed().Head(ctx)
	if err != nil {
		t.Fatalf("clerktest: %v", err)
	}
	for {
		c, found, err := consumerOf(ctx, m, consumer)
		switch {
		case err != nil && ctx.Err() == nil:
			t.Fatalf("clerktest: %v", err)
		case c.State == mirror.ConsumerPaused || c.State == mirror.ConsumerStopped:
			t.Fatalf("clerktest: consumer %s is %s %s", consumer, c.State, c.StopReason)
		case found && c.HeldBack == 0 && passed(c.Cursor, head):
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("clerktest: consumer %s has not handled everything (found: %v, state %q, %d changes behind, %d held back; last error: %s)",
				consumer, found, c.State, c.LagChanges, c.HeldBack, c.LastError)
		case <-time.After(consumedPoll):
		}
	}
}

func consumerOf(ctx context.Context, m *clerksync.Mirror, name string) (c mirror.Consumer, found bool, err error) {
	list, err := m.Feed().Consumers(ctx)
	for i := range list {
		if list[i].Name == name {
			return list[i], true, err
		}
	}
	return c, false, err
}

// passed reports whether a consumer has come as far as a change. The cursor of a snapshot has not.
func passed(cursor, change mirror.FeedCursor) bool {
	at, _, err := cursor.Split()
	want, _, wrong := change.Split()
	return err == nil && wrong == nil && at >= want
}
