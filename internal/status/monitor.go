package status

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Config configures a [Monitor].
type Config struct {
	DB       *store.DB
	API      *clerkapi.Client // nil: Clerk cannot be read
	Instance *instance.Guard
	Refusals *refusals.Counter
	Bounds   live.Bounds // with the schedule of walks
	Settings Settings
	// ListeningSince returns when this process began to take webhooks, the zero time if it does
	// not.
	ListeningSince func() time.Time
	// HasWebhookSecret reports whether there is a webhook secret now; nil: as Settings says.
	HasWebhookSecret func() bool
	// FeedAt returns the number of the last change that this process has read.
	FeedAt func() int64
	// AheadOfClerk returns how far this machine's clock is ahead of Clerk's, 0 where they agree or
	// were not compared.
	AheadOfClerk func() time.Duration
	// Warnings returns the warnings about other parts of the program.
	Warnings func() []mirror.Warning
	// OnChange has the times of the last calls of the application's OnChange; nil: it has none.
	OnChange *OnChangeTimes

	Now func() time.Time
	// Waited is the clock of the reconciler, which tests may move; else it is Now.
	Waited func() time.Time
	Logger *slog.Logger
}

// Monitor assesses a mirror. Status, health, warnings, doctor and metrics of the database render
// what it finds. It is safe for concurrent use.
type Monitor struct {
	config       Config
	db           *store.DB
	health       shared[mirror.Health]
	reasons      shared[[]mirror.SyncReason]
	figures      shared[figures]
	overview     shared[overview]
	counts       shared[*Facts]         // with the counts of tables; nil: they could not be read
	rows         shared[*mirror.Counts] // likewise
	databaseDown atomic.Bool            // as it was logged last
}

const (
	healthMaxAge  = time.Second
	reasonsMaxAge = 30 * time.Second // reading them counts tables, and health is asked each second
	reasonsLimit  = 20 * time.Second
	figuresMaxAge = 5 * time.Second // metrics are not read more often, however many collect them

	overviewMaxAge = time.Second
	overviewLimit  = 10 * time.Second
	countsMaxAge   = time.Minute
	countsLimit    = time.Minute
	countsWait     = 2 * time.Second // for counts, where there are none that prove anything
	countsProveFor = 2 * countsMaxAge
	rowsMaxAge     = 10 * time.Minute
)

// NewMonitor makes a Monitor. It reads nothing.
func NewMonitor(config Config) *Monitor {
	m := &Monitor{config: config, db: config.DB}
	m.health = shared[mirror.Health]{maxAge: healthMaxAge, now: config.Now, read: m.computeHealth}
	m.reasons = shared[[]mirror.SyncReason]{maxAge: reasonsMaxAge, limit: reasonsLimit, now: config.Now, read: m.computeReasons}
	m.overview = shared[overview]{maxAge: overviewMaxAge, limit: overviewLimit, now: config.Now, read: m.readOverview}
	m.counts = shared[*Facts]{maxAge: countsMaxAge, limit: countsLimit, now: config.Now, read: m.readCounts}
	m.rows = shared[*mirror.Counts]{maxAge: countsMaxAge, limit: countsLimit, now: config.Now, read: func(ctx context.Context) *mirror.Counts {
		counts, err := m.Counts(ctx)
		if err != nil {
			return nil
		}
		return &counts
	}}
	m.figures = shared[figures]{maxAge: figuresMaxAge, now: config.Now, read: m.readFigures}
	return m
}

// Assessment is the state of a mirror at one moment, all of it read in one transaction.
type Assessment struct {
	Facts   *Facts
	Reasons []mirror.SyncReason // why the mirror is not proven to equal Clerk; none if it is
	signals *signals
}

// Warnings returns what wants attention, the worst first.
func (a *Assessment) Warnings() []mirror.Warning { return warningsOf(a.signals, allWarners()) }

// DataWarnings returns the warnings that are not about the configuration.
func (a *Assessment) DataWarnings() []mirror.Warning { return warningsOf(a.signals, dataWarners()) }

// InSync reports whether the mirror is proven to equal Clerk.
func (a *Assessment) InSync() bool { return len(a.Reasons) == 0 }

// Sentence returns for people what is proven, or what is missing and what to do.
func (a *Assessment) Sentence() string { return Sentence(a.Facts, a.Reasons) }

// Assess reads everything and assesses it. It counts tables.
func (m *Monitor) Assess(ctx context.Context) (*Assessment, error) {
	if err := m.refreshSettings(ctx); err != nil {
		return nil, err
	}
	facts, err := m.read(ctx, true)
	if err != nil {
		return nil, err
	}
	reasons := Assess(facts)
	m.reasons.put(reasons, m.config.Now())
	s := m.signals(facts)
	s.reasons = reasons
	return &Assessment{Facts: facts, Reasons: reasons, signals: s}, nil
}

// read reads the facts in one transaction. counted reads those too that count whole tables.
func (m *Monitor) read(ctx context.Context, counted bool) (*Facts, error) {
	ours := clerk.TimeOf(m.config.Waited())
	f := &Facts{Library: !m.config.Settings.Server, Ours: ours}
	// not in the transaction: its view may be older than what this process has written since
	if err := m.config.Refusals.Load(ctx); err != nil {
		return nil, err
	}
	err := m.db.Snapshot(ctx, func(ctx context.Context) error {
		if err := f.read(ctx, m.db, m.config.Bounds.Schedule, ours); err != nil {
			return err
		}
		if err := f.readMore(ctx, m.db, m.config.Instance, m.config.Now()); err != nil {
			return err
		}
		if !counted {
			return nil
		}
		return f.count(ctx, m.db, clerk.TimeOf(ours.Time().Truncate(24*time.Hour)))
	})
	return f, err
}

// refreshSettings reads the settings that the database remembers, if another process has changed
// them and no request has noticed yet.
func (m *Monitor) refreshSettings(ctx context.Context) error {
	head, err := m.db.Head(ctx)
	if err == nil && head.Settings != m.db.Settings().Revision {
		_, err = m.db.LoadSettings(ctx)
	}
	return err
}

// computeReasons is the shared read of the reasons, for health.
func (m *Monitor) computeReasons(ctx context.Context) []mirror.SyncReason {
	f, err := m.read(ctx, true)
	if err != nil {
		return []mirror.SyncReason{{Code: "unknown", Message: "it could not be found out", Remedy: "see the log"}}
	}
	return Assess(f)
}

// recentReasons returns the last reasons, or the first ones if they come quickly. Health does not
// wait until tables are counted.
func (m *Monitor) recentReasons(ctx context.Context) []mirror.SyncReason {
	ctx, cancel := context.WithTimeout(ctx, readTimeout/4)
	defer cancel()
	reasons, _ := m.reasons.get(ctx)
	return reasons
}
