package clerksync

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
)

// aliveEvery is how often Run records in the database that it is running.
const aliveEvery = time.Minute

// endTimeout bounds what the end of Run waits for the database.
const endTimeout = 5 * time.Second

// beginLife records that this process looks after the mirror. Where no process did so for a while, or one was killed,
// or the database is a restored copy, what Clerk changed meanwhile may be missing: then nothing is proven until a walk
// that begins from now on is whole.
func (m *Mirror) beginLife(ctx context.Context) error {
	judge := status.Gap
	if m.db.Engine() == store.SQLite {
		judge = status.GapOfFile
	}
	gap, err := m.db.BeginLife(ctx, m.holder, clerk.TimeOf(m.config.Test.Now()), judge)
	if gap {
		m.config.Logger.Warn("this mirror was stopped, killed or restored: everything is compared with Clerk before it counts as in sync")
	}
	return err
}

// noteLife records each minute that this process is running, until the context ends.
func (m *Mirror) noteLife(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(aliveEvery):
		}
		if err := m.db.NoteAlive(ctx, m.holder, clerk.TimeOf(m.config.Test.Now())); err != nil && ctx.Err() == nil {
			m.config.Logger.Error("the sign of life could not be stored", "error", err)
		}
	}
}

// endLife records an orderly end.
func (m *Mirror) endLife(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := m.db.NoteStopped(ctx, m.holder, clerk.TimeOf(m.config.Test.Now())); err != nil {
		m.config.Logger.Error("the end of this process could not be stored: the next one compares everything with Clerk", "error", err)
	}
}

// followFeed reads the change feed every few seconds, until the context ends: while no request does, nothing else would notice
// a copy that was restored under a running server.
func (m *Mirror) followFeed(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(doubtsEvery):
		}
		if err := m.gate.FollowFeed(ctx); err != nil && ctx.Err() == nil {
			m.config.Logger.Debug("the change feed could not be read", "error", err) // health reports the database
		}
	}
}

// historyLost records that the database is not the one that this process knew, such as a restored copy: what it knew
// of walks proves nothing now.
func (m *Mirror) historyLost(ctx context.Context) {
	m.config.Logger.Warn("the change feed is not the one that was read before: the database may have been restored")
	if err := m.db.NoteGap(ctx, clerk.TimeOf(m.config.Test.Now())); err != nil {
		m.config.Logger.Error("the gap could not be stored", "error", err)
	}
	select {
	case m.resync <- struct{}{}:
	default: // it is known
	}
}
