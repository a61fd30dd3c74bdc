package clerksync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// MergeReasons returns the reasons for people: those that say the same of several kinds are one, which names all of them.
func MergeReasons(reasons []mirror.SyncReason) []mirror.SyncReason { return status.Merge(reasons) }

// Budget is how much of Clerk's rate limit this process may use, and uses; nil without a secret key.
func (s Sync) Budget() *mirror.BudgetStatus {
	if s.m.api == nil {
		return nil
	}
	return budgetStatus(s.m.api.Stats())
}

func budgetStatus(s clerkapi.Stats) *mirror.BudgetStatus {
	return &mirror.BudgetStatus{
		Limit: s.Limit, Granted: s.Budget, Allowed: s.Allowed, Used: s.Used, Share: s.Share(), Breaker: string(s.Breaker),
	}
}

const listedDrift = 100

// Status returns how fresh the mirror is and whether that is proven. It counts tables: ask it each minute, not each
// request. It writes nothing and asks Clerk nothing.
func (s Sync) Status(ctx context.Context) (mirror.SyncStatus, error) {
	ours := clerk.TimeOf(s.m.waited())
	var facts status.Facts
	var heard map[string]store.LastDelivery
	var drift mirror.Page[mirror.Drift]
	err := s.m.db.Snapshot(ctx, func(ctx context.Context) (err error) {
		if facts, err = s.m.syncFacts(ctx, ours); err != nil {
			return err
		}
		if heard, err = s.m.db.LastDeliveries(ctx); err != nil {
			return err
		}
		drift, err = s.m.db.Drift(ctx, mirror.DriftFilter{Limit: listedDrift})
		return err
	})
	if err != nil {
		return mirror.SyncStatus{}, fmt.Errorf("clerksync: status: %w", err)
	}
	reasons := status.Assess(&facts)
	s.m.verdict.put(reasons)
	result := mirror.SyncStatus{
		InSync: len(reasons) == 0, Sentence: status.Sentence(&facts, reasons), Reasons: append([]mirror.SyncReason{}, reasons...),
		Backfilled: true, At: ours.Time(), Budget: s.Budget(), Drift: drift.Items,
		DeadLetters: facts.DeadLetters, Quarantined: facts.Quarantined, Warnings: append([]mirror.Warning{}, s.m.Health(ctx).Warnings...),
	}
	if result.InSync {
		result.ProvenAt = facts.ProvenAt().Time()
	}
	state := live.State{Walks: facts.Walks(), ProvenFrom: facts.Life.ProvenFrom, Now: facts.Now}
	for i := range facts.Kinds {
		k := kindStatus(&facts.Kinds[i], reasons)
		lastEvent(&k, heard)
		k.Ready = k.Listed && s.m.bounds().Left(k.Kind, state) > 0
		result.Backfilled = result.Backfilled && (!k.Listed || !k.Walk.BackfilledAt.IsZero())
		result.Kinds = append(result.Kinds, k)
	}
	result.Ready = ready(&result)
	return result, nil
}

// syncFacts reads what the verdict rests on. ours is our clock.
func (m *Mirror) syncFacts(ctx context.Context, ours clerk.Time) (f status.Facts, err error) {
	err = m.db.Snapshot(ctx, func(ctx context.Context) error {
		if f, err = status.Read(ctx, m.db, m.schedule(), ours, clerk.TimeOf(ours.Time().Truncate(24*time.Hour))); err != nil {
			return err
		}
		f.Instance, err = m.otherInstances(ctx, f.ProvenAt())
		return err
	})
	return f, err
}

// otherInstances returns the other Clerk instances that put the claim of being in sync in doubt: those of configured keys,
// and those whose events came since the last walk began, or were mixed with ours.
func (m *Mirror) otherInstances(ctx context.Context, proven clerk.Time) (status.Instance, error) {
	found, err := m.instance.Foreign(ctx)
	if err != nil {
		return status.Instance{}, err
	}
	others := found.Keys
	if len(found.Events) > 0 {
		at, err := m.db.LastForeign(ctx)
		if err != nil {
			return status.Instance{}, err
		}
		if found.Database == "" || at >= proven {
			others = slices.Concat(others, found.Events)
		}
	}
	return status.Instance{Own: found.Database, Foreign: others}, nil
}

// InSync reports whether the mirror is proven to equal Clerk, and why not. Every command and page that says so asks it.
func (s Sync) InSync(ctx context.Context) (bool, []mirror.SyncReason, error) {
	facts, err := s.m.syncFacts(ctx, clerk.TimeOf(s.m.waited()))
	if err != nil {
		return false, nil, fmt.Errorf("clerksync: status: %w", err)
	}
	reasons := status.Assess(&facts)
	return len(reasons) == 0, reasons, nil
}

const (
	verdictEvery = 30 * time.Second // it counts tables, and health is asked each second
	verdictLimit = 20 * time.Second
)

// findVerdict is a look at whether the mirror is in sync, for health.
func (m *Mirror) findVerdict(ctx context.Context) []mirror.SyncReason {
	facts, err := m.syncFacts(ctx, clerk.TimeOf(m.waited()))
	if err != nil {
		return []mirror.SyncReason{{Code: "unknown", Message: "it could not be found out", Remedy: "see the log"}}
	}
	return status.Assess(&facts)
}

// lastVerdict returns the last verdict, or the first one if it comes quickly. mirror.Health does not wait for whole tables to be
// counted.
func (m *Mirror) lastVerdict(ctx context.Context) []mirror.SyncReason {
	ctx, cancel := context.WithTimeout(ctx, lookTime/4)
	defer cancel()
	reasons, _ := m.verdict.get(ctx)
	return reasons
}

func kindStatus(k *status.Kind, reasons []mirror.SyncReason) mirror.KindStatus {
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

// lastEvent fills in the last event of a kind.
func lastEvent(k *mirror.KindStatus, last map[string]store.LastDelivery) {
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

// ready reports whether facts of users and of memberships may grant, where the instance has them.
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
