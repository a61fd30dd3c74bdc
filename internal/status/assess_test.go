package status_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	now    = clerk.Time(1_790_000_000_000)
	minute = clerk.Time(60_000)
)

// proven returns the facts of a mirror that is in sync: 2 users, everything walked five minutes
// ago.
func proven() *status.Facts {
	f := &status.Facts{Now: now, Life: store.Life{AliveAt: now - minute}, Overdue: 30 * time.Minute}
	for _, kind := range status.Kinds() {
		k := status.Kind{Kind: kind, Listed: slices.Contains(reconcile.Kinds(), kind), Readable: converge.Readable(kind)}
		if k.Listed {
			k.Walk = store.Walk{BackfilledAt: 1, BegunAt: now - 5*minute, EndedAt: now - 4*minute, Complete: true, CompleteAt: now - 5*minute}
		}
		f.Kinds = append(f.Kinds, k)
	}
	of(f, clerk.KindUser).Tally.Rows = 2
	return f
}

func of(f *status.Facts, kind clerk.Kind) *status.Kind {
	return &f.Kinds[slices.IndexFunc(f.Kinds, func(k status.Kind) bool { return k.Kind == kind })]
}

func TestEverythingOpenTakesTheClaimAway(t *testing.T) {
	t.Parallel()
	user := func(change func(*status.Kind)) func(*status.Facts) {
		return func(f *status.Facts) { change(of(f, clerk.KindUser)) }
	}
	walk := func(change func(*store.Walk)) func(*status.Facts) {
		return user(func(k *status.Kind) { change(&k.Walk) })
	}
	for _, tc := range []struct {
		name   string
		change func(*status.Facts)
		codes  string
		words  string
	}{
		{"nothing", func(*status.Facts) {}, "", ""},
		{"never filled", func(f *status.Facts) {
			for i := range f.Kinds {
				f.Kinds[i].Walk = store.Walk{}
			}
			f.Life = store.Life{}
		}, "never_filled", "the mirror was never filled: run clerksync backfill"},
		{"a backfill under way", func(f *status.Facts) {
			of(f, clerk.KindMembership).Walk = store.Walk{BegunAt: now, Rows: 1200}
		}, "backfill_incomplete", "6 of 7 lists were read, and 1 200 memberships so far"},
		{
			"a walk that was not whole", walk(func(w *store.Walk) { w.Complete, w.Reason = false, "the total changed" }),
			"walk_incomplete", "the last walk of the users was not whole (the total changed)",
		},
		{"no whole walk ever", walk(func(w *store.Walk) { w.CompleteAt = 0 }), "walk_incomplete", ""},
		{"an old walk", walk(func(w *store.Walk) { w.CompleteAt = now - 31*minute }), "walk_overdue", "began 31 minutes ago"},
		{"a walk in the future", walk(func(w *store.Walk) { w.CompleteAt = now + minute }), "clock_jumped", "in the future"},
		{
			"a walk before the last gap", func(f *status.Facts) { f.Life.ProvenFrom = now - 3*minute },
			"gap gap gap gap gap gap gap", "the users, organizations, roles, permissions, memberships, invitations and domains have not been compared since this mirror was found stopped or restored, 3 minutes ago: a running",
		},
		{"a walk at the end of the last gap", func(f *status.Facts) { f.Life.ProvenFrom = now - 5*minute }, "", ""},
		{
			"no process looks after it", func(f *status.Facts) { f.Life.AliveAt = now - 11*minute },
			"not_running", "no process has kept this mirror up to date for 11 minutes",
		},
		{
			"a process that was killed, or a copy of a running database", func(f *status.Facts) { f.Abandoned = true },
			"not_running", "was killed, or this is a copy",
		},
		{
			"another instance", func(f *status.Facts) { f.Instance = status.Instance{Own: "ins_a", Foreign: []string{"ins_b"}} },
			"foreign_instance", "belongs to ins_a, but ins_b",
		},
		{"dead letters", func(f *status.Facts) { f.DeadLetters = 2 }, "dead_letters", "2 events could not be applied"},
		{"unaccounted rows", user(func(k *status.Kind) { k.Tally.Unaccounted = 1 }), "unaccounted", "1 of 2 users were not confirmed"},
		{"the verify queue", user(func(k *status.Kind) { k.Queue.Objects = 1 }), "verify_queue", "1 user has to be read again"},
		{
			"the verify queue of sessions, which have no list", func(f *status.Facts) { of(f, clerk.KindSession).Queue.Objects = 2 },
			"verify_queue", "2 sessions have to be read again",
		},
		{"suspects", user(func(k *status.Kind) { k.Suspects = 2 }), "suspects", "2 users are missing or older at Clerk"},
		{"reads that Clerk refuses", user(func(k *status.Kind) { k.Unreadable = 2 }), "unreadable", "Clerk refuses to return 2 users that are in doubt"},
		{"conflicts", user(func(k *status.Kind) { k.Conflicts = 1 }), "conflicts", "Clerk has 1 user that is permanently deleted here"},
		{"drift that was left", walk(func(w *store.Walk) { w.Left = 3 }), "drift_left", "3 users differ from Clerk and were not repaired"},
		{"organizations that are not enabled", func(f *status.Facts) {
			*of(f, clerk.KindOrganization) = status.Kind{Kind: clerk.KindOrganization, Listed: true, Walk: store.Walk{BackfilledAt: 1, Refused: true}}
		}, "", ""},
		{"organizations that are not enabled, and are stored", func(f *status.Facts) {
			k := of(f, clerk.KindOrganization)
			k.Walk, k.Tally.Rows = store.Walk{BackfilledAt: 1, Refused: true}, 4
		}, "refused_with_rows", "4 organizations are stored"},
		{"several at once", func(f *status.Facts) {
			f.DeadLetters = 1
			of(f, clerk.KindRole).Walk.Left = 1
		}, "dead_letters drift_left", "; 1 role differs"},
	} {
		f := proven()
		tc.change(f)
		reasons := status.Assess(f)
		codes := make([]string, len(reasons))
		for i, r := range reasons {
			codes[i] = r.Code
			if r.Remedy == "" || r.Message == "" {
				t.Errorf("%s: a reason without words: %+v", tc.name, r)
			}
		}
		if got := strings.Join(codes, " "); got != tc.codes {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.codes)
		}
		if sentence := status.Sentence(f, reasons); !strings.Contains(sentence, tc.words) {
			t.Errorf("%s: no %q in %q", tc.name, tc.words, sentence)
		}
	}
}

