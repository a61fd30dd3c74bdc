package clerksync

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/upkeep"
)

// Migrate brings the schema of a database up to date and puts Config.Roles and Config.Redact into
// force: it derives the stored roles again, and removes redacted fields from what is stored. It
// also records Config.PolicyVersion. Each change is an entry of the audit and of the log, with the
// number of rows that changed. [Mirror.Run] does the same. [New] does it only in a database that
// has no such settings yet.
//
// Every process that uses the database follows the settings in force, and not its own
// configuration. Running servers see a change within a second. Migrate does not close the database.
// The error is [ErrOtherInstance] if the database mirrors another instance than Config.InstanceID.
func Migrate(ctx context.Context, database DB, config Config) error {
	db, err := driver.Of(database)
	if err == nil {
		err = migrate(ctx, db, config.withDefaults())
	}
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

// SchemaNumber returns the number of the schema that this version makes and upgrades to.
func SchemaNumber() int { return store.SchemaNumber() }

// logUpgradeCopy says where the copy is that was made before the schema was upgraded.
func logUpgradeCopy(db *store.DB, logger *slog.Logger) {
	if path := db.TakeUpgradeCopy(); path != "" {
		logger.Info("the schema was upgraded; a copy of the database before that is kept, for a return to the older version", "copy", path)
	}
}

func migrate(ctx context.Context, db *store.DB, config Config) error {
	redaction, err := config.checkSettings()
	if err == nil {
		err = db.Migrate(ctx)
		logUpgradeCopy(db, config.Logger)
	}
	if err == nil {
		err = instance.Open(ctx, db, config.InstanceID)
	}
	if err != nil {
		return err
	}
	if config.OnChange != nil {
		db.SetOnChange(config.onChange(), nil)
		if err := db.RememberOnChange(ctx, true); err != nil {
			return err
		}
	}
	in, err := ingest.New(ctx, ingest.Config{DB: db, Logger: config.Logger, Now: config.Test.Now, Redact: redaction})
	if err != nil {
		return err
	}
	defer in.Close()
	if err := upkeep.Enforce(ctx, db, in, config.upkeepSettings(), config.Logger); err != nil {
		return err
	}
	logWarnings(ctx, config.Logger, status.SettingsWarnings(db.Settings(), &status.Settings{
		Server: config.RemediesForServer, Roles: config.Roles, Redact: config.Redact, OnChange: config.OnChange != nil,
	}))
	return nil
}
