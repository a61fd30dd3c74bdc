package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Assess returns the reasons why the mirror is not in sync, none if it is. A mirror is in sync
// when a whole walk of every kind that Clerk lists for this instance, of the instance that the
// database belongs to, began after the last gap and accounts for every live row, and nothing is
// open.
func Assess(f *Facts) []mirror.SyncReason {
	if reason, unfilled := f.unfilled(); unfilled {
		return append(f.general(), reason)
	}
	reasons := f.general()
	for i := range f.Kinds {
		reasons = append(reasons, f.ofKind(&f.Kinds[i])...)
	}
	return reasons
}

// ProvenAt returns the time for which an in-sync mirror is proven: the start of the oldest of the
// last whole walks. Every change that was made at Clerk before it is in the mirror.
func (f *Facts) ProvenAt() (at clerk.Time) {
	for i := range f.Kinds {
		if k := &f.Kinds[i]; k.Listed && !k.Walk.Refused && (at == 0 || k.Walk.CompleteAt < at) {
			at = k.Walk.CompleteAt
		}
	}
	return at
}

// remedy returns the text for the reader: an operator of the server, or a user of the library.
func (f *Facts) remedy(server, library string) string {
	if f.Library {
		return library
	}
	return server
}

func (f *Facts) remedyBackfill() string {
	return f.remedy("run clerksync backfill", "call m.Run or m.Sync().Backfill")
}

func (f *Facts) remedyReconcile() string {
	return f.remedy("run clerksync reconcile", "call m.Sync().Reconcile")
}

func (f *Facts) remedyServe() string {
	return f.remedy("a running server settles this by itself, or run clerksync reconcile",
		"m.Run settles this by itself, or call m.Sync().Reconcile")
}

