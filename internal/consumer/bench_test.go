package consumer_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// BenchmarkConsume measures a function that does nothing, with durable commits. An operation is a
// change.
func BenchmarkConsume(b *testing.B) {
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			db := testkit.NewDatabase(b, engine).Open(b)
			for left := b.N; left > 0; left -= 1000 {
				changes := make([]row.Change, min(left, 1000))
				for i := range changes {
					key := row.Key{Kind: clerk.KindUser, ID: fmt.Sprint("user_", i)}
					changes[i] = row.Change{Key: key, UserID: key.ID, Operation: row.OpUpdated, Fields: []string{"email"}}
				}
				err := db.Update(b.Context(), func(tx *store.Tx) error { return tx.AppendChanges(b.Context(), changes) })
				if err != nil {
					b.Fatal(err)
				}
			}
			follower := feed.New(feed.Config{DB: db})
			defer follower.Close()
			s := consumer.New(consumer.Config{DB: db, Feed: follower})
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			n := 0
			b.ResetTimer()
			err := s.Run(ctx, "bench", func(context.Context, mirror.Change) error {
				if n++; n == b.N {
					cancel()
				}
				return nil
			}, consumer.Options{Start: mirror.FeedStart})
			b.StopTimer()
			if err != nil || n != b.N {
				b.Fatalf("%d of %d changes, %v", n, b.N, err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
