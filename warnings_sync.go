package clerksync

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// stuck is how long an object may wait to be read by id: a hundred are every five seconds.
	stuck = 15 * time.Minute
	// sweepOverdue is how long the changes of users may go unread, which is done each minute.
	sweepOverdue = 15 * time.Minute
	// unheardFor is how long a change that no event told is a reason to look at the subscription.
	unheardFor = 7 * 24 * time.Hour
)

// These warnings are about how the mirror is kept in sync. They name kinds, and no figures: anyone may read them.

func warnOfWalks(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil || !f.readsClerk {
		return nil
	}
	unfilled, late := "", ""
	overdue := f.schedule.Overdue(schedule.Took(f.stored.walks))
	for _, kind := range reconcile.Kinds() {
		w := f.stored.walks[string(kind)]
		_, many := status.Nouns(kind)
		switch {
		case w.BackfilledAt == 0:
			unfilled = cmp.Or(unfilled, many)
		case w.Refused:
		case time.Duration(f.stored.clock-w.CompleteAt)*time.Millisecond > overdue:
			late = cmp.Or(late, "No whole walk of the "+many+" began in the last "+status.Roughly(overdue)+".")
		case kind == clerk.KindUser && !f.config.DisableReconcile && time.Duration(f.stored.clock-max(w.CompleteAt, w.SweptAt))*time.Millisecond > sweepOverdue:
			late = cmp.Or(late, "What changed of the users was not read for 15 minutes.")
		}
	}
	var found chosen
	found.when(unfilled != "", warning(
		"backfill_missing", mirror.SeverityWarning, "The backfill is not complete: some "+unfilled+", at least, may be missing here.",
		"A server does it by itself unless CLERKSYNC_BACKFILL is off; else run clerksync backfill.",
	))
	found.when(late != "", warning(
		"walk_overdue", mirror.SeverityWarning, late+" What events did not tell stays unrepaired.",
		"Look in the log for why Clerk could not be read, leave CLERKSYNC_RECONCILE at auto, or run clerksync reconcile.",
	))
	return found
}

// warnOfVerdict names the reasons by their codes alone: their messages have figures, and anyone may read this.
func warnOfVerdict(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil || !f.readsClerk || len(f.reasons) == 0 {
		return nil
	}
	var codes []string
	for _, r := range f.reasons {
		if !slices.Contains(codes, r.Code) {
			codes = append(codes, r.Code)
		}
	}
	return []mirror.Warning{warning(
		"not_in_sync", mirror.SeverityWarning, "The mirror is not proven to equal Clerk ("+strings.Join(codes, ", ")+").",
		"Run clerksync status for the reasons and what to do about each.",
	)}
}

func warnOfQueues(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil {
		return nil
	}
	oldest := clerk.Time(0)
	for kind, q := range f.stored.queues {
		if reconcile.Readable(kind) && (oldest == 0 || q.OldestAt < oldest) {
			oldest = q.OldestAt
		}
	}
	switch {
	case oldest == 0:
	case !f.readsClerk:
		return []mirror.Warning{warning(
			"verify_stuck", mirror.SeverityWarning, "Some rows are in doubt, and nothing can be read from Clerk to settle it.", "Set CLERK_SECRET_KEY.",
		)}
	case f.now.Sub(oldest.Time()) > stuck:
		return []mirror.Warning{warning(
			"verify_stuck", mirror.SeverityError, "Some rows have waited over 15 minutes to be read again from Clerk. Until then they grant no access.",
			"See that a server runs with CLERKSYNC_RECONCILE=auto, and raise CLERKSYNC_API_BUDGET if Clerk is read all the time.",
		)}
	}
	return nil
}

func warnOfUnreadable(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	found.when(f.stored != nil && len(f.stored.unreadable) > 0, warning(
		"unreadable", mirror.SeverityWarning, "Clerk keeps refusing to return some objects that are in doubt. They grant no access, and the mirror is not in sync.",
		"The log names them, with Clerk's reason: see that the secret key may read them. They are asked for again each hour.",
	))
	return found
}

func warnOfSubscriptions(_ context.Context, f *facts) (found []mirror.Warning) {
	if _, refused := f.refused[refusedSignature]; f.stored == nil || refused {
		return nil // while deliveries are refused, the subscriptions are not the reason
	}
	for _, kind := range f.stored.unheard {
		_, many := status.Nouns(kind)
		found = append(found, warning(
			"not_subscribed", mirror.SeverityWarning, "No event "+kind.EventPrefix()+"* has ever come, though "+many+" change at Clerk.",
			"Subscribe the endpoint in the Clerk dashboard to these events; until then changes are found by reading alone.",
		))
	}
	return found
}
