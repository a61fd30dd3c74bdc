package clerksync

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// judge decides whether the mirror is in sync, and says it in a sentence.
func (s *SyncStatus) judge(ours, now clerk.Time) {
	var faults []string
	for i := range s.Kinds {
		faults = append(faults, s.Kinds[i].faults(now)...)
	}
	if !s.Backfilled {
		faults = []string{s.unfilled()}
	}
	if s.DeadLetters > 0 {
		faults = append(faults, count(s.DeadLetters, "event", "events")+" could not be applied: replay after a fix")
	}
	s.InSync = len(faults) == 0
	if s.InSync {
		s.Sentence = s.proof(ours)
		return
	}
	s.Sentence = strings.Join(faults, "; ")
}

// faults are what keeps a kind from being in sync, each with what to do.
func (k *KindStatus) faults(now clerk.Time) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	one, many := nouns(k.Kind)
	if k.VerifyQueue > 0 && k.Readable {
		fault("%s to be read from Clerk, as %s in doubt", count(k.VerifyQueue, one+" waits", many+" wait"), either(k.VerifyQueue, "it is", "they are"))
	}
	if !k.Listed || k.Walk.Refused {
		return faults
	}
	w, age := k.Walk, time.Duration(now-k.Walk.CompleteAt)*time.Millisecond
	switch {
	case w.BackfilledAt == 0:
		fault("the %s were never read from Clerk: run clerksync backfill", many)
	case w.CompleteAt == 0 || !w.Complete:
		fault("the last walk of the %s is not proven whole (%s): run clerksync reconcile", many, w.Reason)
	case age > overdue || age < 0:
		fault("the last whole walk of the %s began %s: run clerksync reconcile", many, ago(age))
	}
	if k.Unaccounted > 0 {
		fault("%s of %s not proven to be at Clerk still: run clerksync reconcile", digits(k.Unaccounted), count(k.Rows, one+" is", many+" are"))
	}
	if k.Suspected > 0 {
		fault("%s gone, or older, at Clerk: a second answer has to confirm it", count(k.Suspected, one+" may be", many+" may be"))
	}
	if left := w.Found - w.Repaired; left > 0 {
		fault("%s from Clerk and %s not repaired: run clerksync reconcile", count(left, one+" differs", many+" differ"), either(left, "was", "were"))
	}
	return faults
}

// unfilled says how far the backfill is.
func (s *SyncStatus) unfilled() string {
	done, under := 0, ""
	lists := 0
	for _, k := range s.Kinds {
		if !k.Listed {
			continue
		}
		lists++
		if k.Walk.BackfilledAt != 0 {
			done++
		} else if k.Walk.BegunAt != 0 {
			_, many := nouns(k.Kind)
			under = fmt.Sprintf(", %s %s so far", digits(k.Walk.Rows), many)
		}
	}
	if done == 0 && under == "" {
		return "the mirror was never filled: run clerksync backfill"
	}
	return fmt.Sprintf("the mirror is not filled yet: %d of %d lists were read%s; clerksync backfill goes on where it was", done, lists, under)
}

// proof is the sentence of a mirror in sync.
func (s *SyncStatus) proof(ours clerk.Time) string {
	var users, others, fresh, repaired int64
	oldest := ours
	for _, k := range s.Kinds {
		repaired += k.Drift.RepairedToday
		switch {
		case !k.Listed || k.Walk.Refused:
			continue
		case k.Kind == clerk.KindUser:
			users = k.Rows
		default:
			others += k.Rows
		}
		fresh += k.Unverified
		if k.OldestVerifiedAt != 0 {
			oldest = min(oldest, k.OldestVerifiedAt)
		}
	}
	text := count(users, "user", "users")
	if others > 0 {
		text += " and " + count(others, "other row", "other rows")
	}
	switch within := roughly(time.Duration(ours-oldest) * time.Millisecond); {
	case users+others == 0:
		text = "Clerk has nothing to mirror, and nothing is mirrored"
	case fresh == 0:
		text += ", every one verified identical within " + within
	default:
		text += fmt.Sprintf(": %s verified identical within %s, %s by event since", digits(users+others-fresh), within, digits(fresh))
	}
	return text + "; " + count(repaired, "drift", "drifts") + " repaired today"
}

// roughly is a duration in words, rounded up.
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		below     time.Duration
		in        time.Duration
		one, many string
	}{
		{2 * time.Minute, time.Second, "second", "seconds"},
		{2 * time.Hour, time.Minute, "minute", "minutes"},
		{48 * time.Hour, time.Hour, "hour", "hours"},
		{1 << 62, 24 * time.Hour, "day", "days"},
	} {
		if d < unit.below {
			return count(max(1, int64((d+unit.in-1)/unit.in)), unit.one, unit.many)
		}
	}
	return ""
}

func ago(d time.Duration) string {
	if d < 0 {
		return "in the future by the database's clock"
	}
	return roughly(d) + " ago"
}

func count(n int64, one, many string) string { return digits(n) + " " + either(n, one, many) }

func either(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// digits groups a number by threes.
func digits(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// nouns are what people call objects of a kind.
func nouns(kind clerk.Kind) (one, many string) {
	switch kind {
	case clerk.KindMembership:
		return "membership", "memberships"
	case clerk.KindInvitation:
		return "invitation", "invitations"
	case clerk.KindDomain:
		return "domain", "domains"
	case clerk.KindWaitlistEntry:
		return "waitlist entry", "waitlist entries"
	default:
		one = strings.ReplaceAll(string(kind), "_", " ")
		return one, one + "s"
	}
}
