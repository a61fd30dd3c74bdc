package clerksync

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/webhook"
)

// Backend is a database opened by package sqlite or package postgres.
type Backend = store.DB

// Mirror is a copy of a Clerk instance in a database. It is safe for concurrent use, and
// any number of them, in any number of processes, may share one database.
type Mirror struct {
	config     Config
	db         *store.DB
	ingest     *ingest.Ingest
	webhooks   *webhook.Verifier // nil: no secret
	tokens     *auth.Verifier    // nil: no keys
	remoteKeys *auth.RemoteKeys  // nil: the keys are not fetched
	clockSkew  atomic.Int64      // well-signed deliveries outside the time window
	health     healthCache

	redaction ingest.Redaction

	purgedMu sync.Mutex
	purged   Purged     // by this process
	cleared  clerk.Time // deliveries received before had their bodies removed; of the one goroutine that purges

	tokenReader auth.TokenReader
	crossOrigin *http.CrossOriginProtection
	live        *live.Cache
	auditor     *auditor
	denials     denials
	proofs      proofs
	reconciler  *reconcile.Reconciler // nil: there is nobody to ask
	waited      func() time.Time      // the reconciler's clock; Config.Now where there is none
	metrics     *metrics.Instruments
	tracer      trace.Tracer
	figures     figures
}

// New migrates the database and makes a mirror on it. It takes the database over, also
// when it fails. All faults of the configuration are reported at once. It starts no
// background work and makes no request to Clerk.
func New(ctx context.Context, db *Backend, config Config) (*Mirror, error) {
	m := &Mirror{config: config.withDefaults(), db: db}
	m.waited = m.config.Now
	m.tracer = m.config.TracerProvider.Tracer(modulePath)
	if err := m.open(ctx); err != nil {
		if m.metrics != nil {
			_ = m.metrics.Close()
		}
		_ = db.Close()
		return nil, fmt.Errorf("clerksync: %w", err)
	}
	return m, nil
}

func (m *Mirror) open(ctx context.Context) error {
	if err := m.build(); err != nil {
		return err
	}
	if err := m.db.Migrate(ctx); err != nil {
		return err
	}
	var err error
	m.proofs.Proofs = live.NewProofs(m.config.Now, provenFor)
	m.live, err = live.New(ctx, live.Config{
		DB: m.db, Now: m.config.Now, Bounds: m.bounds(), Changed: m.proofs.Changed, Logger: m.config.Logger,
	})
	if err != nil {
		return err
	}
	m.auditor = newAuditor(m.db, m.config.Now, func(err error) { m.config.Logger.Error("the audit can not be written", "error", err) })
	in, err := ingest.New(ctx, ingest.Config{
		DB: m.db, Logger: m.config.Logger, Pins: m.pins, Now: m.config.Now, Committed: m.committed, Measured: m.measured,
		Tracer: m.tracer, Redact: m.redaction, EraseAtOnce: m.config.EraseAfter < 0,
	})
	if err != nil {
		return err
	}
	m.ingest = in
	if err := m.newProofs(); err != nil {
		return err
	}
	if err := m.db.RecordPolicy(ctx, m.config.PolicyVersion); err != nil {
		return err
	}
	if m.proofs.api != nil {
		var sleep func(context.Context, time.Duration) error
		m.waited, sleep = m.config.waiting()
		m.reconciler = reconcile.New(reconcile.Config{
			DB: m.db, Ingest: in, API: m.proofs.api, Pins: m.pins, Now: m.waited, Sleep: sleep, Logger: m.config.Logger, Tracer: m.tracer,
		})
	}
	if err := m.measure(); err != nil {
		return err
	}
	redacted, err := in.ApplyRedaction(ctx)
	if redacted > 0 {
		m.config.Logger.Info("what was stored was redacted anew", "bodies", redacted)
	}
	if err != nil {
		return err
	}
	changed, err := in.ApplyLadder(ctx, m.config.Roles)
	if changed > 0 {
		m.config.Logger.Info("the role ladder changed", "users_changed", changed)
	}
	return err
}

func (m *Mirror) bounds() live.Bounds {
	return live.Bounds{Sweep: max(0, m.config.ReadyWithin), Walk: max(0, m.config.ReadyWalkWithin)}
}

// committed forgets what was changed, before anybody is told that it was.
func (m *Mirror) committed(changes []store.Touched) {
	m.live.Drop(changes)
	if m.tokens == nil {
		return
	}
	for i := range changes {
		switch changes[i].Key.Kind {
		case clerk.KindUser, clerk.KindSession:
			m.tokens.Forget(changes[i].Key.ID)
		default:
		}
	}
}

// pins are the instances whose events are applied: the configured one, else those of the
// keys that verify tokens, as far as they are known.
func (m *Mirror) pins() []string {
	if m.config.InstanceID != "" {
		return []string{m.config.InstanceID}
	}
	if m.remoteKeys == nil {
		return nil
	}
	var pins []string
	for _, id := range m.remoteKeys.KeyIDs() {
		if strings.HasPrefix(id, "ins_") {
			pins = append(pins, id)
		}
	}
	return pins
}

// FetchKeys asks for the keys that verify tokens now, rather than with the first token.
// Without them the mirror works all the same and asks again by itself. It does nothing
// where the keys are configured.
func (m *Mirror) FetchKeys(ctx context.Context) error {
	if m.remoteKeys == nil {
		return nil
	}
	return m.remoteKeys.Refresh(ctx)
}

// Run does the background work until the context ends: after an upgrade it replays once
// what the older version could not read, it erases users whose hold has ended, it removes what is older than its
// retention, and with a secret key it reads
// Clerk: everything at first, what changed last each minute, everything again each day. A mirror works without it, but
// does none of these.
func (m *Mirror) Run(ctx context.Context) error {
	replayed, err := m.ingest.Upgrade(ctx)
	if replayed > 0 {
		m.config.Logger.Info("deliveries of an older version were replayed", "deliveries", replayed)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("clerksync: replay after an upgrade: %w", err)
	}
	var syncing sync.WaitGroup
	defer syncing.Wait()
	syncing.Go(func() { m.keepInSync(ctx) })
	m.keepClean(ctx)
	return nil
}

// Close takes no more events, waits for those under way, and closes the database.
func (m *Mirror) Close() error {
	m.ingest.Close()
	m.auditor.close()
	return errors.Join(m.metrics.Close(), m.db.Close())
}
