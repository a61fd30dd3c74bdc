package clerksync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Errors of [Sync].
var (
	// ErrNoSecretKey means that Config.SecretKey is empty, so that Clerk cannot be read.
	ErrNoSecretKey = mirror.ErrNoSecretKey
	// ErrSyncBusy means that another process holds the lease to read Clerk for this database.
	ErrSyncBusy = mirror.ErrSyncBusy
)

// Sync reads Clerk to complete the mirror, to compare it with Clerk, and to repair it.
type Sync struct{ m *Mirror }

// Sync returns the service of backfill, reconcile and status.
func (m *Mirror) Sync() Sync { return Sync{m} }

// Backfill reads everything that Clerk has, next to live events. It resumes an interrupted
// backfill. progress may be nil.
func (s Sync) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return s.m.upkeep.Backfill(ctx, progress)
}

// Reconcile compares everything with Clerk and repairs the differences. If Clerk no longer lists an
// object, Reconcile reads it twice, a minute apart, before it takes the object for deleted. The
// error may be a [*mirror.MassDeletionError].
func (s Sync) Reconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	for _, kind := range o.Kinds {
		if !listed(kind) {
			return nil, fmt.Errorf("clerksync: kind %q cannot be listed at Clerk", string(kind))
		}
	}
	report, err := s.m.upkeep.Reconcile(ctx, o)
	if o.DryRun && report != nil && !s.m.db.ReadOnly() {
		err = errors.Join(err, noteDifferences(ctx, s.m.db, report))
	}
	return report, err
}

// listed reports whether objects of a kind can be compared with Clerk.
func listed(kind clerk.Kind) bool {
	return kind == clerk.KindSession || slices.Contains(reconcile.Kinds(), kind)
}

// NoteDifferences records the differences that a report found and did not repair, by kind. After
// that, no status says "in sync" while they exist. A dry run of [Sync.Reconcile] calls it, unless
// the database was opened read-only: then the caller has to.
func NoteDifferences(ctx context.Context, database DB, report *mirror.SyncReport) error {
	db, err := driver.Of(database)
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return noteDifferences(ctx, db, report)
}

func noteDifferences(ctx context.Context, db *store.DB, report *mirror.SyncReport) error {
	left := map[string]int64{}
	for _, k := range report.Kinds {
		if n := k.Found - k.Repaired; n > 0 {
			left[string(k.Kind)] = int64(n)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return db.NoteLeft(ctx, left)
}

// Status returns how fresh the mirror is and whether it is in sync. It counts the rows of tables,
// so call it every minute at most, not for each request. It writes nothing and sends no request to
// Clerk.
func (s Sync) Status(ctx context.Context) (mirror.SyncStatus, error) {
	report, err := s.m.monitor.Report(ctx)
	if err != nil {
		return mirror.SyncStatus{}, fmt.Errorf("clerksync: status: %w", err)
	}
	return report, nil
}

// Overview returns the status without counting tables, so that it can be called for each request.
// Its counts are about a minute old at most, and the rest about a second.
func (s Sync) Overview(ctx context.Context) (mirror.SyncOverview, error) {
	o, err := s.m.monitor.Overview(ctx)
	if err != nil {
		return mirror.SyncOverview{}, fmt.Errorf("clerksync: status: %w", err)
	}
	return o, nil
}

// Activity returns how many events this mirror received in each minute since a time, in all
// processes, and how late they came. It goes back a day at most.
func (s Sync) Activity(ctx context.Context, since time.Time) (mirror.Activity, error) {
	return s.m.activity.Read(ctx, since)
}

// Walks returns a page of the walks of lists at Clerk, the latest first. The first page begins with
// the one under way, if there is one.
func (s Sync) Walks(ctx context.Context, f mirror.WalkFilter) (mirror.Page[mirror.WalkRun], error) {
	return s.m.db.WalkRuns(ctx, f)
}

// InSync reports whether comparisons with Clerk prove that the mirror equals it. If not, the
// reasons say why.
func (s Sync) InSync(ctx context.Context) (bool, []mirror.SyncReason, error) {
	a, err := s.m.monitor.Assess(ctx)
	if err != nil {
		return false, nil, fmt.Errorf("clerksync: status: %w", err)
	}
	return a.InSync(), a.Reasons, nil
}

// Rows returns how fresh rows of a kind are, by Clerk id. Ids of no row are left out.
func (s Sync) Rows(ctx context.Context, kind clerk.Kind, ids []string) (map[string]mirror.RowStatus, error) {
	return s.m.db.RowStatuses(ctx, kind, ids)
}

// Budget returns how much of Clerk's rate limit this process may use, and how much it uses. It
// returns nil without a secret key.
func (s Sync) Budget() *mirror.BudgetStatus { return s.m.monitor.Budget() }

// MergeReasons merges reasons that say the same of several kinds into one that names all of them,
// to show them to people.
func MergeReasons(reasons []mirror.SyncReason) []mirror.SyncReason { return status.Merge(reasons) }
