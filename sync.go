package clerksync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/upkeep"
	"github.com/clerksync/clerksync/mirror"
)

// Errors of [Sync].
var (
	// ErrNoSecretKey means that there is no secret key with which Clerk could be read.
	ErrNoSecretKey = upkeep.ErrNoSecretKey
	// ErrSyncBusy means that another process reads Clerk for this mirror.
	ErrSyncBusy = reconcile.ErrBusy
)

// Sync makes a mirror complete and keeps it so, by reading Clerk.
type Sync struct{ m *Mirror }

// Sync returns the service of backfill, reconcile and status.
func (m *Mirror) Sync() Sync { return Sync{m} }

// Backfill reads everything that Clerk has, next to live events. It resumes an interrupted
// backfill. progress may be nil.
func (s Sync) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return s.m.upkeep.Backfill(ctx, progress)
}

// Reconcile compares everything with Clerk and repairs what differs. It reads objects that Clerk
// seems to have deleted twice, a minute apart. The error may be a [*mirror.MassDeletionError].
func (s Sync) Reconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	for _, kind := range o.Kinds {
		if kind != clerk.KindSession && !slices.Contains(reconcile.Kinds(), kind) {
			return nil, fmt.Errorf("clerksync: kind %q cannot be listed at Clerk", string(kind))
		}
	}
	report, err := s.m.upkeep.Reconcile(ctx, o)
	if o.DryRun && report != nil && !s.m.db.ReadOnly() {
		err = errors.Join(err, noteDifferences(ctx, s.m.db, report))
	}
	return report, err
}

// NoteDifferences records in a database how many differences a report found and left, by kind, so
// that no status says "in sync" while they are known. It is all that a dry run of Reconcile
// writes. A mirror that only reads leaves it to its caller.
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

// Status returns how fresh the mirror is and whether that is proven. It counts tables: call it
// each minute, not for each request. It writes nothing and sends no request to Clerk.
func (s Sync) Status(ctx context.Context) (mirror.SyncStatus, error) {
	report, err := s.m.monitor.Report(ctx)
	if err != nil {
		return mirror.SyncStatus{}, fmt.Errorf("clerksync: status: %w", err)
	}
	return report, nil
}

// InSync reports whether the mirror is proven to equal Clerk, and why not.
func (s Sync) InSync(ctx context.Context) (bool, []mirror.SyncReason, error) {
	a, err := s.m.monitor.Assess(ctx)
	if err != nil {
		return false, nil, fmt.Errorf("clerksync: status: %w", err)
	}
	return a.InSync(), a.Reasons, nil
}

// Budget returns how much of Clerk's rate limit this process may use, and uses; nil without a
// secret key.
func (s Sync) Budget() *mirror.BudgetStatus { return s.m.monitor.Budget() }

// MergeReasons returns the reasons for people: those that say the same of several kinds become
// one, which names all of them.
func MergeReasons(reasons []mirror.SyncReason) []mirror.SyncReason { return status.Merge(reasons) }
