package mirror

import (
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// SyncProgress is how far the reading of a list at Clerk is.
type SyncProgress struct {
	// Kind is the kind of the list, empty while AskedAgain is set.
	Kind clerk.Kind
	// Rows is how many objects were read, or how many are asked for again.
	Rows int
	// Total is how many there are by Clerk's count, -1 where Clerk gives none.
	Total int
	// AskedAgain is when objects are asked for a second time that Clerk did not have, or had in an
	// older state than the mirror. It is zero while a list is read.
	AskedAgain time.Time
}

// ReconcileOptions change what a reconcile does. The zero value compares and repairs everything.
type ReconcileOptions struct {
	// Kinds are the kinds to compare; nil is every kind that Clerk lists. Sessions, those of
	// recently active users, are compared only where they are named.
	Kinds []clerk.Kind
	// DryRun reports what differs, and repairs nothing.
	DryRun bool
	// AllowMassDelete takes objects for deleted that are missing at Clerk, also where they are
	// suspiciously many; see [MassDeletionError].
	AllowMassDelete bool
	// Since reads only users who were changed at this time or later, which does not notice
	// deletions. Other kinds are read whole: Clerk cannot list their changes.
	Since time.Time
	// AcceptRegression names objects by Clerk id that are set back to what Clerk has, although that
	// is older than what is stored. Clerk must have answered so twice, a minute apart.
	AcceptRegression []string
	// Progress is called from time to time. It may be nil.
	Progress func(SyncProgress)
}

// KindReport is how the reading of one kind went.
type KindReport struct {
	// Kind is the kind.
	Kind clerk.Kind `json:"kind"`
	// Rows is how many objects were read.
	Rows int `json:"rows"`
	// Total is how many there are by Clerk's count.
	Total int `json:"total"`
	// Complete reports that all of them were read.
	Complete bool `json:"complete"`
	// Refused reports that Clerk has no such list for this instance, such as one without
	// organizations.
	Refused bool `json:"refused,omitempty"`
	// Reason says why it is not complete.
	Reason string `json:"reason,omitempty"`
	// Since is set where only what was changed since then was read.
	Since time.Time `json:"since,omitempty"` //nolint:modernize // the record's own encoder leaves zero times out
	// Unread is how many objects had to be read by id, and Clerk did not answer.
	Unread int `json:"unread,omitempty"`
	// NotApplied is how many objects stay as they were, because OnChange returned an error.
	NotApplied int `json:"not_applied,omitempty"`
	// Found is how many rows differed.
	Found int `json:"drift_found"`
	// Repaired is how many of them were repaired.
	Repaired int `json:"drift_repaired"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (r KindReport) MarshalJSON() ([]byte, error) { return encode(r) }

// SyncReport is the result of a backfill or a reconcile.
type SyncReport struct {
	// Kinds has one report for each kind that was read.
	Kinds []KindReport `json:"kinds"`
	// Drift are the rows that differed, 1000 at most.
	Drift []Drift `json:"drift"`
	// Found is how many rows differed.
	Found int `json:"drift_found"`
	// Repaired is how many of them were repaired.
	Repaired int `json:"drift_repaired"`
	// DryRun reports that nothing was repaired, because that was asked for.
	DryRun bool `json:"dry_run"`
}

// Complete reports whether every list was read whole that Clerk has for this instance.
func (r *SyncReport) Complete() bool {
	return !slices.ContainsFunc(r.Kinds, func(k KindReport) bool { return !k.Complete && !k.Refused })
}

// WalkWork is why a list was walked.
type WalkWork string

// The works.
const (
	WorkBackfill WalkWork = "backfill" // to read everything for the first time, or again
	WorkWalk     WalkWork = "walk"     // to compare everything
)

// WalkRun is one walk of one list at Clerk: one that has ended, or the one under way.
type WalkRun struct {
	// ID orders walks by their end. It is empty while the walk is under way.
	ID string `json:"id"`
	// Kind is the kind of the list.
	Kind clerk.Kind `json:"kind"`
	// Work is why the list was walked.
	Work WalkWork `json:"work"`
	// BegunAt is when it began. That of a backfill stays when another process continues it.
	BegunAt time.Time `json:"begun_at"`
	// EndedAt is when it ended; zero while it is under way.
	EndedAt time.Time `json:"ended_at"`
	// Complete reports that it read everything.
	Complete bool `json:"complete"`
	// Refused reports that Clerk has no such list for this instance.
	Refused bool `json:"refused"`
	// Reason says why it is not complete.
	Reason string `json:"reason"`
	// Rows is how many objects were read so far.
	Rows int64 `json:"rows"`
	// Total is how many there are by Clerk's count, -1 where Clerk gives none.
	Total int64 `json:"total"`
	// Found is how many rows differed. Of a walk under way, it is 10,000 at most.
	Found int64 `json:"drift_found"`
	// Repaired is how many of them were repaired.
	Repaired int64 `json:"drift_repaired"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (w WalkRun) MarshalJSON() ([]byte, error) { return encode(w) }

// WalkFilter selects walks. The zero value selects all.
type WalkFilter struct {
	// Kind selects the walks of a list.
	Kind clerk.Kind
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}

// DriftCause is why a row differed from Clerk, as far as that can be told.
type DriftCause string

// The causes of drift.
const (
	CauseMissed        DriftCause = "missed_event"
	CauseNotSubscribed DriftCause = "not_subscribed"     // no event of this kind has ever come
	CauseDown          DriftCause = "changed_while_down" // no event at all has come since the change
	CauseRecent        DriftCause = "recent"             // the event may still be on its way
	CauseRegression    DriftCause = "regression"         // Clerk was set back, or a forged event was accepted
	CauseAltered       DriftCause = "altered_here"       // something other than clerksync has written to the table
	CauseDeletedHere   DriftCause = "deleted_here"       // Clerk has it, and an event said that it was deleted
	CauseUnknown       DriftCause = "unknown"
)

// Drift is a row that was found to differ from Clerk. It holds names of fields, never values.
type Drift struct {
	// Kind is the kind of the object.
	Kind clerk.Kind `json:"kind"`
	// ID is the Clerk id of the object.
	ID string `json:"id"`
	// FoundAt is when it was found to differ.
	FoundAt time.Time `json:"found_at"`
	// Fields are the names of what differed. None means that the whole row was missing, or should
	// not have been there.
	Fields []string `json:"fields"`
	// Cause is why it differed.
	Cause DriftCause `json:"cause"`
	// Since is when the change was made at Clerk that was missed; zero where that is not known.
	Since time.Time `json:"since"`
	// Repaired reports that the row was repaired.
	Repaired bool `json:"repaired"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (d Drift) MarshalJSON() ([]byte, error) { return encode(d) }

// DriftFilter selects drift. The zero value selects all.
type DriftFilter struct {
	// Kind selects the drift of a kind.
	Kind clerk.Kind
	// Since selects what was found at this time or later.
	Since time.Time
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}

// MassDeletionError reports that more objects are missing at Clerk than a reconcile takes for
// deleted on its own. See [ReconcileOptions].AllowMassDelete.
type MassDeletionError struct {
	// Kind is the kind of the list.
	Kind clerk.Kind
	// Missing is how many rows Clerk did not list.
	Missing int
	// Rows is how many rows there are.
	Rows int
}

// Error is one line.
func (e *MassDeletionError) Error() string {
	return fmt.Sprintf("%d of %d rows of kind %s are missing at Clerk: no row was deleted; if the deletions are real, allow them with --allow-mass-delete",
		e.Missing, e.Rows, e.Kind)
}
