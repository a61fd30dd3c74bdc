package clerksync

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/activity"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/receive"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/upkeep"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

// Mirror is a copy of a Clerk instance in a database. It is safe for concurrent use. Any number of
// mirrors, in any number of processes, can share one database.
type Mirror struct {
	db       *store.DB
	ingest   *ingest.Ingest
	instance *instance.Guard
	gate     *access.Gate
	writer   *write.Writer
	receiver *receive.Receiver
	monitor  *status.Monitor
	upkeep   *upkeep.Upkeep
	jobs     *jobs.Service
	refusals *refusals.Counter
	activity *activity.Recorder
	feed     Feed
	metrics  *metrics.Instruments
}

// New migrates the database and returns a mirror that uses it. The mirror owns the database:
// [Mirror.Close] closes it, and New closes it if it fails. A handle serves one mirror: open another
// handle for a second one. A pool that the application passed to postgres.FromPool or
// postgres.FromDB stays open. New reports all faults of the configuration at once. It starts no
// background work and sends no request to Clerk.
//
// The role ladder and the redaction in force are those that the database remembers. New puts
// Config.Roles and Config.Redact into force only in a database that remembers none. [Mirror.Run]
// and [Migrate] change them.
//
// If the database was opened read-only (sqlite.OpenReadOnly, postgres.OpenReadOnly), New checks the
// schema and does not migrate it, and the mirror writes nothing. Such a mirror can read what is
// stored, explain, and make dry runs.
func New(ctx context.Context, database DB, config Config) (*Mirror, error) {
	db, err := driver.Take(database)
	if err != nil {
		return nil, fmt.Errorf("clerksync: %w", err)
	}
	return newMirror(ctx, db, config)
}

func newMirror(ctx context.Context, db *store.DB, config Config) (*Mirror, error) {
	a := &assembly{Config: config.withDefaults(), db: db}
	db.SetClock(a.Test.Now)
	if err := useReplica(db, config.ReadDB); err != nil {
		return nil, errors.Join(fmt.Errorf("clerksync: Config.ReadDB: %w", err), db.Close())
	}
	m, err := a.open(ctx)
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("clerksync: %w", db.Explain(err))
	}
	return m, nil
}

// useReplica makes lists read from a copy of the database, if there is one.
func useReplica(db *store.DB, reader DB) error {
	if reader == nil {
		return nil
	}
	replica, err := driver.Take(reader)
	if err != nil {
		return err
	}
	if err := db.UseReplica(replica); err != nil {
		return errors.Join(err, replica.Close())
	}
	return nil
}

// Run puts Config.Roles and Config.Redact into force, as [Migrate] does, and then does the
// background work until the context ends:
//
//   - After an upgrade it applies the deliveries that the older version could not read.
//   - It erases deleted users after Config.EraseAfter, and removes what is older than its
//     retention.
//   - With a secret key it reads Clerk: everything at first, recent changes every minute, rows in
//     the verify queue within seconds, and everything again as often as Config.WalkMinPause and
//     Config.WalkMaxPause say.
//   - It works on jobs ([Mirror.Jobs]).
//
// Without Run, a mirror receives events and serves requests, but does none of this, and does not
// stay in sync.
//
// Run returns an error if it cannot start, such as [ErrOtherInstance]. The program must not serve
// requests after such an error.
func (m *Mirror) Run(ctx context.Context) error {
	if err := m.upkeep.Run(ctx); err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

// FetchKeys fetches the keys that verify tokens now, and not with the first token. It also asks
// Clerk which instance the secret key belongs to. If it fails, the mirror still works and fetches
// the keys later. The exception is [ErrOtherInstance]: the keys are not those of the instance that
// the database mirrors, and the program must not serve requests.
func (m *Mirror) FetchKeys(ctx context.Context) error { return m.instance.FetchKeys(ctx) }

// Close ends [Mirror.Consume], stops receiving events, waits until those in progress are applied,
// and closes the database. It waits no longer than five seconds for the function of a consumer.
func (m *Mirror) Close() error {
	m.feed.consumers.Close()
	m.feed.feed.Close()
	m.ingest.Close()
	m.gate.Close()
	m.refusals.Close()
	m.activity.Close()
	return errors.Join(m.metrics.Close(), m.db.Close())
}

// Health checks the configuration and the database. It returns within a second, and its result is
// about a second old at most, so any number of callers can use it. A database that does not respond
// in time is reported as not OK.
func (m *Mirror) Health(ctx context.Context) mirror.Health { return m.monitor.Health(ctx) }

// Instance returns the Clerk instance that is mirrored, as this process knows it. It reads nothing.
func (m *Mirror) Instance() mirror.Instance {
	settings := m.db.Settings()
	return mirror.Instance{
		ID: settings.Instance, Domain: m.monitor.Domain(), Production: m.monitor.Production(), Roles: settings.Roles(), SecretKey: m.monitor.HasSecretKey(),
		ReadOnly: m.db.ReadOnly(),
	}
}

// Counts counts rows. The numbers show the size of your business, so show them to operators only.
func (m *Mirror) Counts(ctx context.Context) (mirror.Counts, error) {
	counts, err := m.monitor.Counts(ctx)
	if err != nil {
		return mirror.Counts{}, fmt.Errorf("clerksync: %w", err)
	}
	addProcessCounts(m, &counts)
	return counts, nil
}

// addProcessCounts adds what this process counts itself.
func addProcessCounts(m *Mirror, counts *mirror.Counts) {
	counts.Denials, counts.AuditDropped, counts.Purged = m.gate.Denials(), m.gate.AuditDropped(), m.upkeep.Purged()
}
