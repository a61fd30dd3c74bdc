package reconcile

import (
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// Kinds are walked in this order: parents before their children.
func Kinds() []clerk.Kind {
	return []clerk.Kind{
		clerk.KindUser, clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain,
	}
}

// Readable reports whether objects of the kind can be read by id.
func Readable(kind clerk.Kind) bool { return ingest.Readable(kind) }

// Organizational reports whether objects of the kind exist only where organizations are enabled.
func Organizational(kind clerk.Kind) bool {
	switch kind {
	case clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain:
		return true
	default:
		return false
	}
}

const (
	// confirmAfter is how much later a second answer must confirm that an object is gone, or older: replicas lag.
	confirmAfter = time.Minute
	// hardenAfter is how much later a third answer makes a deduced deletion one for ever.
	hardenAfter = 7 * 24 * time.Hour
	// listsApart is how far apart two walks must begin that both lack an object of a kind without a read by id.
	listsApart = 10 * time.Minute
	// askAgain is how often a person is reminded of what Clerk tells older than it is here.
	askAgain = 24 * time.Hour
	// longestBackoff is how long an object is left alone of which Clerk refuses to tell.
	longestBackoff = time.Hour
	// maxRefusals is how often Clerk may refuse to return an object before a person has to look: a quarter of an hour.
	maxRefusals = 5
	// overlap is how far behind the watermark a sweep goes on.
	overlap = 5 * time.Minute
	// lately is how young a change is whose event may just be on its way.
	lately = time.Minute
	// onItsWay is how young a change is that a sweep leaves to its event, once: Svix delivers within seconds. Else a busy
	// instance would have some drift each minute that is none.
	onItsWay = 15 * time.Second
)

// backoff is how long an object is left alone after so many refusals.
func backoff(attempts int) time.Duration {
	return min(longestBackoff, time.Minute<<min(attempts-1, 10))
}

// patience is the longest that a suspect waits for its next answer.
func patience(x store.Suspect) time.Duration {
	switch x.Reason {
	case store.SuspectUnlisted:
		return listsApart
	case store.SuspectHidden:
		return hardenAfter
	case store.SuspectRefused, store.SuspectUnreadable:
		return longestBackoff
	case store.SuspectOlder, store.SuspectConflict:
		if x.Attempts > 1 {
			return askAgain
		}
	case store.SuspectGone:
	}
	return confirmAfter
}

// older judges a read by id that told something older than what is stored. since is the write counter from before it was
// asked for, writes that of applying it. The second of two such reads, a minute apart, with nothing written between,
// proves that Clerk was set back, or that what is stored is a forgery. No reason: it was written while it was asked for.
// What Clerk told although it is deleted here is judged alike.
func older(before store.Suspect, d ingest.Difference, since, writes int64, now clerk.Time) (next store.Suspect, proven bool) {
	minute := clerk.Time(confirmAfter.Milliseconds())
	reason := suspicionOf(d)
	switch {
	case d.Written > since:
		return store.Suspect{}, false
	case before.Reason != reason || before.Attempts == 0 || d.Written > before.Since:
		return store.Suspect{Key: d.Key, Reason: reason, Since: writes, DueAt: now + minute, Attempts: 1}, false
	case before.Attempts == 1 && now < before.DueAt:
		before.Since = writes
		return before, false
	}
	before.Since, before.DueAt = writes, now+clerk.Time(askAgain.Milliseconds())
	before.Attempts++
	return before, true
}

// suspicionOf is what a difference makes of an object whose stored state stays as it is.
func suspicionOf(d ingest.Difference) store.Suspicion {
	if d.Conflict {
		return store.SuspectConflict
	}
	return store.SuspectOlder
}

// stays reports whether a difference leaves the row as it is, so that a person has to decide.
func stays(d ingest.Difference) bool { return d.Older || d.Conflict }

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
	CauseRegression    = "regression"         // Clerk was set back, or a forged event got in
	CauseAltered       = "altered_here"       // something other than clerksync has written to the table
	CauseDeletedHere   = "deleted_here"       // Clerk has it, and an event said that it was deleted
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
	case younger(at, date, lately):
		return CauseRecent
	case s.lastReceived < at:
		return CauseDown
	}
	return CauseMissed
}

// untold reports whether a session differs in what no event tells: old ones that came before the first round or are over,
// the end that time brings, and when it was touched.
func untold(d ingest.Difference, now clerk.Value, known clerk.Time) bool {
	status := now.Get("status").String()
	usable := status == "active" || status == "pending"
	switch {
	case d.Older || d.Gone || d.Back || d.Altered || d.Conflict:
		return false
	case d.New:
		return !usable || known == 0 || now.Get("created_at").Time() < known
	case status == "expired" || status == "abandoned":
		return true
	}
	return !slices.ContainsFunc(d.Fields, func(field string) bool { return field != "updated_at" && field != "expire_at" })
}

// younger reports whether a change was made that shortly before an answer; where either tells no time, it was not.
func younger(at, date clerk.Time, than time.Duration) bool {
	return at > 0 && date > 0 && date-at < clerk.Time(than.Milliseconds())
}
