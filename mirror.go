package clerksync

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/receive"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/upkeep"
	"github.com/clerksync/clerksync/mirror"
)

// Mirror is a copy of a Clerk instance in a database. It is safe for concurrent use, and
// any number of them, in any number of processes, may share one database.
type Mirror struct {
	db       *store.DB
	ingest   *ingest.Ingest
	instance *instance.Guard
	gate     *access.Gate
	receiver *receive.Receiver
	monitor  *status.Monitor
	upkeep   *upkeep.Upkeep
	refusals *refusals.Counter
	metrics  *metrics.Instruments
}

// New migrates the database and makes a mirror on it. It takes the database over: [Mirror.Close]
// closes it, and so does New when it fails. Pools that the application gave to postgres.FromPool or
// postgres.FromDB stay open. A handle makes one mirror: open another for a second one. All faults
// of the configuration are reported at once. New starts no background work and makes no request to
// Clerk.
//
// The role ladder and the redaction in force are those that the database remembers. New puts the
// configured ones into force only where it remembers none; [Mirror.Run] and [Migrate] change them.
//
// On a database that was opened read-only (sqlite.OpenReadOnly, postgres.OpenReadOnly) New checks
// the schema instead, and the mirror writes nothing: no migration, no audit, no entry of the verify
// queue. It returns what is stored, explains, and makes dry runs.
func New(ctx context.Context, database DB, config Config) (*Mirror, error) {
	db, err := driver.Take(database)
	if err != nil {
		return nil, fmt.Errorf("clerksync: %w", err)
	}
	return newMirror(ctx, db, config)
}

func newMirror(ctx context.Context, db *store.DB, config Config) (*Mirror, error) {
	a := &assembly{Config: config.withDefaults(), db: db}
	m, err := a.open(ctx)
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("clerksync: %w", db.Explain(err))
	}
	return m, nil
}

// Run puts Config.Roles and Config.Redact into force, as [Migrate] does, and then does the
// background work until the context ends. After an upgrade it applies once what the older version
// could not read. It erases users whose delay has ended, and removes what is older than its
// retention. With a secret key it reads Clerk: everything at first, recent changes each minute,
// rows in the verify queue within seconds, and everything again as often as Config.WalkMinPause
// and Config.WalkMaxPause say. A mirror works without Run, but does none of these, and is never
// in sync for long.
//
// It returns an error when it cannot begin, such as [ErrOtherInstance] where the keys are those
// of another instance than the database mirrors: do not serve then.
func (m *Mirror) Run(ctx context.Context) error {
	if err := m.upkeep.Run(ctx); err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

// FetchKeys asks Clerk now for the keys that verify tokens, instead of with the first token, and
// which instance the secret key belongs to. If this fails, the mirror still works and fetches the
// keys later. Keys of another instance than the one that the database mirrors are
// [ErrOtherInstance]: do not go on with them.
func (m *Mirror) FetchKeys(ctx context.Context) error { return m.instance.FetchKeys(ctx) }

// Close takes no more events, waits for those under way, and closes the database.
func (m *Mirror) Close() error {
	m.ingest.Close()
	m.gate.Close()
	m.refusals.Close()
	return errors.Join(m.metrics.Close(), m.db.Close())
}

// Health checks the configuration and the database. The answer is about a second old at most, and
// comes within a second, however many ask and whatever the database does: a database that does
// not respond in time is not OK.
func (m *Mirror) Health(ctx context.Context) mirror.Health { return m.monitor.Health(ctx) }

// Counts counts rows. It shows the size of a business: it is for operators.
func (m *Mirror) Counts(ctx context.Context) (mirror.Counts, error) {
	counts, err := m.monitor.Counts(ctx)
	if err != nil {
		return mirror.Counts{}, fmt.Errorf("clerksync: %w", err)
	}
	counts.Denials, counts.AuditDropped, counts.Purged = m.gate.Denials(), m.gate.AuditDropped(), m.upkeep.Purged()
	return counts, nil
}
