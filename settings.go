package clerksync

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/store"
)

// Migrate brings the schema of a database up to date, and puts Config.Roles and Config.Redact into force: stored roles are
// derived by the ladder, and stored bodies lose what is redacted. It notes Config.PolicyVersion. A change is a line of the
// audit and of the log, with how many rows it changed. [Mirror.Run] does the same; [New] does it only in a database that has no such settings yet.
//
// Everything that uses the database works by the settings in force, whatever it is configured with: servers that run see a
// change within a second. Migrate does not take the database over. A database of another instance than
// Config.InstanceID is [ErrOtherInstance].
func Migrate(ctx context.Context, database DB, config Config) error {
	config = config.withDefaults()
	redaction, err := config.checkSettings()
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	db, err := driver.Of(database)
	if err == nil {
		err = db.Migrate(ctx)
	}
	if err == nil {
		err = instance.Open(ctx, db, config.InstanceID)
	}
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	in, err := ingest.New(ctx, ingest.Config{DB: db, Logger: config.Logger, Now: config.Test.Now, Redact: redaction})
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	defer in.Close()
	if err := enforce(ctx, db, in, config); err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

// checkSettings returns the configured redaction, or what is wrong with it or with the ladder.
func (c *Config) checkSettings() (privacy.Redaction, error) {
	if err := store.CheckLadder(c.Roles); err != nil {
		return nil, err
	}
	return privacy.ParseRedaction(c.Redact)
}

// enforce puts the configured settings into force.
func enforce(ctx context.Context, db *store.DB, in *ingest.Ingest, config Config) error {
	before := db.Settings()
	bodies, err := in.ChangeRedaction(ctx, config.Redact)
	if bodies > 0 || err == nil && before.Redact != nil && !sameRedaction(before.Redact, config.Redact) {
		config.Logger.Info("stored bodies were redacted again", "bodies_changed", bodies, "paths", config.Redact)
	}
	if err != nil {
		return err
	}
	users, err := in.ChangeLadder(ctx, config.Roles)
	if err == nil && before.Ladder != nil && !slices.Equal(before.Ladder, config.Roles) {
		config.Logger.Info("the role ladder changed", "was", before.Ladder, "is", config.Roles, "users_changed", users)
	}
	if err != nil {
		return err
	}
	return db.RecordPolicy(ctx, config.PolicyVersion)
}

// enforceFirst puts the configured settings into force where the database has none, and says where it has others.
func (m *Mirror) enforceFirst(ctx context.Context) error {
	first := m.config
	first.PolicyVersion = "" // of who serves
	known := m.db.Settings()
	if known.Ladder != nil {
		first.Roles = known.Ladder
	}
	if known.Redact != nil {
		first.Redact = known.Redact
	}
	if known.Ladder == nil || known.Redact == nil {
		if err := enforce(ctx, m.db, m.ingest, first); err != nil {
			return err
		}
	}
	for _, w := range settingsThatDiffer(m.db.Settings(), &m.config) {
		m.config.Logger.Log(ctx, slog.LevelWarn, w.Message, "code", w.Code, "remedy", w.Remedy) //nolint:sloglint // one of few texts
	}
	return nil
}

func sameRedaction(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Compact(slices.Sorted(slices.Values(b))))
}
