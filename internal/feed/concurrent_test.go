package feed_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// history is everything that was committed.
type history struct {
	mu      sync.Mutex
	changes []row.Change
}

func (h *history) add(changes []row.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, changes...)
}

// after returns what a query selects of the history after a place.
func (h *history) after(seq int64, wanted func(mirror.Change) bool) (all []mirror.FeedCursor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.SortFunc(h.changes, func(a, b row.Change) int { return cmp.Compare(a.Seq, b.Seq) })
	for i := range h.changes {
		if c := store.FeedEntry(&h.changes[i]); h.changes[i].Seq > seq && wanted(c) {
			all = append(all, c.Cursor)
		}
	}
	return all
}

// Writers in two processes, a purge, and readers in two processes on a real database: each reader
// gets what it selects, once and in order, from where it began or was told to begin again.
func TestReadersFollowConcurrentWriters(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		dbs := []*store.DB{d.OpenFast(t), d.OpenFast(t)}
		feeds := []*feed.Feed{feed.New(feed.Config{DB: dbs[0]}), feed.New(feed.Config{DB: dbs[1]})}
		h, kinds := &history{}, []clerk.Kind{clerk.KindUser, clerk.KindSession, clerk.KindMembership}
		var writers, readers sync.WaitGroup
		over := make(chan struct{})
		for w := range 4 {
			writers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(w), 3))
				for range 60 {
					changes := randomChanges(random, kinds)
					if err := dbs[w%2].Update(t.Context(), func(tx *store.Tx) error { return tx.AppendChanges(t.Context(), changes) }); err != nil {
						t.Error(err)
						return
					}
					h.add(changes)
					if w < 2 { // the others' commits are found by polling
						feeds[w%2].Notify()
					}
				}
				if w == 3 {
					if err := dbs[1].Exec(t.Context(), "DELETE FROM clerk_changes WHERE seq <= 40"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i, test := range []struct {
			q      mirror.FeedQuery
			wanted func(mirror.Change) bool
		}{
			{mirror.FeedQuery{}, func(mirror.Change) bool { return true }},
			{mirror.FeedQuery{Kinds: kinds[1:2], Limit: 7}, func(c mirror.Change) bool { return c.Kind == clerk.KindSession }},
			{mirror.FeedQuery{Types: []string{"user.deleted", "session.*"}}, func(c mirror.Change) bool {
				return c.Kind == clerk.KindSession || c.Type() == "user.deleted"
			}},
			{mirror.FeedQuery{ClerkOrganizationID: "org_1", Limit: 1}, func(c mirror.Change) bool { return c.ClerkOrganizationID == "org_1" }},
		} {
			for _, f := range feeds {
				readers.Go(func() {
					begin, got := followToTheEnd(t, f, test.q, over)
					if want := h.after(begin, test.wanted); len(want) < 20 || !slices.Equal(got, want) {
						t.Errorf("query %d from %d: got %d changes, want %d:\n%v\n%v", i, begin, len(got), len(want), got, want)
					}
				})
			}
		}
		writers.Wait()
		close(over)
		readers.Wait()
		for _, f := range feeds {
			f.Close()
		}
	})
}

func randomChanges(random *rand.Rand, kinds []clerk.Kind) []row.Change {
	operations := []string{row.OpCreated, row.OpUpdated, row.OpDeleted}
	changes := make([]row.Change, 1+random.IntN(4))
	for i := range changes {
		r := row.Row{
			Key: row.Key{Kind: kinds[random.IntN(3)], ID: strconv.Itoa(random.IntN(20))}, OrganizationID: fmt.Sprintf("org_%d", random.IntN(3)),
		}
		changes[i] = r.Change(operations[random.IntN(3)], nil)
	}
	return changes
}

// followToTheEnd follows a feed until nothing more comes. It returns what it got, and since when it
// missed nothing.
func followToTheEnd(t *testing.T, f *feed.Feed, q mirror.FeedQuery, over <-chan struct{}) (begin int64, got []mirror.FeedCursor) {
	t.Helper()
	for q.After, q.Wait = mirror.FeedStart, 50*time.Millisecond; ; {
		ended := false
		select {
		case <-over:
			ended = true
		default:
		}
		page, err := f.Page(t.Context(), q)
		if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok && gone.Reason == mirror.CursorExpired {
			got, q.After = nil, gone.Oldest
			begin, _, err = gone.Oldest.Split()
		}
		if err != nil {
			t.Error(err)
			return begin, got
		}
		for _, c := range page.Changes {
			got = append(got, c.Cursor)
		}
		if page.Next == "" {
			continue
		}
		if q.After = page.Next; ended && page.CaughtUp && len(page.Changes) == 0 {
			return begin, got
		}
	}
}
