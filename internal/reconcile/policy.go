package reconcile

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// confirmAfter is how much later a second answer must confirm that an object is gone, or older,
	// because Clerk's replicas lag.
	confirmAfter = time.Minute
	// confirmDeletionAfter is how much later a third answer makes an inferred deletion permanent.
	confirmDeletionAfter = 7 * 24 * time.Hour
	// listsApart is the least time between the starts of two walks that both lack an object of a
	// kind that cannot be read by id.
	listsApart = 10 * time.Minute
	// remindEvery is how often a contradiction that a person must decide is read and reported
	// again.
	remindEvery = 24 * time.Hour
	// longestBackoff is the longest time for which an object that Clerk refuses to return is not
	// read.
	longestBackoff = time.Hour
	// maxRefusals is how often Clerk may refuse to return an object before a person has to look:
	// after a quarter of an hour.
	maxRefusals = 5
	// maxUnanswered is how many reads by id in a row may fail before Clerk itself counts as
	// unavailable, not only one object.
	maxUnanswered = 2
	// sweepOverlap is how far behind the watermark a sweep goes on.
	sweepOverlap = 5 * time.Minute
	// recentChange is the age of a change up to which its event may still arrive.
	recentChange = time.Minute
	// eventDelay is the age of a change up to which a sweep leaves it to its event, once: Svix
	// delivers within seconds. Otherwise a busy instance would show some drift each minute that is
	// none.
	eventDelay = 15 * time.Second
)

// Kinds returns the kinds that are walked, in this order: parents before their children.
func Kinds() []clerk.Kind {
	return []clerk.Kind{
		clerk.KindUser, clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain,
	}
}

// Organizational reports whether objects of the kind exist only where organizations are enabled.
func Organizational(kind clerk.Kind) bool {
	switch kind {
	case clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain:
		return true
	default:
		return false
	}
}

// isMassDeletion reports whether so many rows are missing at Clerk that a person has to look first:
// it may be another instance, a wrong answer, or a deletion of everything.
func isMassDeletion(missing, rows int) bool {
	return missing > 10 && missing*20 > rows || missing > 0 && missing == rows
}

// backoff returns how long an object is not read after so many refusals.
func backoff(attempts int) time.Duration {
	return min(longestBackoff, time.Minute<<min(attempts-1, 10))
}

// longestWait returns the longest time for which a suspect waits for its next answer.
func longestWait(x store.Suspect) time.Duration {
	switch x.Reason {
	case store.SuspectUnlisted:
		return listsApart
	case store.SuspectHidden:
		return confirmDeletionAfter
	case store.SuspectRefused, store.SuspectUnreadable, store.SuspectHook:
		return longestBackoff
	case store.SuspectOlder, store.SuspectConflict:
		if x.Attempts > 1 {
			return remindEvery
		}
	case store.SuspectGone:
	}
	return confirmAfter
}

// isContradiction reports whether a difference leaves the row as it is, because a person has to
// decide: Clerk returned an older state than the stored one, or has what is deleted here.
func isContradiction(d ingest.Difference) bool { return d.Older || d.Conflict }

// contradictionReason returns the suspicion that a contradiction raises.
func contradictionReason(d ingest.Difference) store.Suspicion {
	if d.Conflict {
		return store.SuspectConflict
	}
	return store.SuspectOlder
}

// judgeContradiction judges a read by id that contradicts what is stored. since is the write
// counter from before the request, writes the counter of the transaction that applied the answer.
// The second such read, a minute later, with nothing written in between, proves that Clerk was set
// back or that what is stored is a forgery. If the row was written while it was read, nothing can
// be concluded, and next is empty.
func judgeContradiction(before store.Suspect, d ingest.Difference, since, writes int64, now clerk.Time) (next store.Suspect, proven bool) {
	minute := clerk.Time(confirmAfter.Milliseconds())
	reason := contradictionReason(d)
	switch {
	case d.Written > since:
		return store.Suspect{}, false
	case before.Reason != reason || before.Attempts == 0 || d.Written > before.Since:
		return store.Suspect{Key: d.Key, Reason: reason, Since: writes, DueAt: now + minute, Attempts: 1}, false
	case before.Attempts == 1 && now < before.DueAt:
		before.Since = writes
		return before, false
	}
	before.Since, before.DueAt = writes, now+clerk.Time(remindEvery.Milliseconds())
	before.Attempts++
	return before, true
}
