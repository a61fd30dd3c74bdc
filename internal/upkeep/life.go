package upkeep

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// aliveEvery is how often a process records that it is running.
	aliveEvery = time.Minute
	// endTimeout bounds how long the end waits for the database.
	endTimeout = 5 * time.Second
)

// BeginLife records that this process keeps the mirror up to date. Where no process did so for a
// while, or one was killed, or the database is a restored copy, changes at Clerk may be missing:
// then nothing is proven until a walk that begins from now on is complete.
func (u *Upkeep) BeginLife(ctx context.Context) error {
	judge := status.Gap
	if u.db.Engine() == store.SQLite {
		judge = status.GapOfFile
	}
	copied, err := u.db.CopiedAt(ctx)
	if err != nil {
		return err
	}
	gap, err := u.db.BeginLife(ctx, u.holder, clerk.TimeOf(u.config.Now()), judge)
	switch {
	case gap && copied != 0:
		u.config.Logger.Warn("this database was restored from a copy: everything is compared with Clerk before it counts as in sync; "+
			"readers of the change feed that had come further begin again; users who were erased since must be erased again", "copy_taken_at", copied)
	case gap:
		u.config.Logger.Warn("this mirror was stopped, killed or restored: everything is compared with Clerk before it counts as in sync")
	}
	return err
}

// noteLife records each minute that this process is running, until the context ends.
func (u *Upkeep) noteLife(ctx context.Context) {
	for wait(ctx, aliveEvery) {
		if err := u.db.NoteAlive(ctx, u.holder, clerk.TimeOf(u.config.Now())); err != nil && ctx.Err() == nil {
			u.config.Logger.Error("the sign of life could not be stored", "error", err)
		}
	}
}

// EndLife records an orderly end.
func (u *Upkeep) EndLife(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := u.db.NoteStopped(ctx, u.holder, clerk.TimeOf(u.config.Now())); err != nil {
		u.config.Logger.Error("the end of this process could not be stored: the next one compares everything with Clerk", "error", err)
	}
}
