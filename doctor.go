package clerksync

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// DoctorOptions say what else there is to look at.
type DoctorOptions struct {
	// PublicURL is where Clerk reaches this server, as https://auth.example.com; empty leaves that out.
	PublicURL string
	// NoDatabase says that there is no database yet; the one given stands in for it.
	NoDatabase bool
}

// checkTime is how long a check may take.
const checkTime = 10 * time.Second

// Diagnose looks at a configuration, a database, Clerk and the way from Clerk to here, and tells what it found: no
// secrets, no personal data. It takes the database over, only reads it, and closes it. It looks at the mirrored rows only
// where the schema is up to date.
func Diagnose(ctx context.Context, database DB, config Config, o DoctorOptions) []mirror.Finding {
	db, err := driver.Of(database)
	if err != nil {
		return faults(err)
	}
	db.SetReadOnly()
	m := &Mirror{config: config.withDefaults(), db: db}
	if err := m.build(); err != nil {
		_ = db.Close()
		return faults(err)
	}
	found := doctor.Run(ctx, checkTime, m.checks(o))
	broken := slices.ContainsFunc(found, func(f mirror.Finding) bool { return f.Check == "database" && f.Severity == mirror.FindingFailure })
	if broken || o.NoDatabase || m.pending(ctx) {
		_ = db.Close()
		return found
	}
	opened, err := newMirror(ctx, db, config)
	if err != nil {
		failed := m.databaseFailure(err)
		failed.Check = "database"
		return append(found, failed)
	}
	defer opened.Close()
	return append(found, doctor.Run(ctx, checkTime, opened.rowChecks())...)
}

// faults lists the errors that were joined.
func faults(err error) (found []mirror.Finding) {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, err := range list {
		found = append(found, mirror.Finding{
			Check: "configuration", Severity: mirror.FindingFailure, Text: err.Error(), Remedy: "Correct it; nothing starts before.",
		})
	}
	return found
}

func (m *Mirror) pending(ctx context.Context) bool {
	c, err := m.db.Inspect(ctx)
	return err != nil || len(c.Pending) > 0
}

// checks look at the configuration and the world around, not at rows.
func (m *Mirror) checks(o DoctorOptions) []doctor.Check {
	return []doctor.Check{
		{Name: "configuration", Run: func(context.Context) []mirror.Finding { return m.checkConfiguration() }},
		{Name: "database", Run: func(ctx context.Context) []mirror.Finding { return m.checkDatabase(ctx, o) }},
		{Name: "token keys", Run: m.checkKeys},
		{Name: "secret key", Run: m.checkSecretKey},
		{Name: "clock", Run: m.checkClock},
		{Name: "webhook route", Run: func(ctx context.Context) []mirror.Finding { return m.checkRoute(ctx, o.PublicURL) }},
	}
}

func (m *Mirror) rowChecks() []doctor.Check {
	return []doctor.Check{
		{Name: "instance", Run: m.checkInstance},
		{Name: "events", Run: m.checkEvents},
		{Name: "subscriptions", Run: m.checkSubscriptions},
		{Name: "freshness", Run: m.checkFreshness},
	}
}

// checkConfiguration repeats what health says of the configuration.
func (m *Mirror) checkConfiguration() (found []mirror.Finding) {
	f := &facts{}
	m.completeFacts(f)
	found = findingsOf(warningsOf(context.Background(), f, configWarners()))
	secret, publishable := m.config.SecretKey, m.config.PublishableKey
	if strings.HasPrefix(secret, "sk_live_") && strings.HasPrefix(publishable, "pk_test_") ||
		strings.HasPrefix(secret, "sk_test_") && strings.HasPrefix(publishable, "pk_live_") {
		found = append(found, doctor.Fail("Copy both from the same instance's API keys page.",
			"Secret key and publishable key are of different instances: one is for production, one for development."))
	}
	if len(found) == 0 {
		return []mirror.Finding{doctor.Good("Everything is set, and nothing dangerous.")}
	}
	return found
}

// findingsOf turns warnings into findings. What does harm now is a failure.
func findingsOf(warnings []mirror.Warning) (found []mirror.Finding) {
	severities := map[mirror.Severity]mirror.FindingSeverity{
		mirror.SeverityError: mirror.FindingFailure, mirror.SeverityWarning: mirror.FindingWarning, mirror.SeverityInfo: mirror.FindingInfo,
	}
	for _, w := range warnings {
		found = append(found, mirror.Finding{Severity: severities[w.Severity], Text: w.Message, Remedy: w.Remedy})
	}
	return found
}

