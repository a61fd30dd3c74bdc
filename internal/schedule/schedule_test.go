package schedule

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

func TestPauseIsTwentyWalksWithinBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                 string
		schedule             Schedule
		took, pause, overdue time.Duration
	}{
		{"a small instance", Schedule{}, time.Second, 10 * time.Minute, time.Second + 30*time.Minute},
		{"100,000 users and 300,000 memberships", Schedule{}, 45 * time.Second, 15 * time.Minute, 45*time.Second + 35*time.Minute},
		{"an hour", Schedule{}, time.Hour, 20 * time.Hour, 23 * time.Hour},
		{"longer than a day allows", Schedule{}, 3 * time.Hour, 24 * time.Hour, 29 * time.Hour},
		{"other bounds", Schedule{Min: time.Minute, Max: time.Hour}, time.Second, time.Minute, time.Second + 21*time.Minute},
		{"an upper bound below the default lower one", Schedule{Max: time.Minute}, time.Second, 10 * time.Minute, time.Second + 30*time.Minute},
	} {
		if got := tc.schedule.Pause(tc.took); got != tc.pause {
			t.Errorf("%s: pause %s, want %s", tc.name, got, tc.pause)
		}
		if got := tc.schedule.Overdue(tc.took); got != tc.overdue {
			t.Errorf("%s: overdue after %s, want %s", tc.name, got, tc.overdue)
		}
	}
}

func TestWhenAWalkIsDue(t *testing.T) {
	t.Parallel()
	minutes := func(n int) clerk.Time { return clerk.Time(n) * 60_000 }
	const hour = 3_600_000
	kinds := []clerk.Kind{clerk.KindUser, clerk.KindRole}
	whole := func(begun, ended clerk.Time) store.Walk {
		return store.Walk{BegunAt: begun, EndedAt: ended, Complete: true, CompleteAt: begun}
	}
	good := map[string]store.Walk{"user": whole(hour, hour+2000), "role": whole(hour+2000, hour+3000)}
	for _, tc := range []struct {
		name            string
		walks           map[string]store.Walk
		provenFrom, now clerk.Time
		want            bool
	}{
		{"nothing was walked", nil, 0, hour, true},
		{"a minute after", good, 0, hour + minutes(1), false},
		{"ten minutes after", good, 0, hour + minutes(10) + 3000, true},
		{"after a gap", good, hour + 1000, hour + minutes(1), true},
		{"the clock jumped back", good, 0, hour - minutes(1), true},
		{"one list is older", map[string]store.Walk{"user": whole(hour, hour+2000), "role": whole(0, 1000)}, 0, hour + minutes(1), true},
		{"one list did not end", map[string]store.Walk{"user": {BegunAt: hour}, "role": whole(hour, hour)}, 0, hour + minutes(1), true},
		{
			"a long walk that failed is tried again before twenty times its length",
			map[string]store.Walk{"user": {BegunAt: hour, EndedAt: 2 * hour}, "role": whole(2*hour, 2*hour)},
			0, 2*hour + minutes(11), true,
		},
		{"a list that Clerk does not have for this instance", map[string]store.Walk{
			"user": whole(hour, hour+2000), "role": {BegunAt: hour, EndedAt: hour, Refused: true},
		}, 0, hour + minutes(5), false},
	} {
		if got := (Schedule{}).Due(kinds, tc.walks, tc.provenFrom, tc.now); got != tc.want {
			t.Errorf("%s: due %v", tc.name, got)
		}
	}
}
