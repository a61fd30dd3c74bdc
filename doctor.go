package clerksync

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/internal/diagnose"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/mirror"
)

// DoctorOptions say what else there is to check.
type DoctorOptions struct {
	// PublicURL is where Clerk reaches this server, such as https://auth.example.com. Without it,
	// the way from Clerk to the server is not checked.
	PublicURL string
	// NoDatabase means that there is no database yet; the one given stands in for it.
	NoDatabase bool
}

// Diagnose checks a configuration, a database, Clerk and the way from Clerk to here, and returns
// what it found: no secrets and no personal data. It takes the database over, only reads it, and
// closes it. It checks the mirrored rows only where the schema is up to date.
func Diagnose(ctx context.Context, database DB, config Config, o DoctorOptions) []mirror.Finding {
	db, err := driver.Take(database)
	if err != nil {
		return diagnose.Faults(err)
	}
	db.SetReadOnly()
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
