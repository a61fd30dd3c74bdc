package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

func openDatabase(c *config.Config) (clerksync.DB, error) {
	if c.Database.Engine == "postgres" {
		return postgres.Open(c.Database.DSN)
	}
	var options []sqlite.Option
	if c.SQLiteSynchronous == "NORMAL" {
		options = append(options, sqlite.DangerouslySynchronousNormal())
	}
	return sqlite.Open(c.Database.Path, options...)
}

// openToRead opens the configured database for a command that only reads. It makes no file.
func openToRead(c *config.Config) (clerksync.DB, error) {
	if c.Database.Engine == "postgres" {
		return postgres.OpenReadOnly(c.Database.DSN)
	}
	return sqlite.OpenReadOnly(c.Database.Path)
}

// newMirror opens the configured mirror.
func newMirror(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	return mirrorOn(ctx, openDatabase, c, logger)
}

// newReader opens the configured mirror for a command that only reads: it changes nothing in the database, and works for
// a role that may change nothing.
func newReader(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	m, err := mirrorOn(ctx, openToRead, c, logger)
	return m, whereNoneIs(err)
}

// newStoredMirror opens the configured mirror for a command that changes what is stored. It makes no database: where there
// is none, DATABASE_URL is probably mistyped.
func newStoredMirror(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	db, err := openToRead(c)
	if err == nil {
		err = db.Close()
	}
	if errors.Is(err, sqlite.ErrNoDatabase) {
		return nil, whereNoneIs(err)
	}
	return newMirror(ctx, c, logger)
}

// whereNoneIs adds what to do where there is no database.
func whereNoneIs(err error) error {
	if errors.Is(err, sqlite.ErrNoDatabase) {
		return fmt.Errorf("%w\nCheck DATABASE_URL, or run clerksync serve, which makes the database and fills it", err)
	}
	return err
}

func mirrorOn(ctx context.Context, open func(*config.Config) (clerksync.DB, error), c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	collectRarely()
	db, err := open(c)
	if err != nil {
		return nil, err
	}
	return clerksync.New(ctx, db, mirrorConfig(c, logger))
}

// fetchKeys asks for the keys that verify tokens, not longer than a start may take. Keys of another instance than the
// database's are an error; that Clerk cannot be reached is none.
func fetchKeys(ctx context.Context, m *clerksync.Mirror, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := m.FetchKeys(ctx)
	if errors.Is(err, clerksync.ErrOtherInstance) {
		return err
	}
	if err != nil {
		logger.Warn("Clerk's keys could not be fetched; it is tried again when they are needed", "error", err)
	}
	return nil
}
