package activity_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/activity"
	"github.com/clerksync/clerksync/internal/testkit"
)

// Two processes count, one of them in two minutes. What they wrote is added up, and minutes without
// anything are there.
func TestActivity(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		now := time.Date(2026, 1, 2, 3, 4, 30, 0, time.UTC)
		clock := func() time.Time { return now }
		one, two := activity.New(db, clock, slog.New(slog.DiscardHandler)), activity.New(db, clock, slog.New(slog.DiscardHandler))
		for range 98 {
			one.Stored(1, []time.Duration{90 * time.Millisecond})
		}
		two.Stored(3, []time.Duration{3 * time.Second, 3 * time.Second, 0})
		two.Refused()
		now = now.Add(2 * time.Minute)
		one.Stored(2, []time.Duration{24 * time.Hour})
		one.Close()
		two.Close()
		one.Stored(9, nil) // too late
		one.Close()

		a, err := one.Read(t.Context(), now.Add(-3*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if a.Events != 103 || a.Refused != 1 || !within(a.LagP50MS, 90) || !within(a.LagP99MS, 3000) {
			t.Errorf("in all: %d, %d, %v, %v", a.Events, a.Refused, *a.LagP50MS, *a.LagP99MS)
		}
		events := []int64{}
		for i, m := range a.Minutes {
			events = append(events, m.Events)
			if want := now.Truncate(time.Minute).Add(time.Duration(i-3) * time.Minute); !m.At.Equal(want) {
				t.Errorf("minute %d is %s, want %s", i, m.At, want)
			}
		}
		if len(events) != 4 || events[0] != 0 || events[1] != 101 || events[2] != 0 || events[3] != 2 {
			t.Fatalf("minutes: %v", events)
		}
		if m := a.Minutes[2]; m.LagP50MS != nil || m.LagP99MS != nil {
			t.Errorf("a quiet minute: %+v", m)
		}
		if m := a.Minutes[3]; *m.LagP50MS < 3600_000 {
			t.Errorf("a lag of a day: %+v", *m.LagP50MS)
		}
		if long, err := one.Read(t.Context(), time.Time{}); err != nil || len(long.Minutes) != 24*60+1 {
			t.Errorf("of all time: %d minutes, %v", len(long.Minutes), err)
		}
	})
}

// within reports whether a lag is rounded up by a fifth at most.
func within(got *int64, want float64) bool {
	return got != nil && float64(*got) >= want && float64(*got) <= want*1.2
}

// A database that cannot be written loses nothing: the next write has it.
func TestActivityIsWrittenAgain(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t, "sqlite")
	db := d.Open(t)
	r := activity.New(db, time.Now, slog.New(slog.DiscardHandler))
	raw := d.SQL(t)
	if _, err := raw.ExecContext(t.Context(), "ALTER TABLE clerk_minutes RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	r.Stored(4, nil)
	r.WriteNow()
	if _, err := raw.ExecContext(t.Context(), "ALTER TABLE away RENAME TO clerk_minutes"); err != nil {
		t.Fatal(err)
	}
	r.Stored(1, nil)
	r.Close()
	a, err := r.Read(t.Context(), time.Now().Add(-time.Minute))
	if err != nil || a.Events != 5 {
		t.Errorf("%+v, %v", a, err)
	}
}
