package mirror

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// SyncStatus is how fresh a mirror is and whether that is proven. GET /api/sync and clerksync
// status show it. It holds no data of users. All of it was read in one transaction.
type SyncStatus struct {
	// InSync is a proof, not a guess: a complete walk of every kind that Clerk lists for this
	// instance began after the last gap and accounts for every live row, and nothing is open.
	// docs/proof.md says what that rests on. Sessions, subscriptions, payment attempts and waitlist
	// entries have no list: they are read by id where they are in doubt and that is possible, and
	// have no other part in it.
	InSync bool `json:"in_sync"`
	// Sentence says for people what is proven, or what is missing and what to do.
	Sentence string `json:"sentence"`
	// Reasons are why the mirror is not in sync. There are none if it is.
	Reasons []SyncReason `json:"reasons"`
	// ProvenAt is the time up to which a mirror in sync is complete: it has every change that was
	// made at Clerk before, and every change whose event was acknowledged. It is zero while the
	// mirror is not in sync.
	ProvenAt time.Time `json:"proven_at"`
	// Ready reports that stored roles and permissions are used for access decisions without asking
	// Clerk.
	Ready bool `json:"ready"`
	// Backfilled reports that everything was read from Clerk once.
	Backfilled bool `json:"backfilled"`
	// At is when the status was read.
	At time.Time `json:"at"`
	// Kinds has one status for each kind.
	Kinds []KindStatus `json:"kinds"`
	// DeadLetters is how many deliveries could not be applied.
	DeadLetters int64 `json:"dead_letters"`
	// Quarantined is how many deliveries are kept and not applied.
	Quarantined int64 `json:"quarantined"`
	// Overrides is how many values operators set here that hold instead of what Clerk says, up to
	// 10,000. Being in sync is about what Clerk says, which is kept below each of them.
	Overrides int64 `json:"overrides"`
	// Budget is the share of Clerk's rate limit; null without a secret key.
	Budget *BudgetStatus `json:"budget"`
	// Warnings are those of [Health].
	Warnings []Warning `json:"warnings"`
	// Drift is what was found to differ last, 100 rows at most.
	Drift []Drift `json:"drift"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (s SyncStatus) MarshalJSON() ([]byte, error) { return encode(s) }

// SyncOverview is the status of a mirror for pages that are opened often: it is read without
// counting tables. GET /api/overview shows it.
type SyncOverview struct {
	// Status is the status of this moment, with the counts of CountedAt. Counts prove something for
	// two minutes: after that, and while there are none, it has a reason "counting".
	Status SyncStatus `json:"status"`
	// CountedAt is when rows were counted, about a minute ago at most if this is called often. It
	// is zero while they were not, and then all counts are 0.
	CountedAt time.Time `json:"counted_at"`
	// Deliveries is how many deliveries were stored at CountedAt.
	Deliveries int64 `json:"deliveries"`
	// LastEventAt is when the last event was received, zero for never.
	LastEventAt time.Time `json:"last_event_at"`
	// OldestVerifiedAt is when the live row of a listed kind was compared that was not compared for
	// the longest time.
	OldestVerifiedAt time.Time `json:"oldest_verified_at"`
	// Walk is the reading of a list at Clerk that is under way, null if there is none.
	Walk *WalkRun `json:"walk"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (o SyncOverview) MarshalJSON() ([]byte, error) { return encode(o) }

// SyncReason is one reason why a mirror is not in sync, and what to do.
type SyncReason struct {
	// Code is stable; docs/proof.md lists the codes.
	Code string `json:"code"`
	// Kind is the kind that it is about, empty for the whole mirror.
	Kind clerk.Kind `json:"kind,omitempty"`
	// Message says what is missing.
	Message string `json:"message"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
}

// String returns the reason and its remedy as a part of a sentence.
func (r SyncReason) String() string { return r.Message + ": " + r.Remedy }

// KindStatus is how fresh the rows of one kind are.
type KindStatus struct {
	// Kind is the kind.
	Kind clerk.Kind `json:"kind"`
	// InSync reports that no reason speaks against this kind.
	InSync bool `json:"in_sync"`
	// Ready reports that a comparison with Clerk is recent enough for stored facts of this kind to
	// grant access.
	Ready bool `json:"ready"`
	// Listed reports that Clerk lists the kind, so that all of it can be compared.
	Listed bool `json:"listed"`
	// Readable reports that Clerk returns one object by its id.
	Readable bool `json:"readable"`
	// Rows is how many rows are live.
	Rows int64 `json:"rows"`
	// Stubs is how many of them are known only from other objects.
	Stubs int64 `json:"stubs"`
	// Gone is how many rows are kept and hidden: they were deleted, or their user or organization
	// was.
	Gone int64 `json:"gone"`
	// Unverified is how many live rows were never compared with Clerk.
	Unverified int64 `json:"unverified"`
	// Unaccounted is how many live rows are not proven to have been at Clerk when the last complete
	// walk began, or later.
	Unaccounted int64 `json:"unaccounted"`
	// OldestVerifiedAt is when the live row was compared that was not compared for the longest
	// time.
	OldestVerifiedAt time.Time `json:"oldest_verified_at"`
	// VerifyQueue is how many rows wait to be read again from Clerk.
	VerifyQueue int64 `json:"verify_queue"`
	// VerifyQueuedAt is since when the first of them waits.
	VerifyQueuedAt time.Time `json:"verify_queued_at"`
	// Suspected is how many objects one answer of Clerk called missing, or older than the stored
	// row: a second answer has to confirm that.
	Suspected int64 `json:"suspected"`
	// Conflicts is how many objects Clerk has that are permanently deleted here.
	Conflicts int64 `json:"conflicts"`
	// Unreadable is how many objects Clerk keeps refusing to return. They are not counted in
	// VerifyQueue.
	Unreadable int64 `json:"unreadable"`
	// LastEventAt is when the last event of the kind was received.
	LastEventAt time.Time `json:"last_event_at"`
	// LagMS is how many milliseconds passed between the signature of that event and its arrival;
	// null where that is not known.
	LagMS *int64 `json:"lag_ms"`
	// Walk is how the list was read last.
	Walk Walk `json:"walk"`
	// Drift counts the rows that were found to differ.
	Drift DriftStatus `json:"drift"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (s KindStatus) MarshalJSON() ([]byte, error) { return encode(s) }

// Walk is how one list at Clerk was read last.
type Walk struct {
	// BackfilledAt is when the list was read to its end for the first time.
	BackfilledAt time.Time `json:"backfilled_at"`
	// BegunAt is when the last walk began.
	BegunAt time.Time `json:"begun_at"`
	// EndedAt is when it ended; zero while it has not.
	EndedAt time.Time `json:"ended_at"`
	// Complete reports that it read everything.
	Complete bool `json:"complete"`
	// CompleteAt is when the last complete walk began.
	CompleteAt time.Time `json:"complete_at"`
	// Reason says why the last walk is not complete.
	Reason string `json:"reason,omitempty"`
	// Refused reports that Clerk has no such list for this instance: there is nothing to read.
	Refused bool `json:"refused"`
	// SweptAt is when the last successful sweep began, which reads recent changes; zero for lists
	// without sweeps.
	SweptAt time.Time `json:"swept_at"`
	// Rows is how many objects the last walk read.
	Rows int64 `json:"rows"`
	// Found is how many rows differed.
	Found int64 `json:"drift_found"`
	// Repaired is how many of them were repaired.
	Repaired int64 `json:"drift_repaired"`
	// Left is how many differences the last comparison found and left, also a dry run or one of a
	// part of the list.
	Left int64 `json:"drift_left"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (w Walk) MarshalJSON() ([]byte, error) { return encode(w) }

// DriftStatus counts rows that were found to differ from Clerk. A day begins at midnight UTC.
type DriftStatus struct {
	// FoundToday is how many were found today.
	FoundToday int64 `json:"found_today"`
	// RepairedToday is how many of these were repaired.
	RepairedToday int64 `json:"repaired_today"`
	// Found is how many were found in the last 90 days.
	Found int64 `json:"found"`
	// Repaired is how many of these were repaired.
	Repaired int64 `json:"repaired"`
}

// BudgetStatus is how much of Clerk's rate limit this process may use, and uses. It counts requests
// in ten seconds.
type BudgetStatus struct {
	// Limit is how many requests Clerk allows the instance.
	Limit int `json:"limit"`
	// Granted is how many of them this process may use.
	Granted int `json:"granted"`
	// Allowed is how many it may use at present, which is less after Clerk has refused some.
	Allowed int `json:"allowed"`
	// Used is how many it used in the last ten seconds.
	Used int `json:"used"`
	// Share is Used divided by Granted, from 0 to 1.
	Share float64 `json:"share"`
	// Breaker is closed, or open during an outage at Clerk, when nothing is sent, or half-open
	// while that is tried again.
	Breaker string `json:"breaker"`
}
