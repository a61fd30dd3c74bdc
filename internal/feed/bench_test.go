package feed_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// BenchmarkFanOut measures from a commit until all waiters have its change.
func BenchmarkFanOut(b *testing.B) {
	for _, waiters := range []int{1, 1000} {
		b.Run(strconv.Itoa(waiters), func(b *testing.B) {
			db := testkit.NewDatabase(b, "sqlite").OpenFast(b)
			f := feed.New(feed.Config{DB: db})
			b.Cleanup(f.Close)
			commit := func() mirror.FeedCursor {
				c := []row.Change{users(1)[0]}
				if err := db.Update(b.Context(), func(tx *store.Tx) error { return tx.AppendChanges(b.Context(), c) }); err != nil {
					b.Fatal(err)
				}
				f.Notify()
				return store.FeedCursor(&c[0])
			}
			at := commit()
			for b.Loop() {
				var all sync.WaitGroup
				for range waiters {
					all.Go(func() {
						if p, err := f.Page(b.Context(), mirror.FeedQuery{After: at, Wait: time.Minute}); err != nil || len(p.Changes) != 1 {
							b.Errorf("got %+v, %v", p, err)
						}
					})
				}
				next := commit()
				all.Wait()
				at = next
			}
		})
	}
}
