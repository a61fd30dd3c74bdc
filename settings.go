package clerksync

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// Migrate brings the schema of a database up to date, and puts Config.Roles and Config.Redact into force: stored roles are
// derived by the ladder, and stored bodies lose what is redacted. It notes Config.PolicyVersion. A change is a line of the audit and of the log, with how
// many rows it changed. [Mirror.Run] does the same; [New] does it only in a database that has no such settings yet.
//
// Everything that uses the database works by the settings in force, whatever it is configured with: servers that run see a
// change within a second. Migrate does not take the database over. A database of another instance than
// Config.InstanceID is [ErrOtherInstance].
func Migrate(ctx context.Context, db *Backend, config Config) error {
	config = config.withDefaults()
	redaction, err := config.checkSettings()
	if err == nil {
		err = db.Migrate(ctx)
	}
	if err == nil {
		err = openInstance(ctx, db, config.InstanceID)
	}
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	in, err := ingest.New(ctx, ingest.Config{DB: db, Logger: config.Logger, Now: config.Now, Redact: redaction})
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	defer in.Close()
	if err := enforce(ctx, db, in, config); err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

// checkSettings says what is wrong with the ladder and the redaction.
func (c *Config) checkSettings() (ingest.Redaction, error) {
	if err := store.CheckLadder(c.Roles); err != nil {
		return nil, err
	}
	return ingest.ParseRedaction(c.Redact)
}

// enforce puts the configured settings into force.
func enforce(ctx context.Context, db *store.DB, in *ingest.Ingest, config Config) error {
	before := db.Settings()
	bodies, err := in.ChangeRedaction(ctx, config.Redact)
	if bodies > 0 || err == nil && before.Redact != nil && !sameRedaction(before.Redact, config.Redact) {
		config.Logger.Info("what was stored was redacted anew", "bodies_changed", bodies, "paths", config.Redact)
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
	for _, w := range m.settingsWarnings() {
		m.config.Logger.Log(ctx, slog.LevelWarn, w.Message, "code", w.Code, "remedy", w.Remedy) //nolint:sloglint // one of few texts
	}
	return nil
}

func sameRedaction(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Compact(slices.Sorted(slices.Values(b))))
}

// settingsWarnings say where this process is configured otherwise than the database is set.
func (m *Mirror) settingsWarnings() (warnings []Warning) {
	s := m.db.Settings()
	if s.Ladder != nil && !slices.Equal(s.Ladder, m.config.Roles) {
		warnings = append(warnings, Warning{
			"ladder_differs", "The configured role ladder is not the one in force. Access is judged by the one in force, which the database remembers.",
			"Give every process the same CLERKSYNC_ROLES. To change the ladder, restart clerksync serve with the new one, or run clerksync migrate.",
		})
	}
	if s.Redact != nil && !sameRedaction(s.Redact, m.config.Redact) {
		warnings = append(warnings, Warning{
			"redaction_differs", "The configured redaction is not the one in force. What is stored follows the one in force, which the database remembers.",
			"Give every process the same CLERKSYNC_REDACT. To change it, restart clerksync serve with the new one, or run clerksync migrate.",
		})
	}
	return warnings
}

// instanceWarnings say that another Clerk instance meets this database.
func (m *Mirror) instanceWarnings(ctx context.Context) ([]Warning, error) {
	f, err := m.foreign(ctx)
	if err != nil || !f.Any() {
		return nil, err
	}
	ours := f.Database
	if ours == "" {
		ours = strings.Join(m.pins(), ", ")
	}
	w := Warning{
		"foreign_instance",
		"Events of more than one Clerk instance come here: of " + strings.Join(f.Events, ", ") + ". It is not known which of them this database mirrors.",
		"Set CLERK_INSTANCE_ID, and give each instance an endpoint and a database of its own.",
	}
	switch {
	case len(f.Keys) > 0:
		w.Message = fmt.Sprintf("This database mirrors %s, but the keys are those of %s. Nothing is read with them, and no token that they verify is accepted.",
			ours, strings.Join(f.Keys, ", "))
		w.Remedy = "Use another database for " + strings.Join(f.Keys, ", ") + ", or the keys of " + ours + "."
	case ours != "":
		w.Message = fmt.Sprintf("This database mirrors %s, but events of %s come here. They are kept apart and not applied.", ours, strings.Join(f.Events, ", "))
		w.Remedy = "Point the endpoint of " + strings.Join(f.Events, ", ") + " elsewhere, and give that instance another database."
	}
	return []Warning{w}, nil
}
