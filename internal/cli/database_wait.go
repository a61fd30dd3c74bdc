package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// pinger is a database that can be asked whether it responds.
type pinger interface {
	clerksync.DB
	Ping(ctx context.Context) error
}

// awaitDatabase opens the configured database and waits until it responds, up to
// CLERKSYNC_DATABASE_WAIT. Only what may pass by itself is waited for; each attempt that fails is a
// line of the log.
func awaitDatabase(ctx context.Context, c *config.Config, logger *slog.Logger) (clerksync.DB, error) {
	db, err := openDatabase(c)
	if err != nil {
		return nil, err
	}
	asked, ok := db.(pinger)
	if !ok {
		return db, nil
	}
	if err := awaitAnswer(ctx, asked.Ping, c.DatabaseWait, logger); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

const (
	firstDatabasePause   = 500 * time.Millisecond
	longestDatabasePause = 5 * time.Second
)

// awaitAnswer calls ping until it succeeds, for at most limit.
func awaitAnswer(ctx context.Context, ping func(context.Context) error, limit time.Duration, logger *slog.Logger) error {
	start, pause := time.Now(), firstDatabasePause
	for {
		err := ping(ctx)
		fault, known := errors.AsType[*mirror.DatabaseError](err)
		waited := time.Since(start)
		switch {
		case err == nil, !known, !fault.Temporary, ctx.Err() != nil:
			return err
		case waited >= limit:
			if limit > 0 {
				fault.Problem += fmt.Sprintf(" (tried for %s: CLERKSYNC_DATABASE_WAIT)", limit)
			}
			return fault
		}
		pause = min(pause, limit-waited)
		logger.WarnContext(ctx, "the database cannot be used yet; the server waits for it", "database", fault.Database, "problem", fault.Problem,
			"remedy", fault.Remedy, "next_try_in", pause.String(), "gives_up_in", (limit - waited).String())
		if err := wait.For(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestDatabasePause)
	}
}
