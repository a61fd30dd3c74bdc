package clerksync

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// EraseDue is what Run does each minute.
func (m *Mirror) EraseDue(ctx context.Context) error { return m.upkeep.EraseDue(ctx) }

// Purge is what Run does each hour.
func (m *Mirror) Purge(ctx context.Context) (mirror.Purged, error) { return m.upkeep.Purge(ctx) }

// BeginLife and EndLife are the begin and the end of Run.
func (m *Mirror) BeginLife(ctx context.Context) error { return m.upkeep.BeginLife(ctx) }
func (m *Mirror) EndLife(ctx context.Context)         { m.upkeep.EndLife(ctx) }

// SyncOnce does what is due, and returns what that was.
func (m *Mirror) SyncOnce(ctx context.Context) (string, error) {
	what, _, err := m.upkeep.SyncOnce(ctx, true)
	return string(what), err
}

// SettleDoubts is what Run does within seconds where something waits in the verify queue.
func (m *Mirror) SettleDoubts(ctx context.Context) error { return m.upkeep.Verify(ctx) }

// FollowFeed is what Run does every few seconds.
func (m *Mirror) FollowFeed(ctx context.Context) error { return m.gate.FollowFeed(ctx) }

// PauseSync waits for the next work in the background, and returns true when that is to compare
// everything.
func (m *Mirror) PauseSync(ctx context.Context) bool { return m.upkeep.Pause(ctx, time.Minute) }
