package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	if c.SQLiteCheckpoints == "external" {
		options = append(options, sqlite.ForeignCheckpoints())
	}
	if c.SQLiteMode != 0 || c.SQLiteGroup != "" {
		options = append(options, sqlite.Access(sqlite.FileAccess{Mode: os.FileMode(c.SQLiteMode), Group: c.SQLiteGroup}))
	}
	if c.UpgradeCopies > 0 {
		options = append(options, sqlite.CopyBeforeUpgrade(int(c.UpgradeCopies)))
	}
	return sqlite.Open(c.Database.Path, options...)
}

// openReplica opens the configured read replica, nil if there is none. It does not connect.
func openReplica(c *config.Config) (clerksync.DB, error) {
	if c.ReadDatabase.Engine == "" {
		return nil, nil //nolint:nilnil // no replica is a value
	}
	if c.Database.Engine != "postgres" {
		return nil, errors.New("CLERKSYNC_READ_DATABASE_URL names a read replica, and DATABASE_URL is SQLite, which has none\n" +
			"Unset it, or set DATABASE_URL to the primary")
	}
	return postgres.OpenReadOnly(c.ReadDatabase.DSN)
}

// openToRead opens the configured database for a command that only reads. It creates no file.
func openToRead(c *config.Config) (clerksync.DB, error) {
	if c.Database.Engine == "postgres" {
		return postgres.OpenReadOnly(c.Database.DSN)
	}
	return sqlite.OpenReadOnly(c.Database.Path)
}

// opener opens the configured mirror.
type opener func(context.Context, *config.Config, *slog.Logger) (*clerksync.Mirror, error)

// newMirror opens the mirror, and creates its database if there is none.
func newMirror(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	return mirrorOn(ctx, openDatabase, c, logger)
}

// newReader opens the mirror for a command that only reads. It changes nothing in the database, and
// needs no right to.
func newReader(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	m, err := mirrorOn(ctx, openToRead, c, logger)
	return m, withAdvice(err)
}

// newStoredMirror opens the mirror for a command that changes what is stored. It creates no
// database: if there is none, DATABASE_URL is probably mistyped.
func newStoredMirror(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	m, err := mirrorOn(ctx, openStored, c, logger)
	return m, withAdvice(err)
}

// openStored opens the configured database for a command that changes what is stored. It creates
// none.
func openStored(c *config.Config) (clerksync.DB, error) {
	db, err := openToRead(c)
	if err == nil {
		err = db.Close()
	}
	if errors.Is(err, sqlite.ErrNoDatabase) {
		return nil, err
	}
	return openDatabase(c)
}

// withAdvice adds what to do if there is no database.
func withAdvice(err error) error {
	if errors.Is(err, sqlite.ErrNoDatabase) {
		return fmt.Errorf("%w\nCheck DATABASE_URL, or run clerksync serve, which creates the database and fills it", err)
	}
	return err
}

func mirrorOn(
	ctx context.Context, open func(*config.Config) (clerksync.DB, error), c *config.Config, logger *slog.Logger,
) (*clerksync.Mirror, error) {
	tuneGC()
	db, err := open(c)
	if err != nil {
		return nil, err
	}
	return clerksync.New(ctx, db, mirrorConfig(c, logger))
}

// withSecretKey returns an opener for a command that reads Clerk. It needs the secret key, and
// fails without it before a database is opened or created.
func withSecretKey(open opener) opener {
	return func(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
		if c.SecretKey == "" {
			return nil, fmt.Errorf("%w, so nothing can be read from Clerk\nSet CLERK_SECRET_KEY", clerksync.ErrNoSecretKey)
		}
		return open(ctx, c, logger)
	}
}

// withKeys returns an opener that also fetches Clerk's keys, which name the instance.
func withKeys(open opener) opener {
	return func(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
		m, err := open(ctx, c, logger)
		if err != nil {
			return nil, err
		}
		if err := fetchKeys(ctx, m, logger); err != nil {
			return nil, errors.Join(err, m.Close())
		}
		return m, nil
	}
}

// open loads the settings of a command and opens the mirror.
func (p *process) open(ctx context.Context, open opener, flags settingFlags) (*clerksync.Mirror, error) {
	cfg, err := p.load(flags)
	if err != nil {
		return nil, err
	}
	logger, err := p.logger(cfg)
	if err != nil {
		return nil, err
	}
	return open(ctx, cfg, logger)
}

// fetchKeys fetches the keys that verify tokens, within two seconds. It fails if they are of
// another instance than the database. If Clerk cannot be reached, it only logs that.
func fetchKeys(ctx context.Context, m *clerksync.Mirror, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := m.FetchKeys(ctx)
	if errors.Is(err, clerksync.ErrOtherInstance) {
		return err
	}
	if err != nil {
		logger.Warn("Clerk's keys could not be fetched; they are fetched again when they are needed", "error", err)
	}
	return nil
}