// general returns the reasons that concern the mirror as a whole.
func (f *Facts) general() (reasons []mirror.SyncReason) {
	add := func(code, remedy, format string, args ...any) {
		reasons = append(reasons, mirror.SyncReason{Code: code, Message: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	if len(f.Instance.Foreign) > 0 {
		add("foreign_instance", "give the other instance a database and a webhook endpoint of its own",
			"this database belongs to %s, but %s was configured or sent events",
			f.Instance.Own, strings.Join(f.Instance.Foreign, " and "))
	}
	if f.CopiedAt > 0 {
		add("not_running", f.remedy("start clerksync serve, or run clerksync reconcile; both compare everything at once",
			"call m.Run or m.Sync().Reconcile; both compare everything at once"),
			"this database was restored from a copy that was taken %s, and was not compared with Clerk since", Ago(f.since(f.CopiedAt)))
	} else if silence := f.since(f.Life.AliveAt); f.Life.AliveAt > 0 && silence > MaxSilence {
		add("not_running", f.remedy("start clerksync serve; it compares everything at once", "call m.Run; it compares everything at once"),
			"no process has kept this mirror up to date for %s, so changes may be missing", Roughly(silence))
	} else if f.Abandoned {
		add("not_running", f.remedy("start clerksync serve, or run clerksync reconcile; both compare everything at once",
			"call m.Run or m.Sync().Reconcile; both compare everything at once"),
			"the process that kept this mirror up to date was killed, or this is a copy that was taken while it ran")
	}
	if f.DeadLetters > 0 {
		add("dead_letters", f.remedy("see clerksync deliveries list, then replay or dismiss them", "list them with m.Deliveries(), then replay or dismiss them"),
			"%s could not be applied", f.counted(f.DeadLetters, "event", "events"))
	}
	if reason, refused := f.refusedReason(); refused {
		reasons = append(reasons, reason)
	}
	return reasons
}

// counted returns a number that may be counted up to maxCounted alone.
func (f *Facts) counted(n int64, one, many string) string {
	if !f.Counted && n > maxCounted {
		return "more than " + Count(maxCounted, one, many)
	}
	return Count(n, one, many)
}

// ofKind returns the reasons of one kind.
func (f *Facts) ofKind(k *Kind) (reasons []mirror.SyncReason) {
	add := func(code, remedy, format string, args ...any) {
		reasons = append(reasons, mirror.SyncReason{Code: code, Kind: k.Kind, Message: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	one, many := Nouns(k.Kind)
	if n := k.Queue.Objects; n > 0 && k.Readable {
		add("verify_queue", f.remedyServe(), "%s to be read again from Clerk", Count(n, one+" has", many+" have"))
	}
	if n := k.Suspects; n > 0 {
		add("suspects", f.remedyServe(), "%s missing or older at Clerk by one answer, which a second one must confirm", Count(n, one+" is", many+" are"))
	}
	if n := k.Unreadable; n > 0 {
		add("unreadable", "see that the secret key may read them; the log has Clerk's reason", "Clerk refuses to return %s in doubt",
			Count(n, one+" that is", many+" that are"))
	}
	if !k.Listed {
		return reasons
	}
	if k.Walk.Refused {
		if rows := k.Tally.Rows; rows > 0 {
			add("refused_with_rows", "enable organizations at Clerk again, or use another database",
				"Clerk says that organizations are not enabled, but %s stored", Count(rows, one+" is", many+" are"))
		}
		return reasons
	}
	if reason, unproven := f.unproven(k); unproven {
		reasons = append(reasons, reason)
	}
	if n := k.Tally.Unaccounted; n > 0 {
		add("unaccounted", f.remedyServe(), "%s of %s not confirmed by the last whole walk", digits(n), Count(k.Tally.Rows, one+" was", many+" were"))
	}
	if n := k.Conflicts; n > 0 {
		add("conflicts", f.remedy("run clerksync reconcile --accept-regression with its ID to restore it here, or delete it at Clerk",
			"call m.Sync().Reconcile with AcceptRegression to restore it here, or delete it at Clerk"),
			"Clerk has %s permanently deleted here", Count(n, one+" that is", many+" that are"))
	}
	if n := k.Walk.Left; n > 0 {
		add("drift_left", f.remedyReconcile(), "%s from Clerk and %s not repaired", Count(n, one+" differs", many+" differ"), either(n, "was", "were"))
	}
	return reasons
}

// unproven returns why the walks of a listed kind prove nothing now.
func (f *Facts) unproven(k *Kind) (mirror.SyncReason, bool) {
	_, many := Nouns(k.Kind)
	reason := func(code, remedy, format string, args ...any) (mirror.SyncReason, bool) {
		return mirror.SyncReason{Code: code, Kind: k.Kind, Message: fmt.Sprintf(format, args...), Remedy: remedy}, true
	}
	w, age := k.Walk, f.since(k.Walk.CompleteAt)
	switch {
	case w.BackfilledAt == 0:
		return reason("never_read", f.remedyBackfill(), "the %s were never read from Clerk", many)
	case w.CompleteAt == 0 || !w.Complete:
		return reason("walk_incomplete", f.remedyReconcile(), "the last walk of the %s was not whole (%s)", many, w.Reason)
	case age < 0:
		return reason("clock_jumped", f.remedyReconcile(), "the last whole walk of the %s began in the future by the database's clock", many)
	case w.CompleteAt < f.Life.ProvenFrom:
		return reason("gap", f.remedyServe(), "the %s have not been compared since this mirror was found stopped or restored, %s",
			many, Ago(f.since(f.Life.ProvenFrom)))
	case f.overdue(k):
		return reason("walk_overdue", f.remedyServe(), "the last whole walk of the %s began %s", many, Ago(age))
	}
	return mirror.SyncReason{}, false
}

// unfilled returns how far the first backfill is, if it has not ended.
func (f *Facts) unfilled() (mirror.SyncReason, bool) {
	lists, done, under := 0, 0, ""
	for i := range f.Kinds {
		k := &f.Kinds[i]
		if !k.Listed {
			continue
		}
		lists++
		if k.Walk.BackfilledAt != 0 {
			done++
		} else if k.Walk.BegunAt != 0 {
			_, many := Nouns(k.Kind)
			under = fmt.Sprintf(", and %s %s so far", digits(k.Walk.Rows), many)
		}
	}
	switch {
	case done == lists:
		return mirror.SyncReason{}, false
	case done == 0 && under == "":
		return mirror.SyncReason{Code: "never_filled", Message: "the mirror was never filled", Remedy: f.remedyBackfill()}, true
	}
	return mirror.SyncReason{
		Code:    "backfill_incomplete",
		Message: fmt.Sprintf("the backfill is not finished: %d of %d lists were read%s", done, lists, under),
		Remedy:  f.remedy("a running server continues it, or run clerksync backfill", "m.Run continues it, or call m.Sync().Backfill"),
	}, true
}

// overdue reports whether the last complete walk of a kind is too old to prove anything.
func (f *Facts) overdue(k *Kind) bool { return f.since(k.Walk.CompleteAt) > f.Overdue }

// since returns how long ago a time was, by the database's clock.
func (f *Facts) since(at clerk.Time) time.Duration { return time.Duration(f.Now-at) * time.Millisecond }
