package clerksync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// Mirror is a copy of a Clerk instance in a database. It is safe for concurrent use, and
// any number of them, in any number of processes, may share one database.
type Mirror struct {
	config    Config
	db        *store.DB
	ingest    *ingest.Ingest
	webhooks  *webhook.Verifier // nil: no secret
	tokens    *auth.Verifier    // nil: no keys
	instance  *instance.Guard
	clockSkew atomic.Int64 // well-signed deliveries outside the time window
	admission admission
	incidents *incident.Log
	listening atomic.Int64 // when webhooks began to be taken, in milliseconds; 0: not here

	health       look[mirror.Health]
	databaseDown atomic.Bool // as it was told last
	refusals     *refusals
	verdict      look[[]mirror.SyncReason]

	redaction privacy.Redaction

	purgedMu sync.Mutex
	purged   mirror.Purged // by this process
	cleared  clerk.Time    // deliveries received before had their bodies removed; of the one goroutine that purges

	gate       *access.Gate
	api        *clerkapi.Client      // nil: without a secret key Clerk cannot be asked
	reconciler *reconcile.Reconciler // nil: without a secret key Clerk cannot be asked
	resync     chan struct{}         // what was compared proves nothing any more
	holder     string                // names this mirror among those that share the database
	waited     func() time.Time      // the reconciler's clock; Config.Now where there is none
	metrics    *metrics.Instruments
	tracer     trace.Tracer
	figures    look[figures]
}

// New migrates the database and makes a mirror on it. It takes the database over: [Mirror.Close] closes it, and so does New
// when it fails. Pools that the application gave to postgres.FromPool or postgres.FromDB stay open. All faults of the
// configuration are reported at once. New starts no background work and makes no request to Clerk.
//
// The role ladder and the redaction in force are those that the database remembers. New puts the configured ones into
// force only where it remembers none; [Mirror.Run] and [Migrate] change them.
//
// On a database that was opened read-only (sqlite.OpenReadOnly, postgres.OpenReadOnly) New checks the schema instead, and
// the mirror writes nothing: no migration, no audit, no doubt. It answers what is stored, explains, and makes dry runs.
func New(ctx context.Context, database DB, config Config) (*Mirror, error) {
	db, err := driver.Of(database)
	if err != nil {
		return nil, fmt.Errorf("clerksync: %w", err)
	}
	return newMirror(ctx, db, config)
}

func newMirror(ctx context.Context, db *store.DB, config Config) (*Mirror, error) {
	m := &Mirror{config: config.withDefaults(), db: db, holder: holder.New(), resync: make(chan struct{}, 1)}
	m.incidents, m.admission.bodies = incident.New(m.config.Logger), web.NewBodies(maxWebhookBodies)
	m.waited = m.config.Test.Now
	m.refusals = newRefusals(db, m.config.Test.Now, m.config.Logger)
	m.health = look[mirror.Health]{every: time.Second, now: m.config.Test.Now, find: m.lookAtHealth}
	m.verdict = look[[]mirror.SyncReason]{every: verdictEvery, limit: verdictLimit, now: m.config.Test.Now, find: m.findVerdict}
	m.figures = look[figures]{every: figuresEvery, now: m.config.Test.Now, find: m.readFigures}
	m.tracer = m.config.TracerProvider.Tracer(modulePath)
	if err := m.open(ctx); err != nil {
		if m.metrics != nil {
			_ = m.metrics.Close()
		}
		_ = db.Close()
		return nil, fmt.Errorf("clerksync: %w", db.Explain(err))
	}
	return m, nil
}

func (m *Mirror) open(ctx context.Context) error {
	if err := m.build(); err != nil {
		return err
	}
	if err := m.openDatabase(ctx); err != nil {
		return err
	}
	err := m.refusals.read(ctx)
	if err != nil {
		return err
	}
	m.ingest, err = ingest.New(ctx, ingest.Config{
		DB: m.db, Logger: m.config.Logger, AllowedInstances: m.instance.AllowedInstances, Now: m.config.Test.Now,
		OnCommit: func(changes []store.ChangeRef) { m.gate.OnCommit(changes) }, OnMeasure: m.measured,
		Tracer: m.tracer, Redact: m.redaction, EraseOnDelete: m.config.EraseAfter < 0,
	})
	if err != nil {
		return err
	}
	if err := m.openAPI(); err != nil {
		return err
	}
	m.gate, err = access.New(ctx, access.Config{
		DB: m.db, Ingest: m.ingest, API: m.api, Instance: m.instance, Tokens: m.tokens,
		PublishableKey: m.config.PublishableKey, AuthorizedParties: m.config.AuthorizedParties, Roles: m.config.Roles,
		Unready: string(m.config.StalePolicy), DisableJIT: m.config.DisableOnDemandUsers, PlanFeatures: m.config.PlanFeatures, UpgradeURL: m.config.UpgradeURL,
		Bounds: m.bounds(), HistoryLost: m.historyLost, Now: m.config.Test.Now, Logger: m.config.Logger, Incidents: m.incidents,
	})
	if err != nil {
		return err
	}
	if err := m.measure(); err != nil {
		return err
	}
	if m.db.ReadOnly() {
		return nil
	}
	return m.enforceFirst(ctx)
}

