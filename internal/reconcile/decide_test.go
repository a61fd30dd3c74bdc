package reconcile

import (
	"testing"

	"github.com/clerksync/clerksync/clerk"
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

func TestMissing(t *testing.T) {
	t.Parallel()
	rows := []store.Sight{{ID: "listed", Written: 1}, {ID: "lacking", Written: 5}, {ID: "written since", Written: 6}}
	got := missing(rows, map[string]struct{}{"listed": {}}, 5)
	if len(got) != 1 || got[0].ID != "lacking" {
		t.Errorf("%+v", got)
	}
}
