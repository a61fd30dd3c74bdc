package clerksync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// SyncWalk is how one list at Clerk was read last.
type SyncWalk = store.Walk

// SyncStatus is what is known of a mirror's freshness: what GET /api/sync and clerksync status answer. It holds no values
// of users.
type SyncStatus struct {
	// InSync is a proof, not a guess. It is true when
	//   - every kind that Clerk lists was read by a walk that was proven to be whole and began less than 26 hours ago, and
	//     the last one that ended was such a walk and left no difference unrepaired; or Clerk has no such list for this
	//     instance (organizations are switched off);
	//   - no live row of these kinds that was written before that walk began is uncompared: each was found equal to Clerk's
	//     or made so, or a newer event has told of it since;
	//   - nothing waits in the verify queue that can be read by id, and of no row of these kinds Clerk has said once that it is
	//     gone, or older there than here, which a second answer has to confirm;
	//   - no event is a dead letter.
	// Sessions, subscriptions, payment attempts and waitlist entries have no list: they are read by id where they are in
	// doubt and that is possible, and have no other part in it.
	InSync bool `json:"in_sync"`
	// Sentence says it to people: what is proven, or what is missing and what to do.
	Sentence string `json:"sentence"`
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
	Ready    bool       `json:"ready"`    // a walk, of users also a sweep, vouches for it now
	Listed   bool       `json:"listed"`   // Clerk lists the kind, so that all of it can be compared
	Readable bool       `json:"readable"` // Clerk tells one by id, so that a doubt can be settled

	Rows  int64 `json:"rows"`  // live
	Stubs int64 `json:"stubs"` // of these: seen so far only inside other objects
	Gone  int64 `json:"gone"`  // kept, and hidden: deleted, or their user or organization was

	Unverified       int64      `json:"unverified"`         // live rows that were never compared with Clerk
	Unaccounted      int64      `json:"unaccounted"`        // live rows that nothing proves to have been at Clerk when the last complete walk began, or later
	OldestVerifiedAt clerk.Time `json:"oldest_verified_at"` // the longest ago that a live row was compared last

	VerifyQueue    int64      `json:"verify_queue"`
	VerifyQueuedAt clerk.Time `json:"verify_queued_at"` // of the one that waits longest

	// Suspected are those of which one answer of Clerk said that they are gone, or older there than here: a second answer
	// has to confirm it.
	Suspected int64 `json:"suspected"`

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
	if s.m.proofs.api == nil {
		return nil
	}
	return budgetStatus(s.m.proofs.api.Stats())
}

func budgetStatus(s clerkapi.Stats) *BudgetStatus {
	return &BudgetStatus{s.Limit, s.Budget, s.Allowed, s.Used, s.Share(), string(s.Breaker)}
}

const (
	// overdue is the age from which on a walk proves nothing more: one begins a day after the one before.
	overdue     = walkEvery + 2*time.Hour
	listedDrift = 100
)

// Status tells how fresh the mirror is and whether that is proven. It counts tables: ask it each minute, not each request.
func (s Sync) Status(ctx context.Context) (status SyncStatus, err error) {
	db := s.m.db
	ours := clerk.At(s.m.waited())
	walks, err1 := db.Walks(ctx)
	now, err2 := db.Clock(ctx, ours)
	queues, err3 := db.Queues(ctx)
	heard, err4 := db.LastDeliveries(ctx)
	counts, err5 := db.DriftCounts(ctx, clerk.At(ours.Time().Truncate(24*time.Hour)))
	exceptions, err6 := db.Exceptions(ctx)
	suspected, err8 := db.Suspected(ctx)
	drift, err7 := db.Drift(ctx, store.DriftFilter{Limit: listedDrift})
	if err := cmp.Or(err1, err2, err3, err4, err5, err6, err7, err8); err != nil {
		return status, fmt.Errorf("clerksync: status: %w", err)
	}
	status = SyncStatus{
		Backfilled: true, At: ours, Budget: s.Budget(), Drift: slices.Concat([]Drift{}, drift),
		DeadLetters: exceptions[store.StateDead], Quarantined: exceptions[store.StateQuarantined],
		Warnings: slices.Concat([]Warning{}, s.m.Health(ctx).Warnings),
	}
	listed := reconcile.Kinds()
	for _, kind := range append(listed, unlisted(listed)...) {
		k := KindStatus{
			Kind: kind, Listed: slices.Contains(listed, kind), Readable: reconcile.Readable(kind), Walk: walks[string(kind)],
			VerifyQueue: queues[kind].Objects, VerifyQueuedAt: queues[kind].OldestAt, Suspected: suspected[kind],
			Drift: driftStatus(counts[kind]),
		}
		t, err := db.Tally(ctx, kind, k.Walk.Whole)
		if err != nil {
			return status, fmt.Errorf("clerksync: status of %s: %w", kind, err)
		}
		k.Rows, k.Stubs, k.Gone, k.Unverified, k.Unaccounted = t.Rows, t.Stubs, t.Gone, t.Unverified, t.Unaccounted
		k.OldestVerifiedAt = t.OldestVerifiedAt
		k.heard(heard)
		k.Ready = k.Listed && s.m.bounds().Left(kind, k.Walk, now) > 0
		k.InSync = len(k.faults(now)) == 0
		status.Backfilled = status.Backfilled && (!k.Listed || k.Walk.BackfilledAt != 0)
		status.Kinds = append(status.Kinds, k)
	}
	status.Ready = status.ready()
	status.judge(ours, now)
	return status, nil
}

// unlisted are the mirrored kinds that Clerk has no list of.
func unlisted(listed []clerk.Kind) []clerk.Kind {
	return slices.DeleteFunc(clerk.Kinds(), func(k clerk.Kind) bool { return slices.Contains(listed, k) })
}

func driftStatus(c store.DriftCount) DriftStatus {
	return DriftStatus{c.FoundSince, c.RepairedSince, c.Found, c.Repaired}
}

// heard fills in the last event.
func (k *KindStatus) heard(last map[string]store.LastDelivery) {
	for eventType, d := range last {
		if kind, _ := clerk.KindOf(eventType); kind != k.Kind || d.ReceivedAt <= k.LastEventAt {
			continue
		}
		k.LastEventAt, k.LagMS = d.ReceivedAt, nil
		if d.SignedAt != 0 {
			lag := max(0, int64(d.ReceivedAt-d.SignedAt)) // the two are different clocks
			k.LagMS = &lag
		}
	}
}

// ready reports whether facts of users and of seats may grant, where the instance has them.
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
