package clerksync_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// What this process commits is seen at once, and not when the database is looked at the next time,
// which would take 50 ms on average.
func TestChangesOfThisProcessAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	seen := make(chan time.Time)
	ended := make(chan error, 1)
	go func() {
		for _, err := range m.Changes(t.Context(), mirror.FeedStart) {
			if err != nil {
				ended <- err
				return
			}
			seen <- time.Now()
		}
	}()
	n := 0
	median := func() time.Duration {
		var took []time.Duration
		for i := range 21 {
			n++
			object := fmt.Sprintf(`{"object":"user","id":"user_%d","created_at":1,"updated_at":%d}`, i, n)
			begun := time.Now()
			if _, err := m.Users().Apply(t.Context(), json.RawMessage(object)); err != nil {
				t.Fatal(err)
			}
			took = append(took, (<-seen).Sub(begun))
		}
		slices.Sort(took)
		return took[10]
	}
	least := median()
	for range 4 { // the machine may be busy
		if least > 25*time.Millisecond {
			least = min(least, median())
		}
	}
	if least > 25*time.Millisecond {
		t.Errorf("the median is %s", least)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || errors.Is(err, mirror.ErrInvalidCursor) {
		t.Errorf("it ended with %v", err)
	}
}

// What is written is dated by the clock of the configuration, as everything else is judged by it.
func TestChangesAreDatedByTheConfiguredClock(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	config := clerksync.Config{Test: clerksync.TestConfig{Now: func() time.Time { return at }}}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Users().Apply(t.Context(), json.RawMessage(`{"object":"user","id":"user_1","created_at":1,"updated_at":1}`)); err != nil {
		t.Fatal(err)
	}
	page, err := m.Feed().Page(t.Context(), mirror.FeedQuery{After: mirror.FeedStart})
	if err != nil || len(page.Changes) != 1 || !page.Changes[0].At.Equal(at) {
		t.Errorf("%+v, %v", page, err)
	}
}
