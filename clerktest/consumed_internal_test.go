package clerktest

import (
	"testing"

	"github.com/clerksync/clerksync/mirror"
)

// A consumer in the middle of a snapshot has passed no change, and one at the start of an empty
// feed has passed all of them.
func TestPassed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cursor, change mirror.FeedCursor
		want           bool
	}{
		{"0", "0", true},
		{"0", "1-00000000", false},
		{"2-00000001", "2-00000001", true},
		{"10-00000001", "9-00000000", true},
		{"9-00000001", "10-00000000", false},
		{"s.eyJoIjoiMSJ9", "0", false},
		{"", "0", false},
	} {
		if got := passed(c.cursor, c.change); got != c.want {
			t.Errorf("%s has passed %s: %v", c.cursor, c.change, got)
		}
	}
}
