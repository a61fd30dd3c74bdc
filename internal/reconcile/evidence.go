package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/mirror"
)

// eventEvidence is what is known of the events of a kind.
type eventEvidence struct {
	seen         bool       // at least one event of the kind has arrived
	lastReceived clerk.Time // when the last event of any kind arrived
}

// evidence loads what is known of the events of a kind.
func (r *Reconciler) evidence(ctx context.Context, kind clerk.Kind) (eventEvidence, error) {
	seen, err := r.DB.EventSeen(ctx, kind.EventPrefix())
	if err != nil {
		return eventEvidence{}, err
	}
	head, err := r.DB.Head(ctx)
	return eventEvidence{seen, head.LastReceivedAt}, err
}

// cause returns the probable cause of a difference. changedAt is when the object changed, date is
// when Clerk answered, both by Clerk's clock.
func (e eventEvidence) cause(changedAt, date clerk.Time) mirror.DriftCause {
	switch {
	case !e.seen:
		return mirror.CauseNotSubscribed
	case changedAt == 0:
		return mirror.CauseUnknown
	case changedWithin(changedAt, date, recentChange):
		return mirror.CauseRecent
	case e.lastReceived < changedAt:
		return mirror.CauseDown
	}
	return mirror.CauseMissed
}

// changedWithin reports whether a change is younger than d at the time of an answer. It is false if
// either time is missing.
func changedWithin(changedAt, date clerk.Time, d time.Duration) bool {
	return changedAt > 0 && date > 0 && date-changedAt < clerk.Time(d.Milliseconds())
}

// isSilentChange reports whether a session differs only in what Clerk sends no event for: it is
// older than the first session pass or no longer usable, it expired by time, or it was touched.
// firstPassEnded is 0 during the first pass.
func isSilentChange(d ingest.Difference, atClerk clerk.Value, firstPassEnded clerk.Time) bool {
	status := atClerk.Get("status").String()
	usable := status == "active" || status == "pending"
	switch {
	case d.Older || d.Gone || d.Back || d.Altered || d.Conflict:
		return false
	case d.New:
		return !usable || firstPassEnded == 0 || atClerk.Get("created_at").Time() < firstPassEnded
	case status == "expired" || status == "abandoned":
		return true
	}
	return !slices.ContainsFunc(d.Fields, func(field string) bool { return field != "updated_at" && field != "expire_at" })
}
