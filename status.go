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
)

// SyncWalk is how one list at Clerk was read last.
type SyncWalk = store.Walk

// SyncReason is one reason why the mirror is not in sync, with what to do. Codes are stable.
type SyncReason = status.Reason

// MergeReasons returns the reasons for people: those that say the same of several kinds are one, which names all of them.
func MergeReasons(reasons []SyncReason) []SyncReason { return status.Merge(reasons) }

// SyncStatus is what is known of a mirror's freshness. GET /api/sync and clerksync status return it. It holds
// no values of users. All of it was read in one transaction.
type SyncStatus struct {
	// InSync is a proof, not a guess: a whole walk of every kind that Clerk lists for this instance began after
	// the last gap and accounts for every live row, and nothing is open. docs/proof.md says what that rests on.
	// Sessions, subscriptions, payment attempts and waitlist entries have no list: they are read by id where
	// they are in doubt and that is possible, and have no other part in it.
	InSync bool `json:"in_sync"`
	// Sentence says it to people: what is proven, or what is missing and what to do.
	Sentence string `json:"sentence"`
	// Reasons are why the mirror is not in sync; none if it is.
	Reasons []SyncReason `json:"reasons"`
	// ProvenAt is the time for which an in-sync mirror is proven: every change made at Clerk before it, and every
	// change whose event was acknowledged, is in the mirror. 0 while it is not in sync.
	ProvenAt clerk.Time `json:"proven_at"`
	// Ready is whether stored roles and permissions may grant; see Config.ReadyWithin.
	Ready       bool          `json:"ready"`
	Backfilled  bool          `json:"backfilled"` // everything was read to its end once
	At          clerk.Time    `json:"at"`
	Kinds       []KindStatus  `json:"kinds"`
	DeadLetters int64         `json:"dead_letters"`
	Quarantined int64         `json:"quarantined"`
	Budget      *BudgetStatus `json:"budget"`   // null without a secret key
	Warnings    []Warning     `json:"warnings"` // as in Health
	Drift       []Drift       `json:"drift"`    // the latest, 100 at most
}

// KindStatus is what is known of the copies of one kind.
type KindStatus struct {
	Kind     clerk.Kind `json:"kind"`
	InSync   bool       `json:"in_sync"`
	Ready    bool       `json:"ready"`    // a walk, of users also a sweep, is recent enough for stored facts to grant
	Listed   bool       `json:"listed"`   // Clerk lists the kind, so that all of it can be compared
	Readable bool       `json:"readable"` // Clerk returns one by id, so that a doubt can be settled

	Rows  int64 `json:"rows"`  // live
	Stubs int64 `json:"stubs"` // of these: seen so far only inside other objects
	Gone  int64 `json:"gone"`  // kept, and hidden: deleted, or their user or organization was

	Unverified       int64      `json:"unverified"`         // live rows that were never compared with Clerk
	Unaccounted      int64      `json:"unaccounted"`        // live rows that nothing proves to have been at Clerk when the last whole walk began, or later
	OldestVerifiedAt clerk.Time `json:"oldest_verified_at"` // the longest ago that a live row was compared last

	VerifyQueue    int64      `json:"verify_queue"`
	VerifyQueuedAt clerk.Time `json:"verify_queued_at"` // of the one that waits longest

	// Suspected counts the objects that one answer of Clerk called missing, or older than the stored row: a
	// second answer has to confirm it.
	Suspected int64 `json:"suspected"`

	// Conflicts counts the objects that Clerk has and that are permanently deleted here.
	Conflicts int64 `json:"conflicts"`

	// Unreadable are in doubt, and Clerk keeps refusing to tell them. They are no part of VerifyQueue.
	Unreadable int64 `json:"unreadable"`

	LastEventAt clerk.Time `json:"last_event_at"`
	// LagMS is how long the last event of the kind took from its last signature at the sender until it was stored.
	LagMS *int64 `json:"lag_ms"`

	Walk  SyncWalk    `json:"walk"`
	Drift DriftStatus `json:"drift"`
}

// DriftStatus counts rows that were found to differ from Clerk. A day begins at midnight UTC.
type DriftStatus struct {
	FoundToday    int64 `json:"found_today"`
	RepairedToday int64 `json:"repaired_today"`
	Found         int64 `json:"found"`
	Repaired      int64 `json:"repaired"`
}

// BudgetStatus is how much of Clerk's rate limit this process may use, and uses. Requests are those of ten seconds.
type BudgetStatus struct {
	Limit   int     `json:"limit"`   // that Clerk grants the instance
	Granted int     `json:"granted"` // of these, to us
	Allowed int     `json:"allowed"` // of these, at present: less after a 429
	Used    int     `json:"used"`    // in the last ten seconds
	Share   float64 `json:"share"`   // used of granted, from 0 to 1
	Breaker string  `json:"breaker"` // closed; open in an outage at Clerk, when nothing is sent; half-open
}

