package live_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
)

// BenchmarkFacts measures what each request pays for stored facts: from memory, from memory by many
// at once, and from the database.
func BenchmarkFacts(b *testing.B) {
	db, err := sqlite.Open(filepath.Join(b.TempDir(), "live.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	r := newReplica(b, "a", db, newClock().now, 0)
	r.event(b, "user.created", fmt.Sprintf(ada, 10))
	r.event(b, "session.created", fmt.Sprintf(session, "active", 10))
	r.event(b, "organizationMembership.created", fmt.Sprintf(membership, 10))
	ctx := b.Context()
	look := func(b *testing.B) {
		if _, err := r.Facts(ctx, "user_ada", "sess_1", "org_1"); err != nil {
			b.Error(err)
		}
	}
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			look(b)
		}
	})
	b.Run("kept, in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				look(b)
			}
		})
	})
	b.Run("loaded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Flush()
			look(b)
		}
	})
}
