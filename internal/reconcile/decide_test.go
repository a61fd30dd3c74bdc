package reconcile

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

func TestTooMany(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		missing, rows int
		want          bool
	}{{0, 0, false}, {1, 1, true}, {1, 2, false}, {10, 20, false}, {11, 219, true}, {11, 220, false}, {500, 100_000, false}} {
		if got := tooMany(test.missing, test.rows); got != test.want {
			t.Errorf("%d of %d: %v", test.missing, test.rows, got)
		}
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		signs    signs
		at, date clerk.Time
		want     string
	}{
		{signs{}, 5, 5, CauseNotSubscribed},
		{signs{heard: true}, 0, 5, CauseUnknown},
		{signs{heard: true, lastReceived: 900_000}, 880_000, 900_000, CauseRecent},
		{signs{heard: true, lastReceived: 100_000}, 200_000, 900_000, CauseDown},
		{signs{heard: true, lastReceived: 300_000}, 200_000, 900_000, CauseMissed},
		{signs{heard: true, lastReceived: 300_000}, 200_000, 0, CauseMissed},
	} {
		if got := test.signs.cause(test.at, test.date); got != test.want {
			t.Errorf("%+v: %s", test, got)
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

func TestOlder(t *testing.T) {
	t.Parallel()
	key := store.Key{Kind: clerk.KindUser, ID: "user_1"}
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
		got, proven := older(test.before, ingest.Difference{Key: key, Older: true, Written: test.written}, test.since, 9, now)
		if got != test.want || proven != test.proven {
			t.Errorf("%s: %+v, %v", name, got, proven)
		}
	}
}

func TestUntold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		d     ingest.Difference
		body  string
		known clerk.Time
		want  bool
	}{
		{ingest.Difference{New: true}, `{"status":"active","created_at":2000000000000}`, 0, true}, // the first round
		{ingest.Difference{New: true}, `{"status":"active","created_at":2000000000000}`, 1999999999999, false},
		{ingest.Difference{New: true}, `{"status":"active","created_at":2000000000000}`, 2000000000001, true},
		{ingest.Difference{New: true}, `{"status":"ended","created_at":2000000000000}`, 1999999999999, true},
		{ingest.Difference{Fields: []string{"status"}}, `{"status":"revoked"}`, 5, false},
		{ingest.Difference{Fields: []string{"status", "updated_at"}}, `{"status":"expired"}`, 5, true},
		{ingest.Difference{Fields: []string{"expire_at", "updated_at"}}, `{"status":"active"}`, 5, true},
		{ingest.Difference{Fields: []string{"actor"}}, `{"status":"active"}`, 5, false},
		{ingest.Difference{Older: true}, `{"status":"active"}`, 0, false},
		{ingest.Difference{Back: true}, `{"status":"active"}`, 0, false},
	} {
		body, err := clerk.Parse([]byte(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := untold(test.d, body, test.known); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