// Budget is how much of Clerk's rate limit this process may use, and uses; nil without a secret key.
func (s Sync) Budget() *BudgetStatus {
	if s.m.api == nil {
		return nil
	}
	return budgetStatus(s.m.api.Stats())
}

func budgetStatus(s clerkapi.Stats) *BudgetStatus {
	return &BudgetStatus{s.Limit, s.Budget, s.Allowed, s.Used, s.Share(), string(s.Breaker)}
}

const listedDrift = 100

// Status returns how fresh the mirror is and whether that is proven. It counts tables: ask it each minute, not each
// request. It writes nothing and asks Clerk nothing.
func (s Sync) Status(ctx context.Context) (SyncStatus, error) {
	ours := clerk.TimeOf(s.m.waited())
	var facts status.Facts
	var heard map[string]store.LastDelivery
	var drift []store.Drift
	err := s.m.db.Snapshot(ctx, func(ctx context.Context) (err error) {
		if facts, err = s.m.syncFacts(ctx, ours); err != nil {
			return err
		}
		if heard, err = s.m.db.LastDeliveries(ctx); err != nil {
			return err
		}
		drift, err = s.m.db.Drift(ctx, store.DriftFilter{Limit: listedDrift})
		return err
	})
	if err != nil {
		return SyncStatus{}, fmt.Errorf("clerksync: status: %w", err)
	}
	reasons := status.Assess(&facts)
	s.m.verdict.put(reasons)
	result := SyncStatus{
		InSync: len(reasons) == 0, Sentence: status.Sentence(&facts, reasons), Reasons: append([]SyncReason{}, reasons...),
		Backfilled: true, At: ours, Budget: s.Budget(), Drift: append([]Drift{}, drift...),
		DeadLetters: facts.DeadLetters, Quarantined: facts.Quarantined, Warnings: append([]Warning{}, s.m.Health(ctx).Warnings...),
	}
	if result.InSync {
		result.ProvenAt = facts.ProvenAt()
	}
	state := live.State{Walks: facts.Walks(), ProvenFrom: facts.Life.ProvenFrom, Now: facts.Now}
	for i := range facts.Kinds {
		k := kindStatus(&facts.Kinds[i], reasons)
		k.heard(heard)
		k.Ready = k.Listed && s.m.bounds().Left(k.Kind, state) > 0
		result.Backfilled = result.Backfilled && (!k.Listed || k.Walk.BackfilledAt != 0)
		result.Kinds = append(result.Kinds, k)
	}
	result.Ready = result.ready()
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
func (s Sync) InSync(ctx context.Context) (bool, []SyncReason, error) {
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
func (m *Mirror) findVerdict(ctx context.Context) []SyncReason {
	facts, err := m.syncFacts(ctx, clerk.TimeOf(m.waited()))
	if err != nil {
		return []SyncReason{{Code: "unknown", Message: "it could not be found out", Remedy: "see the log"}}
	}
	return status.Assess(&facts)
}

// lastVerdict returns the last verdict, or the first one if it comes quickly. Health does not wait for whole tables to be
// counted.
func (m *Mirror) lastVerdict(ctx context.Context) []SyncReason {
	ctx, cancel := context.WithTimeout(ctx, lookTime/4)
	defer cancel()
	reasons, _ := m.verdict.get(ctx)
	return reasons
}

func kindStatus(k *status.Kind, reasons []SyncReason) KindStatus {
	return KindStatus{
		Kind: k.Kind, Listed: k.Listed, Readable: k.Readable, Walk: k.Walk,
		Rows: k.Tally.Rows, Stubs: k.Tally.Stubs, Gone: k.Tally.Gone,
		Unverified: k.Tally.Unverified, Unaccounted: k.Tally.Unaccounted, OldestVerifiedAt: k.Tally.OldestVerifiedAt,
		VerifyQueue: k.Queue.Objects, VerifyQueuedAt: k.Queue.OldestAt, Suspected: k.Suspects, Conflicts: k.Conflicts, Unreadable: k.Unreadable,
		Drift:  DriftStatus{k.Drift.FoundSince, k.Drift.RepairedSince, k.Drift.Found, k.Drift.Repaired},
		InSync: !slices.ContainsFunc(reasons, func(r SyncReason) bool { return r.Kind == k.Kind || r.Kind == "" }),
	}
}

// heard fills in the last event.
func (k *KindStatus) heard(last map[string]store.LastDelivery) {
	for eventType, d := range last {
		if kind, _ := clerk.KindOfEvent(eventType); kind != k.Kind || d.ReceivedAt <= k.LastEventAt {
			continue
		}
		k.LastEventAt, k.LagMS = d.ReceivedAt, nil
		if d.SignedAt != 0 {
			lag := max(0, int64(d.ReceivedAt-d.SignedAt)) // the two are different clocks
			k.LagMS = &lag
		}
	}
}

// ready reports whether facts of users and of memberships may grant, where the instance has them.
func (s *SyncStatus) ready() bool {
	return !slices.ContainsFunc(s.Kinds, func(k KindStatus) bool {
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
