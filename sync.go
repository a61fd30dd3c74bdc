package clerksync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
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
	// ErrNoSecretKey says that there is no secret key with which Clerk could be read.
	ErrNoSecretKey = errors.New("no Clerk secret key is configured")
	// ErrSyncBusy says that another process reads Clerk for this mirror.
	ErrSyncBusy = reconcile.ErrBusy
)

const (
	tickEvery = time.Minute
	// doubtsEvery is how often the verify queue is looked at in between
	doubtsEvery = 5 * time.Second
	busyWait    = 90 * time.Second // longer than what Run does each minute
	busyEvery   = 5 * time.Second  // the process that has the lease may have died: then it runs out within 30 seconds
)

// Sync makes a mirror complete and keeps it so, by reading Clerk.
type Sync struct{ m *Mirror }

// Sync is the service of backfill and reconcile.
func (m *Mirror) Sync() Sync { return Sync{m} }

// Backfill reads everything that Clerk has, beside live events. One that was ended, however, goes on where it was.
// progress may be nil.
func (s Sync) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return s.patiently(ctx, func() (*mirror.SyncReport, error) {
		if err := s.closeGap(ctx); err != nil {
			return nil, err
		}
		return s.m.reconciler.Backfill(ctx, progress)
	})
}

// Reconcile compares everything with Clerk and repairs what differs. What Clerk seems to have deleted is asked for twice,
// a minute apart. The error may be a [*mirror.MassDeletionError].
func (s Sync) Reconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	for _, kind := range o.Kinds {
		if kind != clerk.KindSession && !slices.Contains(reconcile.Kinds(), kind) {
			return nil, fmt.Errorf("clerksync: kind %q can not be listed at Clerk", string(kind))
		}
	}
	report, err := s.patiently(ctx, func() (*mirror.SyncReport, error) {
		if !o.DryRun {
			if err := s.closeGap(ctx); err != nil {
				return nil, err
			}
		}
		return s.m.reconciler.Walk(ctx, o)
	})
	if o.DryRun && report != nil && !s.m.db.ReadOnly() {
		err = errors.Join(err, noteDifferences(ctx, s.m.db, report))
	}
	return report, err
}

// closeGap forgets processes that were killed before everything is compared: what is compared from now on is proven again.
func (s Sync) closeGap(ctx context.Context) error {
	return s.m.db.CloseGap(ctx, clerk.TimeOf(s.m.config.Test.Now()), status.Abandoned)
}

// NoteDifferences records in a database how many differences a report found and left, by kind, so that nothing says "in
// sync" while they are known. It is all that a dry run of Reconcile writes; one whose mirror only reads leaves it to its
// caller.
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

// waiting are the clock of a reconcile and its way to wait, which moves it.
func (c *Config) waiting() (now func() time.Time, sleep func(context.Context, time.Duration) error) {
	if c.Test.Sleep == nil {
		return c.Test.Now, nil
	}
	var waited atomic.Int64
	return func() time.Time { return c.Test.Now().Add(time.Duration(waited.Load())) },
		func(ctx context.Context, d time.Duration) error {
			waited.Add(int64(d))
			return c.Test.Sleep(ctx, d)
		}
}

// patiently waits a while for another process that walks.
func (s Sync) patiently(ctx context.Context, work func() (*mirror.SyncReport, error)) (*mirror.SyncReport, error) {
	if s.m.reconciler == nil {
		return nil, ErrNoSecretKey
	}
	for end := time.Now().Add(busyWait); ; {
		report, err := work()
		if !errors.Is(err, ErrSyncBusy) || time.Now().After(end) {
			return report, err
		}
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// keepInSync reads Clerk in the background until the context ends.
func (m *Mirror) keepInSync(ctx context.Context) {
	if m.reconciler == nil || m.config.DisableBackfill && m.config.DisableReconcile {
		return
	}
	var walked time.Time // when the last walk was tried: one that fails is not tried again each minute
	for ctx.Err() == nil {
		report, what, err := m.syncOnce(ctx, walked.IsZero() || time.Since(walked) >= m.schedule().Retry())
		if what == "walk" {
			walked = time.Now()
		}
		pause := tickEvery
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrSyncBusy): // another replica does it
			pause = busyEvery
		case err != nil:
			m.config.Logger.Error("Clerk could not be read", "work", what, "error", err)
		case report != nil && (what != "sweep" || report.Found > 0):
			m.config.Logger.Info("Clerk was read", "work", what, "complete", report.Complete(), "drift_found", report.Found, "drift_repaired", report.Repaired)
		}
		if m.pauseSync(ctx, pause) {
			walked = time.Time{}
		}
	}
}

// pauseSync waits for the next work in the background. What comes into the verify queue meanwhile is read within seconds. It
// returns true at once when everything has to be compared again.
func (m *Mirror) pauseSync(ctx context.Context, pause time.Duration) bool {
	for end := time.Now().Add(pause); ctx.Err() == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
		case <-m.resync:
			return true
		case <-time.After(min(doubtsEvery, time.Until(end))):
			if err := m.settleDoubts(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrSyncBusy) {
				m.config.Logger.Debug("what is in doubt could not be read from Clerk", "error", err) // the next tick reports it
			}
		}
	}
	return false
}

// settleDoubts reads what waits in the verify queue, if anything does.
func (m *Mirror) settleDoubts(ctx context.Context) error {
	if m.config.DisableReconcile {
		return nil
	}
	due, err := m.db.VerifyDue(ctx, clerk.TimeOf(m.config.Test.Now()))
	if err == nil && due {
		_, err = m.reconciler.SettleDoubts(ctx)
	}
	return err
}

// syncOnce does what is due: the backfill, else a walk of everything, else what is done each minute.
func (m *Mirror) syncOnce(ctx context.Context, mayWalk bool) (report *mirror.SyncReport, what string, err error) {
	walks, err1 := m.db.Walks(ctx)
	now, err2 := m.db.Clock(ctx, clerk.TimeOf(m.config.Test.Now()))
	life, err3 := m.db.Life(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, "status", err
	}
	due := m.schedule().Due(reconcile.Kinds(), walks, life.ProvenFrom, now)
	done := !slices.ContainsFunc(reconcile.Kinds(), func(kind clerk.Kind) bool { return walks[string(kind)].BackfilledAt == 0 })
	switch {
	case !done && !m.config.DisableBackfill:
		report, err = m.reconciler.Backfill(ctx, nil)
		return report, "backfill", err
	case m.config.DisableReconcile:
		return nil, "", nil
	case due && done && mayWalk:
		report, err = m.reconciler.Walk(ctx, mirror.ReconcileOptions{})
		return report, "walk", err
	}
	report, err = m.reconciler.Tick(ctx)
	return report, "sweep", err
}
