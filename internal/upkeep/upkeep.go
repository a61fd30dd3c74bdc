package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Config configures an [Upkeep].
type Config struct {
	DB         *store.DB
	Ingest     *ingest.Ingest
	Reconciler *reconcile.Reconciler // nil: Clerk cannot be read
	Schedule   schedule.Schedule     // of walks
	Settings   Settings              // put into force when the background work begins
	// LearnKeys makes sure that the configured keys are those of the database's instance.
	LearnKeys func(context.Context) error
	// FollowFeed reads what other processes changed.
	FollowFeed func(context.Context) error
	// WorkOnJobs works on jobs until the context ends.
	WorkOnJobs func(context.Context)

	DisableBackfill  bool
	DisableReconcile bool

	EraseAfter       time.Duration
	AuditRetention   time.Duration
	InboxRetention   time.Duration
	ChangesRetention time.Duration

	Now    func() time.Time
	Logger *slog.Logger
}

// Upkeep keeps a mirror up to date. It is safe for concurrent use.
type Upkeep struct {
	config Config
	db     *store.DB
	holder string        // names this mirror among those that share the database
	resync chan struct{} // everything has to be compared again

	purgedMu sync.Mutex
	purged   mirror.Purged // by this process
	cleared  clerk.Time    // deliveries received before have no bodies; used by the one goroutine that purges
}

// New makes an Upkeep. It starts nothing.
func New(config Config) *Upkeep {
	return &Upkeep{config: config, db: config.DB, holder: holder.New(), resync: make(chan struct{}, 1)}
}

// keysWait bounds how long the background work waits for Clerk before it begins.
const keysWait = 2 * time.Second

// Run puts the settings into force and does the background work until the context ends. It
// returns an error when the work cannot begin.
func (u *Upkeep) Run(ctx context.Context) error {
	if err := u.begin(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was ended before it began
		}
		return err
	}
	defer u.EndLife(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { u.noteLife(ctx) })
	working.Go(func() { u.followFeed(ctx) })
	working.Go(func() { u.runReconcile(ctx) })
	working.Go(func() { u.config.WorkOnJobs(ctx) })
	u.runRetention(ctx)
	return nil
}

// begin makes sure that this process may write the database, puts the settings into force, and
// applies what an older version could not.
func (u *Upkeep) begin(ctx context.Context) error {
	if u.db.ReadOnly() {
		return store.ErrReadOnly
	}
	asking, cancel := context.WithTimeout(ctx, keysWait)
	defer cancel()
	if err := u.config.LearnKeys(asking); errors.Is(err, mirror.ErrOtherInstance) {
		return err // on other errors Clerk cannot be asked now: walks ask again
	}
	if err := Enforce(ctx, u.db, u.config.Ingest, u.config.Settings, u.config.Logger); err != nil {
		return err
	}
	replayed, err := u.config.Ingest.Upgrade(ctx)
	if replayed > 0 {
		u.config.Logger.Info("deliveries of an older version were replayed", "deliveries", replayed)
	}
	if err != nil {
		return fmt.Errorf("replay after an upgrade: %w", err)
	}
	if err := u.BeginLife(ctx); err != nil {
		return fmt.Errorf("record the start: %w", err)
	}
	return nil
}

// followFeed reads the change feed every few seconds, until the context ends. Requests read it
// too; without them, this is how a database that was restored under a running server is noticed.
func (u *Upkeep) followFeed(ctx context.Context) {
	for wait(ctx, verifyEvery) {
		if err := u.config.FollowFeed(ctx); err != nil && ctx.Err() == nil {
			u.config.Logger.Debug("the change feed could not be read", "error", err) // health reports the database
		}
	}
}

// HistoryLost records that the database is not the one that this process knew, such as a restored
// copy: earlier walks prove nothing now.
func (u *Upkeep) HistoryLost(ctx context.Context) {
	u.config.Logger.Warn("the change feed is not the one that was read before: the database may have been restored")
	if err := u.db.NoteGap(ctx, clerk.TimeOf(u.config.Now())); err != nil {
		u.config.Logger.Error("the gap could not be stored", "error", err)
	}
	select {
	case u.resync <- struct{}{}:
	default: // it is known
	}
}

// wait waits, and reports whether the context still runs.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
