package doctor_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/mirror"
)

func one(f mirror.Finding) func(context.Context) []mirror.Finding {
	return func(context.Context) []mirror.Finding { return []mirror.Finding{f} }
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		found := doctor.Run(t.Context(), 10*time.Second, []doctor.Check{
			{Name: "slow", Run: func(ctx context.Context) []mirror.Finding {
				<-ctx.Done()
				return []mirror.Finding{doctor.Fail("Wait.", "two\n\tlines: %v", ctx.Err())}
			}},
			{Name: "endless", Run: func(context.Context) []mirror.Finding { time.Sleep(time.Minute); return nil }},
			{Name: "panics", Run: func(context.Context) []mirror.Finding { panic("no") }},
			{Name: "nothing", Run: func(context.Context) []mirror.Finding { return nil }},
			{Name: "good", Run: one(doctor.Good("%d rows.", 3))},
			{Name: "warns", Run: one(doctor.Warn("Do it.", "Not done."))},
		})
		want := []mirror.Finding{
			{Check: "slow", Severity: mirror.FindingFailure, Text: "two lines: context deadline exceeded", Remedy: "Wait."},
			{Check: "endless", Severity: mirror.FindingFailure, Text: "No answer within 10s.", Remedy: "Look whether what it asks is down or very slow."},
			{Check: "panics", Severity: mirror.FindingFailure, Text: "The check itself failed: no", Remedy: "Report this as a bug."},
			{Check: "good", Severity: mirror.FindingOK, Text: "3 rows."},
			{Check: "warns", Severity: mirror.FindingWarning, Text: "Not done.", Remedy: "Do it."},
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Hour) // the endless one ends too
	})
}

func TestWorstAndPrint(t *testing.T) {
	t.Parallel()
	good, warning, failure := doctor.Good("a"), doctor.Warn("do", "b"), doctor.Fail("do", "c")
	info := mirror.Finding{Check: "keys", Severity: mirror.FindingInfo, Text: "d", Remedy: "do"}
	for _, c := range []struct {
		found []mirror.Finding
		want  mirror.FindingSeverity
	}{
		{nil, mirror.FindingOK},
		{[]mirror.Finding{good}, mirror.FindingOK},
		{[]mirror.Finding{good, info, good}, mirror.FindingInfo},
		{[]mirror.Finding{good, warning, info}, mirror.FindingWarning},
		{[]mirror.Finding{failure, warning, good}, mirror.FindingFailure},
	} {
		if got := doctor.Worst(c.found); got != c.want {
			t.Errorf("worst of %v is %s", c.found, got)
		}
	}
	good.Check, warning.Check, failure.Check = "clock", "keys", "keys"
	warning.Text = "one two three four five"
	found := []mirror.Finding{good, info, warning, failure, failure}
	doctor.Sort(found)
	var b strings.Builder
	doctor.Print(&b, found, 39)
	const want = `✗ failure  keys   c
                  → do
✗ failure         c
                  → do
! warning  keys   one two three four
                  five
                  → do
· info     keys   d
                  → do
✓ ok       clock  a

2 failures, 1 warning, 1 info, 1 ok
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