// What is wrong with several lists in the same way is one reason for people. What is counted
// stays apart.
func TestReasonsAreMergedForPeople(t *testing.T) {
	t.Parallel()
	f := proven()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindRole, clerk.KindDomain} {
		of(f, kind).Walk.CompleteAt = now - 31*minute
		of(f, kind).Walk.Left = 2
	}
	of(f, clerk.KindPermission).Walk.CompleteAt = now - 50*minute
	var messages []string
	for _, r := range status.Merge(status.Assess(f)) {
		messages = append(messages, r.Message)
	}
	want := []string{
		"the last whole walk of the users, roles and domains began 31 minutes ago",
		"2 users differ from Clerk and were not repaired", "2 roles differ from Clerk and were not repaired",
		"the last whole walk of the permissions began 50 minutes ago", "2 domains differ from Clerk and were not repaired",
	}
	if !slices.Equal(messages, want) {
		t.Errorf("%q, want %q", messages, want)
	}
}

func TestSentenceOfAMirrorInSync(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*status.Facts)
		want   string
	}{
		{"all compared", func(*status.Facts) {}, "2 users, all compared with Clerk in the last 5 minutes; no drift today"},
		{"other rows, some by event", func(f *status.Facts) {
			of(f, clerk.KindRole).Tally.Rows = 1999
			of(f, clerk.KindUser).Tally.Unverified = 1
			of(f, clerk.KindUser).Drift.RepairedSince = 3
		}, "2 users and 1 999 other rows: 2 000 compared with Clerk in the last 5 minutes, 1 by event since; 3 drifts repaired today"},
		{
			"overridden", func(f *status.Facts) { f.Overrides = 2 },
			"2 users, all compared with Clerk in the last 5 minutes; no drift today; 2 values are overridden here",
		},
		{
			"empty", func(f *status.Facts) { of(f, clerk.KindUser).Tally.Rows = 0 },
			"Clerk lists nothing and nothing is stored, compared in the last 5 minutes; no drift today",
		},
	} {
		f := proven()
		tc.change(f)
		if got := status.Sentence(f, nil); got != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
	f := proven()
	of(f, clerk.KindDomain).Walk.CompleteAt = now - 9*minute
	of(f, clerk.KindRole).Walk = store.Walk{Refused: true}
	if f.ProvenAt() != now-9*minute {
		t.Errorf("proven at %d minutes ago", (now-f.ProvenAt())/minute)
	}
}

