package status

import (
	"context"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// overview is what the shared read of the overview returns.
type overview struct {
	mirror.SyncOverview
	err error
}

var errSlow = errors.New("the database has not answered in time")

// Overview assesses the mirror without counting tables, at most once a second. Counts are those of
// the last minute, and the next ones are read in the background.
func (m *Monitor) Overview(ctx context.Context) (mirror.SyncOverview, error) {
	o, ok := m.overview.get(ctx)
	if !ok && o.err == nil {
		o.err = errors.Join(errSlow, ctx.Err())
	}
	return o.SyncOverview, o.err
}

func (m *Monitor) readOverview(ctx context.Context) (o overview) {
	if o.err = m.refreshSettings(ctx); o.err != nil {
		return o
	}
	counted, at := m.counts.recent(ctx, countsProveFor, countsWait)
	facts, err := m.read(ctx, false)
	if err != nil {
		return overview{err: err}
	}
	if o.Walk, o.err = m.db.CurrentWalk(ctx); o.err != nil {
		return o
	}
	if counted != nil {
		facts.addCounts(counted)
		o.CountedAt, o.Deliveries = at.UTC(), counted.Deliveries
	}
	reasons := Assess(facts)
	if counted != nil && m.config.Now().Sub(at) < countsProveFor {
		m.reasons.put(reasons, at) // so that no warning says less than this
	} else {
		reasons = append(reasons, mirror.SyncReason{Code: "counting", Message: "the rows are being counted", Remedy: "wait a moment"})
	}
	s := m.signals(facts)
	s.reasons = reasons
	o.Status = m.report(&Assessment{Facts: facts, Reasons: reasons, signals: s})
	o.LastEventAt, o.OldestVerifiedAt = facts.Head.LastReceivedAt.Time(), facts.OldestVerifiedAt().Time()
	return o
}

// readCounts is the shared read of the counts of tables.
func (m *Monitor) readCounts(ctx context.Context) *Facts {
	facts, err := m.read(ctx, true)
	if err != nil {
		m.config.Logger.Debug("rows could not be counted", "error", err) // health reports the database
		return nil
	}
	return facts
}

// addCounts adds the counts that were read earlier. Where a whole walk has ended since, they do not
// say what it left, so that the walk before it stays the one that counts.
func (f *Facts) addCounts(earlier *Facts) {
	f.LastDeliveries, f.Drift, f.Instance = earlier.LastDeliveries, earlier.Drift, earlier.Instance
	f.Deliveries, f.Overrides = earlier.Deliveries, earlier.Overrides
	for i := range f.Kinds {
		k := &f.Kinds[i]
		at := slices.IndexFunc(earlier.Kinds, func(e Kind) bool { return e.Kind == k.Kind })
		if at < 0 {
			continue
		}
		e := &earlier.Kinds[at]
		k.Tally, k.Suspects, k.Conflicts, k.Drift = e.Tally, e.Suspects, e.Conflicts, e.Drift
		if k.Walk.Whole != e.Walk.Whole {
			k.Walk.Whole, k.Walk.CompleteAt = e.Walk.Whole, e.Walk.CompleteAt
		}
	}
}

// OldestVerifiedAt returns when the live row of a listed kind was compared that was not compared
// for the longest time, 0 if there is none.
func (f *Facts) OldestVerifiedAt() (oldest clerk.Time) {
	for i := range f.Kinds {
		if at := f.Kinds[i].Tally.OldestVerifiedAt; f.Kinds[i].Listed && at != 0 && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	return oldest
}
