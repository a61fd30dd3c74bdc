package diagnose

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/reach"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// checkDatabase checks the engine and the schema.
func (s *Subject) checkDatabase(ctx context.Context) []mirror.Finding {
	if s.NoDatabase {
		return []mirror.Finding{doctor.Warn(s.remedy("Run clerksync serve or clerksync migrate: they create it. If it should exist, correct DATABASE_URL.",
			"clerksync.New and clerksync.Migrate create it. If it should exist, correct its address."),
			"There is no database yet.")}
	}
	before := time.Now()
	c, err := s.DB.Inspect(ctx)
	if err != nil {
		return []mirror.Finding{s.DatabaseFailure(err)}
	}
	took := time.Since(before)
	found := []mirror.Finding{doctor.Good("%s %s answers in %s.", engineName(s.DB.Engine()), c.Version, took.Round(100*time.Microsecond))}
	switch {
	case errors.Is(c.Schema, store.ErrUnreleasedSchema), errors.Is(c.Schema, store.ErrAlteredSchema):
		found = append(found, doctor.Fail(s.remedy("Start with a new file or database, and run clerksync backfill.",
			"Start with a new file or database."),
			"An unreleased or changed build of clerksync made the schema. It cannot be upgraded."))
	case len(c.Unknown) > 0:
		found = append(found, doctor.Fail("Run the newer version.", "A newer version of clerksync has migrated the schema (%s).", c.Unknown[len(c.Unknown)-1]))
	case len(c.Pending) > 0:
		found = append(found, doctor.Warn(s.remedy("Run clerksync migrate, or serve, which does it at start; the rows are checked afterwards.",
			"Call clerksync.Migrate or clerksync.New; the rows are checked afterwards."),
			"The schema is not up to date: %s waits.", strings.Join(c.Pending, ", ")))
	default:
		found = append(found, doctor.Good("The schema is up to date."))
	}
	if s.DB.Engine() == store.SQLite {
		return append(found, checkSQLite(c)...)
	}
	found = append(found, s.checkPooling(ctx)...)
	found = append(found, s.checkReplica()...)
	return append(found, s.checkPostgres(c, reach.Ahead(before, before.Add(took), c.Now.Time()))...)
}

// DatabaseFailure returns the finding about a database that cannot be used.
func (s *Subject) DatabaseFailure(err error) mirror.Finding {
	finding := doctor.Fail("Check the address, the network, and that the role may read the tables.", "%s cannot be used: %v", s.DB, err)
	if fault, ok := errors.AsType[*mirror.DatabaseError](s.DB.Explain(err)); ok {
		finding = doctor.Fail(fault.Remedy, "%s %s.", fault.Database, fault.Problem)
	}
	finding.Check = "database"
	return finding
}

// SchemaIsOld reports whether the schema has to be migrated before rows can be read.
func (s *Subject) SchemaIsOld(ctx context.Context) bool {
	c, err := s.DB.Inspect(ctx)
	return err != nil || len(c.Pending) > 0
}

// engineName returns the name of an engine for people.
func engineName(e store.Engine) string {
	if e == store.Postgres {
		return "Postgres"
	}
	return "SQLite"
}

func checkSQLite(c store.ServerInfo) (found []mirror.Finding) {
	if mode := c.Settings["journal_mode"]; mode != "wal" {
		found = append(found, doctor.Fail("Use a local disk: network file systems cannot do it.", "The journal mode is %s, not WAL.", mode))
	}
	if c.Settings["secure_delete"] != "1" {
		found = append(found, doctor.Warn("Open it with clerksync's own driver package.", "secure_delete is off: what is erased lingers in the file."))
	}
	if len(found) == 0 {
		found = append(found, doctor.Good("Journal mode WAL, secure_delete on."))
	}
	return found
}

// checkPooling names a pooler. It is no fault: statements that are not prepared cost a little
// speed.
func (s *Subject) checkPooling(ctx context.Context) []mirror.Finding {
	switch pooling, err := s.DB.Pooling(ctx); {
	case err != nil:
		return []mirror.Finding{s.DatabaseFailure(err)}
	case pooling == store.PoolingTransaction:
		return []mirror.Finding{doctor.Good("A pooler such as PgBouncer is between, with transaction pooling. %s", s.remedy(
			"Nothing is prepared, so it works; a direct connection takes events a little faster.",
			"A pool of the application's own must not prepare statements there before PgBouncer 1.21: default_query_exec_mode=exec."))}
	case pooling == store.PoolingSession:
		return []mirror.Finding{doctor.Good("A pooler or proxy is between, with session pooling.")}
	}
	return nil
}

// checkReplica compares the read replica with the primary.
func (s *Subject) checkReplica() []mirror.Finding {
	const limit = 2 * time.Second
	for began := time.Now(); ; <-time.After(100 * time.Millisecond) {
		state, ok := s.DB.Replica()
		switch {
		case !ok:
			return nil
		case state.Err != nil:
			return []mirror.Finding{doctor.Fail(s.remedy("Check CLERKSYNC_READ_DATABASE_URL and the replica, or unset it. Until then the primary answers lists.",
				"Check the replica of Config.ReadDB. Until then the primary answers lists."), "The read replica cannot be used: %v.", state.Err)}
		case state.Used:
			return []mirror.Finding{doctor.Good("The read replica is at most %s behind.", state.Lag.Round(time.Millisecond))}
		case time.Since(began) > limit:
			return []mirror.Finding{doctor.Warn("Find out what holds up its replication. Until then the primary answers lists.",
				"The read replica is %s or more behind.", limit)}
		}
	}
}

func (s *Subject) checkPostgres(c store.ServerInfo, ahead time.Duration) (found []mirror.Finding) {
	if c.Settings["read_only"] == "true" {
		found = append(found, doctor.Fail("Connect to the primary, as a role that may write.", "The connection is read-only."))
	}
	if c.Settings["may_write"] == "false" {
		found = append(found, doctor.Warn("Run serve as a role that may write; reading commands do well with this one.", "The role may not write the tables."))
	}
	if c.RowSecurity == store.RowSecurityOutdated {
		found = append(found, doctor.Warn(s.remedy("Run clerksync migrate --rls.", "Call InstallRLS of package postgres."),
			"The functions for row-level security are those of another version."))
	}
	if c.Settings["may_create"] != "true" {
		found = append(found, doctor.Warn("Grant CREATE on the schema, or migrate as another role.", "The role may not create tables: migrations will fail."))
	}
	if setting := c.Settings["synchronous_commit"]; setting == "off" {
		found = append(found, doctor.Good("synchronous_commit is off; clerksync switches it on for its own commits."))
	}
	if ahead != 0 {
		found = append(found, doctor.Warn("Set both clocks by NTP.", "The database's clock differs from this one by %s.", ahead.Abs()))
	}
	if len(found) == 0 {
		found = append(found, doctor.Good("It may be written, commits are durable, and the clocks agree."))
	}
	return found
}