// checkDatabase looks at the engine and the schema.
func (m *Mirror) checkDatabase(ctx context.Context, o DoctorOptions) []mirror.Finding {
	if o.NoDatabase {
		return []mirror.Finding{doctor.Warn("Run clerksync serve or clerksync migrate: they make it. If there should be one, correct DATABASE_URL.",
			"There is no database yet.")}
	}
	before := time.Now()
	c, err := m.db.Inspect(ctx)
	if err != nil {
		return []mirror.Finding{m.databaseFailure(err)}
	}
	took := time.Since(before)
	found := []mirror.Finding{doctor.Good("%s %s answers in %s.", engineName(m.db.Engine()), c.Version, took.Round(100*time.Microsecond))}
	switch {
	case errors.Is(c.Schema, store.ErrUnreleasedSchema), errors.Is(c.Schema, store.ErrAlteredSchema):
		found = append(found, doctor.Fail("Start with a new file or database, and run clerksync backfill.",
			"An unreleased or changed build of clerksync made the schema. It cannot be upgraded."))
	case len(c.Unknown) > 0:
		found = append(found, doctor.Fail("Run the newer version.", "A newer version of clerksync has migrated the schema (%s).", c.Unknown[len(c.Unknown)-1]))
	case len(c.Pending) > 0:
		found = append(found, doctor.Warn("Run clerksync migrate, or serve, which does it at start; the rows are looked at afterwards.",
			"The schema is not up to date: %s waits.", strings.Join(c.Pending, ", ")))
	default:
		found = append(found, doctor.Good("The schema is up to date."))
	}
	if m.db.Engine() == store.SQLite {
		return append(found, checkSQLite(c)...)
	}
	return append(found, checkPostgres(c, before.Add(took/2))...)
}

// databaseFailure names the database that does not work.
func (m *Mirror) databaseFailure(err error) mirror.Finding {
	if fault, ok := errors.AsType[*mirror.DatabaseError](m.db.Explain(err)); ok {
		return doctor.Fail(fault.Remedy, "%s %s.", fault.Database, fault.Problem)
	}
	return doctor.Fail("Check DATABASE_URL, the network, and that the role may read the tables.", "%s cannot be used: %v", m.db, err)
}

func engineName(e store.Engine) string {
	if e == store.Postgres {
		return "Postgres"
	}
	return "SQLite"
}

func checkSQLite(c store.ServerInfo) (found []mirror.Finding) {
	if mode := c.Settings["journal_mode"]; mode != "wal" {
		found = append(found, doctor.Fail("Use a local disk: network file systems can not do it.", "The journal mode is %s, not WAL.", mode))
	}
	if c.Settings["secure_delete"] != "1" {
		found = append(found, doctor.Warn("Open it with clerksync's own driver package.", "secure_delete is off: what is erased lingers in the file."))
	}
	if len(found) == 0 {
		found = append(found, doctor.Good("Journal mode WAL, secure_delete on."))
	}
	return found
}

func checkPostgres(c store.ServerInfo, now time.Time) (found []mirror.Finding) {
	if c.Settings["read_only"] == "true" {
		found = append(found, doctor.Fail("Connect to the primary, as a role that may write.", "The connection is read-only."))
	}
	if c.Settings["may_write"] == "false" {
		found = append(found, doctor.Warn("Run serve as a role that may write; reading commands do well with this one.", "The role may not write the tables."))
	}
	if c.Settings["may_create"] != "true" {
		found = append(found, doctor.Warn("Grant CREATE on the schema, or migrate as another role.", "The role may not create tables: migrations will fail."))
	}
	if setting := c.Settings["synchronous_commit"]; setting == "off" {
		found = append(found, doctor.Good("synchronous_commit is off; clerksync switches it on for its own commits."))
	}
	if d := c.Now.Time().Sub(now).Abs(); d > 5*time.Second {
		found = append(found, doctor.Warn("Set both clocks by NTP.", "The database's clock differs from this one by %s.", d.Round(time.Second)))
	}
	if len(found) == 0 {
		found = append(found, doctor.Good("It may be written, commits are durable, and the clocks agree."))
	}
	return found
}