// A database in a file has no replicas on other machines: what another one noted there came with
// a copy.
func TestGapAtTheStartOnACopyFromAnotherMachine(t *testing.T) {
	t.Parallel()
	parts := strings.Split(holder.New(), " ")
	if len(parts) != 4 {
		t.Skip("here processes have no machine")
	}
	here := store.Runner{Holder: strings.Join([]string{"x", parts[1], "1", "1"}, " "), AliveAt: now - minute}
	parts[1] = "another-machine"
	elsewhere := store.Runner{Holder: strings.Join(parts, " "), AliveAt: now - minute}
	if gone, gap := status.GapOfFile([]store.Runner{elsewhere}, now-minute, now); len(gone) != 1 || !gap {
		t.Errorf("a file: gone %v, gap %v", gone, gap)
	}
	if gone, gap := status.Gap([]store.Runner{elsewhere}, now-minute, now); len(gone) != 0 || gap {
		t.Errorf("a server of databases: gone %v, gap %v", gone, gap)
	}
	if gone, gap := status.GapOfFile([]store.Runner{here, elsewhere}, now-minute, now); len(gone) != 2 || !gap {
		t.Errorf("two that are gone: gone %v, gap %v", gone, gap)
	}
	if gone, gap := status.GapOfFile(nil, now-minute, now); len(gone) != 0 || gap {
		t.Errorf("an orderly restart: gone %v, gap %v", gone, gap)
	}
}

func TestGapAtTheStart(t *testing.T) {
	t.Parallel()
	elsewhere := func(age clerk.Time) store.Runner { return store.Runner{Holder: "another:1:2:x", AliveAt: now - age} }
	for _, tc := range []struct {
		name    string
		others  []store.Runner
		aliveAt clerk.Time
		gone    int
		gap     bool
	}{
		{"a new database", nil, 0, 0, false},
		{"an orderly restart", nil, now - 2*minute, 0, false},
		{"a restart at the bound", nil, now - 10*minute, 0, false},
		{"a long silence, or an old copy", nil, now - 10*minute - 1, 0, true},
		{"a sign of life in the future", nil, now + minute, 0, true},
		{"a process that was killed, or a copy of a running database", []store.Runner{elsewhere(4 * minute)}, now - 4*minute, 1, true},
		{"another replica is running", []store.Runner{elsewhere(minute)}, now - minute, 0, false},
		{"another replica is running, a third was killed", []store.Runner{elsewhere(minute), elsewhere(9 * minute)}, now - minute, 1, false},
	} {
		gone, gap := status.Gap(tc.others, tc.aliveAt, now)
		if len(gone) != tc.gone || gap != tc.gap {
			t.Errorf("%s: gone %v, gap %v", tc.name, gone, gap)
		}
	}
}
