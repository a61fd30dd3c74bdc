package reconcile

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Kinds are walked in this order: parents before their children.
func Kinds() []clerk.Kind {
	return []clerk.Kind{
		clerk.KindUser, clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain,
	}
}

// Readable reports whether objects of the kind can be read by id.
func Readable(kind clerk.Kind) bool { return readable(kind) }

// EventPrefix begins the types of the events of a kind.
func EventPrefix(kind clerk.Kind) string { return prefix(kind) }

// readable kinds can be read by id.
func readable(kind clerk.Kind) bool {
	switch kind {
	case clerk.KindUser, clerk.KindSession, clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation:
		return true
	default:
		return false
	}
}

const (
	// confirmAfter is how much later a second answer must confirm that an object is gone: replicas lag.
	confirmAfter = time.Minute
	// listsApart is how far apart two walks must begin that both lack an object of a kind without a read by id.
	listsApart = 10 * time.Minute
	// overlap is how far behind the watermark a sweep goes on.
	overlap = 5 * time.Minute
	// lately is how young a change is whose event may just be on its way.
	lately = time.Minute
)

// tooMany reports whether so many rows are missing at Clerk that a person has to look first: another instance, an
// answer that is wrong, or a deletion of everything.
func tooMany(missing, rows int) bool {
	return missing > 10 && missing*20 > rows || missing > 0 && missing == rows
}

// Probable causes of drift.
const (
	CauseMissed        = "missed_event"
	CauseNotSubscribed = "not_subscribed"     // no event of this kind has ever come
	CauseDown          = "changed_while_down" // nothing at all has come since the change
	CauseRecent        = "recent"             // its event may be on its way
	CauseUnknown       = "unknown"
)

// signs is what is known of the events of a kind.
type signs struct {
	heard        bool       // one has come, ever
	lastReceived clerk.Time // when the last event of any kind came
}

// cause is why a row differs, as far as can be told. at is the time of the change by Clerk, date that of the answer.
func (s signs) cause(at, date clerk.Time) string {
	switch {
	case !s.heard:
		return CauseNotSubscribed
	case at == 0:
		return CauseUnknown
	case date > 0 && date-at < clerk.Time(lately.Milliseconds()):
		return CauseRecent
	case s.lastReceived < at:
		return CauseDown
	}
	return CauseMissed
}

// prefix begins the types of the events of a kind.
func prefix(kind clerk.Kind) string {
	switch kind {
	case clerk.KindMembership:
		return "organizationMembership."
	case clerk.KindInvitation:
		return "organizationInvitation."
	case clerk.KindDomain:
		return "organizationDomain."
	default:
		return string(kind) + "."
	}
}

// suspect is a row that a list lacked, or that a first answer did not know.
type suspect struct {
	key                store.Key
	user, organization string
	since              int64     // write counter from before the first answer was asked for
	at                 time.Time // when that was
	fromList           bool      // the first answer was a whole list
}

// missing picks the rows that a complete walk did not bring and that were not written since it began.
func missing(rows []store.Sight, seen map[string]struct{}, since int64) (lacking []store.Sight) {
	for _, s := range rows {
		if _, ok := seen[s.ID]; !ok && s.Written <= since {
			lacking = append(lacking, s)
		}
	}
	return lacking
}

// beyond is where a sweep may stop: nothing behind this row is news.
func beyond(updatedAt, watermark clerk.Time) bool {
	return updatedAt < watermark-clerk.Time(overlap.Milliseconds())
}
