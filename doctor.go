package clerksync

import (
	"context"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/internal/diagnose"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/mirror"
)

// DoctorOptions configures [Diagnose].
type DoctorOptions struct {
	// PublicURL is the URL at which Clerk reaches this server, such as https://auth.example.com. If
	// it is empty, the webhook route is not checked.
	PublicURL string
	// NoDatabase means that the database does not exist yet. The caller passes an empty one
	// instead.
	NoDatabase bool
}

// Diagnose checks a configuration, a database, the connection to Clerk and the webhook route, and
// returns its findings. They contain no secrets and no personal data. Diagnose reads the database,
// writes nothing, and closes it. It checks the mirrored rows only if the schema is up to date.
func Diagnose(ctx context.Context, database DB, config Config, o DoctorOptions) []mirror.Finding {
	db, err := driver.Take(database)
	if err != nil {
		return diagnose.Faults(err)
	}
	db.SetReadOnly()
	if err := useReplica(db, config.ReadDB); err != nil {
		_ = db.Close()
		return diagnose.Faults(fmt.Errorf("Config.ReadDB: %w", err))
	}
	config.ReadDB = nil // the database has it
	a := &assembly{Config: config.withDefaults(), db: db}
	if err := a.clients(); err != nil {
		_ = db.Close()
		return diagnose.Faults(err)
	}
	subject := diagnose.Subject{
		DB: db, NoDatabase: o.NoDatabase, Instance: a.mirror.instance, Settings: a.statusSettings(),
		Algorithm: a.JWTAlgorithm, SecretKey: a.SecretKey, HasAPIKey: a.hasAPIKey(), PublishableKey: a.PublishableKey,
		InstanceID: a.InstanceID, Issuer: a.Issuer, APIURL: a.APIURL, APIBudget: a.APIBudget, PublicURL: o.PublicURL,
	}
	found := doctor.Run(ctx, diagnose.Limit, subject.Checks())
	broken := slices.ContainsFunc(found, func(f mirror.Finding) bool { return f.Check == "database" && f.Severity == mirror.FindingFailure })
	if broken || o.NoDatabase || subject.SchemaIsOld(ctx) {
		_ = db.Close()
		return found
	}
	m, err := newMirror(ctx, db, config)
	if err != nil {
		return append(found, subject.DatabaseFailure(err))
	}
	defer m.Close()
	rows := diagnose.Rows{DB: db, Instance: m.instance, Monitor: m.monitor, HasAPI: a.hasAPIKey()}
	return append(found, doctor.Run(ctx, diagnose.Limit, rows.Checks(ctx))...)
}
