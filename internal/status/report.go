package status

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Report returns the assessment for people and machines.
func (m *Monitor) Report(ctx context.Context) (mirror.SyncStatus, error) {
	a, err := m.Assess(ctx)
	if err != nil {
		return mirror.SyncStatus{}, err
	}
	return m.report(a), nil
}

func (m *Monitor) report(a *Assessment) mirror.SyncStatus {
	f := a.Facts
	report := mirror.SyncStatus{
		InSync: a.InSync(), Sentence: a.Sentence(), Reasons: append([]mirror.SyncReason{}, a.Reasons...),
		Backfilled: true, At: f.Ours.Time(), Budget: m.Budget(), Drift: append([]mirror.Drift{}, f.Drift...),
		DeadLetters: f.DeadLetters, Quarantined: f.Quarantined, Overrides: f.Overrides, Warnings: a.Warnings(),
	}
	if report.InSync {
		report.ProvenAt = f.ProvenAt().Time()
	}
	state := live.State{Walks: f.Walks(), ProvenFrom: f.Life.ProvenFrom, Now: f.Now}
	for i := range f.Kinds {
		k := kindStatus(&f.Kinds[i], a.Reasons)
		setLastEvent(&k, f.LastDeliveries)
		k.Ready = k.Listed && m.config.Bounds.Left(k.Kind, state) > 0
		report.Backfilled = report.Backfilled && (!k.Listed || !k.Walk.BackfilledAt.IsZero())
		report.Kinds = append(report.Kinds, k)
	}
	report.Ready = ready(&report)
	return report
}

// Budget returns how much of Clerk's rate limit this process may use, and uses; nil without a
// secret key.
func (m *Monitor) Budget() *mirror.BudgetStatus {
	if m.config.API == nil {
		return nil
	}
	s := m.config.API.Stats()
	return &mirror.BudgetStatus{
		Limit: s.Limit, Granted: s.Budget, Allowed: s.Allowed, Used: s.Used, Share: s.Share(), Breaker: string(s.Breaker),
	}
}

// kindStatus returns the status of one kind.
func kindStatus(k *Kind, reasons []mirror.SyncReason) mirror.KindStatus {
	return mirror.KindStatus{
		Kind: k.Kind, Listed: k.Listed, Readable: k.Readable, Walk: walkOf(&k.Walk),
		Rows: k.Tally.Rows, Stubs: k.Tally.Stubs, Gone: k.Tally.Gone,
		Unverified: k.Tally.Unverified, Unaccounted: k.Tally.Unaccounted, OldestVerifiedAt: k.Tally.OldestVerifiedAt.Time(),
		VerifyQueue: k.Queue.Objects, VerifyQueuedAt: k.Queue.OldestAt.Time(), Suspected: k.Suspects, Conflicts: k.Conflicts, Unreadable: k.Unreadable,
		Drift: mirror.DriftStatus{
			FoundToday: k.Drift.FoundSince, RepairedToday: k.Drift.RepairedSince, Found: k.Drift.Found, Repaired: k.Drift.Repaired,
		},
		InSync: !slices.ContainsFunc(reasons, func(r mirror.SyncReason) bool { return r.Kind == k.Kind || r.Kind == "" }),
	}
}

// walkOf returns what the API shows of a walk.
func walkOf(w *store.Walk) mirror.Walk {
	return mirror.Walk{
		BackfilledAt: w.BackfilledAt.Time(), BegunAt: w.BegunAt.Time(), EndedAt: w.EndedAt.Time(), Complete: w.Complete,
		CompleteAt: w.CompleteAt.Time(), Reason: w.Reason, Refused: w.Refused, SweptAt: w.SweptAt.Time(),
		Rows: w.Rows, Found: w.Found, Repaired: w.Repaired, Left: w.Left,
	}
}

// setLastEvent sets the last event of a kind.
func setLastEvent(k *mirror.KindStatus, last map[string]store.LastDelivery) {
	var latest clerk.Time
	for eventType, d := range last {
		if kind, _ := clerk.KindOfEvent(eventType); kind != k.Kind || d.ReceivedAt <= latest {
			continue
		}
		latest = d.ReceivedAt
		k.LastEventAt, k.LagMS = d.ReceivedAt.Time(), nil
		if d.SignedAt != 0 {
			lag := max(0, int64(d.ReceivedAt-d.SignedAt)) // the two are different clocks
			k.LagMS = &lag
		}
	}
}

// ready reports whether stored facts of users and memberships may grant, as far as the instance
// has them.
func ready(s *mirror.SyncStatus) bool {
	return !slices.ContainsFunc(s.Kinds, func(k mirror.KindStatus) bool {
		switch k.Kind {
		case clerk.KindUser:
			return !k.Ready
		case clerk.KindMembership, clerk.KindRole, clerk.KindPermission:
			return !k.Ready && !k.Walk.Refused
		default:
			return false
		}
	})
}
