package clerksync

import (
	"context"
	"fmt"

	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/upkeep"
)

// Migrate brings the schema of a database up to date, and puts Config.Roles and Config.Redact
// into force: stored roles are derived by the ladder, and stored bodies lose what is redacted. It
// records Config.PolicyVersion. A change is a line of the audit and of the log, with how many
// rows it changed. [Mirror.Run] does the same; [New] does it only in a database that has no such
// settings yet.
//
// Everything that uses the database works by the settings in force, whatever it is configured
// with: servers that run see a change within a second. Migrate does not take the database over. A
// database of another instance than Config.InstanceID is [ErrOtherInstance].
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

func migrate(ctx context.Context, db *store.DB, config Config) error {
	redaction, err := config.checkSettings()
	if err == nil {
		err = db.Migrate(ctx)
	}
	if err == nil {
		err = instance.Open(ctx, db, config.InstanceID)
	}
	if err != nil {
		return err
	}
	in, err := ingest.New(ctx, ingest.Config{DB: db, Logger: config.Logger, Now: config.Test.Now, Redact: redaction})
	if err != nil {
		return err
	}
	defer in.Close()
	return upkeep.Enforce(ctx, db, in, config.upkeepSettings(), config.Logger)
}