// openDatabase makes the database ready to be used, or finds out that it is. One of another instance is refused.
func (m *Mirror) openDatabase(ctx context.Context) error {
	prepare := m.db.Migrate
	if m.db.ReadOnly() {
		prepare = func(ctx context.Context) error {
			if err := m.db.CheckSchema(ctx); err != nil {
				return err
			}
			_, err := m.db.LoadSettings(ctx)
			return err
		}
	}
	if err := prepare(ctx); err != nil {
		return err
	}
	if err := instance.Open(ctx, m.db, m.config.InstanceID); err != nil {
		return err
	}
	return m.instance.LoadRefusal(ctx)
}

func (m *Mirror) bounds() live.Bounds {
	return live.Bounds{Sweep: max(0, m.config.RoleMaxStale), Walk: max(0, m.config.PermissionMaxStale), Schedule: m.schedule()}
}

func (m *Mirror) schedule() schedule.Schedule {
	return schedule.Schedule{Min: m.config.WalkMinPause, Max: m.config.WalkMaxPause}
}

// openAPI makes the client of Clerk's Backend API, and what reads with it.
func (m *Mirror) openAPI() (err error) {
	c := m.config
	if c.SecretKey == "" || c.JWTAlgorithm == auth.HS256 && c.JWTKey == "" {
		return nil // there is none, or it is a shared secret and not Clerk's
	}
	// requests wait for single objects with a timeout of their own; pages of lists may take longer
	m.api, err = clerkapi.New(clerkapi.Config{
		SecretKey: c.SecretKey, URL: c.APIURL, Budget: c.APIBudget, Limit: c.APILimit, Logger: c.Logger, Tracer: m.tracer, OnKeyChecked: m.noteSecretKey,
		ReadFence: m.ingest.ReadFence,
	})
	if err != nil {
		return err
	}
	m.instance.UseAPI(m.api)
	var sleep func(context.Context, time.Duration) error
	m.waited, sleep = c.waiting()
	m.reconciler = reconcile.New(reconcile.Config{
		DB: m.db, Ingest: m.ingest, API: m.api, Pins: m.instance.AllowedInstances, Now: m.waited, Sleep: sleep, Logger: c.Logger, Tracer: m.tracer,
		Learned: m.instance.LearnSecretKey,
	})
	return nil
}

// Run puts Config.Roles and Config.Redact into force, as [Migrate] does, and then does the background work until the
// context ends. After an upgrade it replays once what the older version could not read. It erases users whose hold has
// ended, and removes what is older than its retention. With a secret key it reads Clerk: everything at first, what
// changed last each minute, what is in doubt within seconds, and everything again as often as Config.WalkMinPause and
// Config.WalkMaxPause say. A mirror works without Run, but does none of these, and is never in sync for long.
//
// It refuses to begin, with [ErrOtherInstance], where the keys are those of another instance than the database mirrors.
func (m *Mirror) Run(ctx context.Context) error {
	if err := m.begin(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was told to end before it began
		}
		return fmt.Errorf("clerksync: %w", err)
	}
	replayed, err := m.ingest.Upgrade(ctx)
	if replayed > 0 {
		m.config.Logger.Info("deliveries of an older version were replayed", "deliveries", replayed)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("clerksync: replay after an upgrade: %w", err)
	}
	if err := m.beginLife(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("clerksync: record the start: %w", err)
	}
	defer m.endLife(ctx)
	var syncing sync.WaitGroup
	defer syncing.Wait()
	syncing.Go(func() { m.noteLife(ctx) })
	syncing.Go(func() { m.followFeed(ctx) })
	syncing.Go(func() { m.keepInSync(ctx) })
	m.keepClean(ctx)
	return nil
}

// keysWait bounds how long the background work waits for Clerk before it begins.
const keysWait = 2 * time.Second

// begin makes sure that the database may be written by this process, and puts its settings into force.
func (m *Mirror) begin(ctx context.Context) error {
	if m.db.ReadOnly() {
		return store.ErrReadOnly
	}
	asking, cancel := context.WithTimeout(ctx, keysWait)
	defer cancel()
	if err := m.instance.LearnKeys(asking); errors.Is(err, ErrOtherInstance) {
		return err // else Clerk cannot be asked now: walks ask again
	}
	return enforce(ctx, m.db, m.ingest, m.config)
}

// FetchKeys asks Clerk now for the keys that verify tokens, instead of with the first token, and which instance the secret
// key belongs to. If this fails, the mirror still works and fetches the keys later. Keys of another instance than the one
// that the database mirrors are [ErrOtherInstance]: do not go on with them.
func (m *Mirror) FetchKeys(ctx context.Context) error { return m.instance.FetchKeys(ctx) }

// Close takes no more events, waits for those under way, and closes the database.
func (m *Mirror) Close() error {
	m.ingest.Close()
	m.gate.Close()
	m.refusals.close()
	return errors.Join(m.metrics.Close(), m.db.Close())
}
