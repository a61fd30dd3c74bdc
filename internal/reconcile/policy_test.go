package reconcile

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

func TestMassDeletion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		missing, rows int
		want          bool
	}{{0, 0, false}, {1, 1, true}, {1, 2, false}, {10, 20, false}, {11, 219, true}, {11, 220, false}, {500, 100_000, false}} {
		if got := isMassDeletion(test.missing, test.rows); got != test.want {
			t.Errorf("%d of %d: %v", test.missing, test.rows, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 1000: time.Hour} {
		if got := backoff(attempts); got != want {
			t.Errorf("%d: %s", attempts, got)
		}
	}
}

func TestJudgeContradiction(t *testing.T) {
	t.Parallel()
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	const minute, day, now = 60_000, 24 * 3_600_000, 1_000_000
	first := store.Suspect{Key: key, Reason: store.SuspectOlder, Since: 9, DueAt: now + minute, Attempts: 1}
	suspect := func(since int64, due clerk.Time, attempts int) store.Suspect {
		return store.Suspect{Key: key, Reason: store.SuspectOlder, Since: since, DueAt: due, Attempts: attempts}
	}
	for name, test := range map[string]struct {
		before  store.Suspect
		written int64 // the row
		since   int64 // the read
		want    store.Suspect
		proven  bool
	}{
		"first":                         {store.Suspect{}, 5, 5, first, false},
		"written while it was read":     {store.Suspect{}, 6, 5, store.Suspect{}, false},
		"a hint is no read":             {suspect(5, now, 0), 5, 7, first, false},
		"it was thought to be gone":     {store.Suspect{Key: key, Reason: store.SuspectGone, Since: 5, Attempts: 1}, 5, 7, first, false},
		"second, too early":             {suspect(5, now+1, 1), 5, 7, suspect(9, now+1, 1), false},
		"second":                        {suspect(5, now, 1), 5, 7, suspect(9, now+day, 2), true},
		"second, written between":       {suspect(5, now, 1), 6, 7, first, false},
		"known":                         {suspect(5, now+day, 2), 5, 7, suspect(9, now+day, 3), true},
		"known, written since":          {suspect(5, now+day, 2), 6, 7, first, false},
		"known, written while it asked": {suspect(5, now+day, 2), 8, 7, store.Suspect{}, false},
	} {
		got, proven := judgeContradiction(test.before, ingest.Difference{Key: key, Older: true, Written: test.written}, test.since, 9, now)
		if got != test.want || proven != test.proven {
			t.Errorf("%s: %+v, %v", name, got, proven)
		}
	}
}
