package status

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/mirror"
)

// These warnings are about how the mirror is kept up to date. They name kinds and no figures:
// anyone may read them.

// warnOfNotRunning warns that no process does the background work. A new database does not warn.
func warnOfNotRunning(s *signals) []mirror.Warning {
	if s.stored == nil || s.now.Sub(s.stored.Born.Time()) < MaxSilence {
		return nil
	}
	if life := s.stored.Life; life.AliveAt > 0 && s.stored.since(life.AliveAt) <= MaxSilence && !s.stored.Abandoned {
		return nil
	}
	return []mirror.Warning{{
		Code: "not_running", Severity: mirror.SeverityWarning,
		Message: "No process keeps this mirror up to date: nothing is backfilled, compared with Clerk, erased or removed by age.",
		Remedy:  s.remedy("Start clerksync serve.", "Call m.Run in the background: go m.Run(ctx)."),
	}}
}

// warnOfWalks warns of lists that were never read to their end, and of comparisons that are
// overdue.
func warnOfWalks(s *signals) []mirror.Warning {
	if s.stored == nil || !s.readsClerk {
		return nil
	}
	unfilled, late := "", ""
	for i := range s.stored.Kinds {
		k := &s.stored.Kinds[i]
		_, many := Nouns(k.Kind)
		switch {
		case !k.Listed:
		case k.Walk.BackfilledAt == 0:
			unfilled = cmp.Or(unfilled, many)
		case k.Walk.Refused:
		case s.stored.overdue(k):
			late = cmp.Or(late, "No whole walk of the "+many+" began in the last "+Roughly(s.stored.Overdue)+".")
		case k.Kind == clerk.KindUser && !s.DisableReconcile && s.stored.since(max(k.Walk.CompleteAt, k.Walk.SweptAt)) > maxSweepAge:
			late = cmp.Or(late, "Recent changes of users were not read for 15 minutes.")
		}
	}
	var found conditional
	found.when(unfilled != "", mirror.Warning{
		Code: "backfill_missing", Severity: mirror.SeverityWarning,
		Message: "Backfill is incomplete: " + unfilled + " may be missing.",
		Remedy: s.remedy("A server does it by itself unless CLERKSYNC_BACKFILL is off; else run clerksync backfill.",
			"Call m.Run, which does it unless Config.DisableBackfill is set, or m.Sync().Backfill."),
	})
	found.when(late != "", mirror.Warning{
		Code: "walk_overdue", Severity: mirror.SeverityWarning, Message: late + " Changes that sent no webhook are not repaired.",
		Remedy: s.remedy("See the log for why Clerk could not be read, leave CLERKSYNC_RECONCILE at auto, or run clerksync reconcile.",
			"See the log for why Clerk could not be read. Call m.Run without Config.DisableReconcile, or m.Sync().Reconcile."),
	})
	return found
}

// warnOfReasons names the reasons by their codes alone: their messages have figures, and anyone
// may read this.
func warnOfReasons(s *signals) []mirror.Warning {
	if s.stored == nil || !s.readsClerk || len(s.reasons) == 0 {
		return nil
	}
	var codes []string
	for _, r := range s.reasons {
		if !slices.Contains(codes, r.Code) {
			codes = append(codes, r.Code)
		}
	}
	return []mirror.Warning{{
		Code: "not_in_sync", Severity: mirror.SeverityWarning,
		Message: "The mirror is not proven to equal Clerk (" + strings.Join(codes, ", ") + ").",
		Remedy: s.remedy("Run clerksync status for the reasons and what to do about each.",
			"Call m.Sync().Status for the reasons and what to do about each."),
	}}
}

// warnOfQueues warns of rows that wait too long in the verify queue.
func warnOfQueues(s *signals) []mirror.Warning {
	if s.stored == nil {
		return nil
	}
	oldest := clerk.Time(0)
	for i := range s.stored.Kinds {
		k := &s.stored.Kinds[i]
		if k.Readable && k.Queue.OldestAt > 0 && (oldest == 0 || k.Queue.OldestAt < oldest) {
			oldest = k.Queue.OldestAt
		}
	}
	switch {
	case oldest == 0:
	case !s.readsClerk:
		return []mirror.Warning{{
			Code: "verify_stuck", Severity: mirror.SeverityWarning,
			Message: "Some rows wait to be read again from Clerk, and nothing can be read from Clerk.",
			Remedy:  s.remedy("Set CLERK_SECRET_KEY.", "Set Config.SecretKey."),
		}}
	case s.now.Sub(oldest.Time()) > maxVerifyWait:
		return []mirror.Warning{{
			Code: "verify_stuck", Severity: mirror.SeverityError,
			Message: "Some rows have waited over " + Roughly(maxVerifyWait) + " to be read again from Clerk. Until then they grant no access.",
			Remedy: s.remedy("See that a server runs with CLERKSYNC_RECONCILE=auto, and raise CLERKSYNC_API_BUDGET if Clerk is read all the time.",
				"See that m.Run is called without Config.DisableReconcile, and raise Config.APIBudget if Clerk is read all the time."),
		}}
	}
	return nil
}

// warnOfUnreadable warns of objects that Clerk refuses to return.
func warnOfUnreadable(s *signals) []mirror.Warning {
	var found conditional
	found.when(s.stored != nil && slices.ContainsFunc(s.kinds(), func(k Kind) bool { return k.Unreadable > 0 }), mirror.Warning{
		Code: "unreadable", Severity: mirror.SeverityWarning,
		Message: "Clerk keeps refusing to return some objects that must be read again. They grant no access, and the mirror is not in sync.",
		Remedy:  "The log names them, with Clerk's reason: see that the secret key may read them. They are read again each hour.",
	})
	return found
}

func (s *signals) kinds() []Kind {
	if s.stored == nil {
		return nil
	}
	return s.stored.Kinds
}

// warnOfSubscriptions warns of kinds that change at Clerk and of which no event has ever come.
func warnOfSubscriptions(s *signals) (found []mirror.Warning) {
	if _, refused := s.refused[refusals.Signature]; s.stored == nil || refused {
		return nil // while deliveries are refused, the subscriptions are not the reason
	}
	for _, kind := range s.stored.Unheard {
		_, many := Nouns(kind)
		found = append(found, mirror.Warning{
			Code: "not_subscribed", Severity: mirror.SeverityWarning,
			Message: "No event " + kind.EventPrefix() + "* has ever come, though " + many + " change at Clerk.",
			Remedy:  "Subscribe the endpoint in the Clerk dashboard to these events; until then changes are found by reading alone.",
		})
	}
	return found
}
