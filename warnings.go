package clerksync

import (
	"cmp"
	"context"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// stuck is how long an object may wait to be read by id: each minute a hundred are.
	stuck = 15 * time.Minute
	// sweepOverdue is how long the changes of users may go unread, which is done each minute.
	sweepOverdue = 15 * time.Minute
	// unheardFor is how long a change that no event told is a reason to look at the subscription.
	unheardFor = 7 * 24 * time.Hour
	// stillDying is how young a dead letter is that says that more are to come.
	stillDying = time.Hour
)

// syncWarnings are about how the mirror is kept in sync. They name kinds, and no figures: anybody may read them.
func (m *Mirror) syncWarnings(ctx context.Context) (warnings []Warning, err error) {
	walks, err1 := m.db.Walks(ctx)
	now, err2 := m.db.Clock(ctx, clerk.At(m.config.Now()))
	queues, err3 := m.db.Queues(ctx)
	unreadable, err4 := m.db.Unreadable(ctx)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	if m.reconciler != nil {
		warnings = m.walkWarnings(walks, now)
	}
	warnings = append(warnings, m.queueWarnings(queues)...)
	if len(unreadable) > 0 {
		warnings = append(warnings, Warning{
			"unreadable", "Clerk keeps refusing to tell some objects that are in doubt. They grant no access, and the mirror is not in sync.",
			"The log names them, with Clerk's reason: see that the secret key may read them. They are asked for again each hour.",
		})
	}
	for _, kind := range reconcile.Kinds() {
		at, err1 := m.db.Unannounced(ctx, kind)
		if err1 != nil || at == 0 || m.config.Now().Sub(at.Time()) > unheardFor {
			err = cmp.Or(err, err1)
			continue
		}
		heard, err1 := m.db.Heard(ctx, reconcile.EventPrefix(kind))
		if err = cmp.Or(err, err1); heard {
			continue
		}
		_, many := nouns(kind)
		warnings = append(warnings, Warning{
			"not_subscribed", "No event " + reconcile.EventPrefix(kind) + "* has ever come, though " + many + " change at Clerk.",
			"Subscribe the endpoint in the Clerk dashboard to these events; until then changes are found by reading alone.",
		})
	}
	return warnings, err
}

func (m *Mirror) walkWarnings(walks map[string]store.Walk, now clerk.Time) []Warning {
	unfilled, late := "", ""
	for _, kind := range reconcile.Kinds() {
		w := walks[string(kind)]
		_, many := nouns(kind)
		switch {
		case w.BackfilledAt == 0:
			unfilled = cmp.Or(unfilled, many)
		case w.Refused:
		case time.Duration(now-w.CompleteAt)*time.Millisecond > overdue:
			late = cmp.Or(late, "No whole walk of the "+many+" began in the last 26 hours.")
		case kind == clerk.KindUser && !m.config.ReconcileOff && time.Duration(now-max(w.CompleteAt, w.SweptAt))*time.Millisecond > sweepOverdue:
			late = cmp.Or(late, "What changed of the users was not read for 15 minutes.")
		}
	}
	var warnings []Warning
	if unfilled != "" {
		warnings = append(warnings, Warning{
			"backfill_missing", "The mirror was never filled: it does not have all " + unfilled + ", at least.",
			"A server does it by itself unless CLERKSYNC_BACKFILL is off; else run clerksync backfill.",
		})
	}
	if late != "" {
		warnings = append(warnings, Warning{
			"walk_overdue", late + " What events did not tell stays unrepaired.",
			"Look in the log for why Clerk could not be read, leave CLERKSYNC_RECONCILE at auto, or run clerksync reconcile.",
		})
	}
	return warnings
}

func (m *Mirror) queueWarnings(queues map[clerk.Kind]store.Queue) []Warning {
	oldest := clerk.Time(0)
	for kind, q := range queues {
		if reconcile.Readable(kind) && (oldest == 0 || q.OldestAt < oldest) {
			oldest = q.OldestAt
		}
	}
	switch {
	case oldest == 0:
	case m.reconciler == nil:
		return []Warning{{
			"verify_stuck", "Objects are in doubt, and nothing can be read from Clerk to settle it.", "Set CLERK_SECRET_KEY.",
		}}
	case m.config.Now().Sub(oldest.Time()) > stuck:
		return []Warning{{
			"verify_stuck", "Objects that are in doubt wait to be read from Clerk for more than 15 minutes; they grant nothing.",
			"See that a server runs with CLERKSYNC_RECONCILE=auto, and raise CLERKSYNC_API_BUDGET if Clerk is read all the time.",
		}}
	}
	return nil
}

// deadWarning tells dead letters that are there from those that go on coming.
func (m *Mirror) deadWarning(ctx context.Context, exceptions map[store.State]int64) ([]Warning, error) {
	if exceptions[store.StateDead] == 0 {
		return nil, nil
	}
	message := "Some events could not be applied."
	last, err := m.db.LastDead(ctx)
	if m.config.Now().Sub(last.Time()) < stillDying {
		message = "Some events could not be applied, the last less than an hour ago: more may follow."
	}
	return []Warning{{"dead_letters", message, "Look at the dead letters and replay them after a fix."}}, err
}
