package upkeep

import (
	"context"
	"log/slog"
	"slices"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
)

// Settings are the configured settings that the database remembers. Every process works by the
// remembered ones.
type Settings struct {
	Roles         []string
	Redact        []string
	PolicyVersion string // "" says nothing of a policy
}

// Enforce puts settings into force: stored roles are derived by the ladder, and stored bodies
// lose what is redacted.
func Enforce(ctx context.Context, db *store.DB, in *ingest.Ingest, s Settings, log *slog.Logger) error {
	before := db.Settings()
	bodies, err := in.ChangeRedaction(ctx, s.Redact)
	if bodies > 0 || err == nil && before.Redact != nil && !status.SameRedaction(before.Redact, s.Redact) {
		log.Info("stored bodies were redacted again", "bodies_changed", bodies, "paths", s.Redact)
	}
	if err != nil {
		return err
	}
	users, err := in.ChangeLadder(ctx, s.Roles)
	if err == nil && before.Ladder != nil && !slices.Equal(before.Ladder, s.Roles) {
		log.Info("the role ladder changed", "was", before.Ladder, "is", s.Roles, "users_changed", users)
	}
	if err != nil {
		return err
	}
	return db.RecordPolicy(ctx, s.PolicyVersion)
}

// EnforceFirst puts settings into force only where the database remembers none.
func EnforceFirst(ctx context.Context, db *store.DB, in *ingest.Ingest, s Settings, log *slog.Logger) error {
	s.PolicyVersion = "" // only a server has one
	remembered := db.Settings()
	if remembered.Ladder != nil && remembered.Redact != nil {
		return nil
	}
	if remembered.Ladder != nil {
		s.Roles = remembered.Ladder
	}
	if remembered.Redact != nil {
		s.Redact = remembered.Redact
	}
	return Enforce(ctx, db, in, s, log)
}
