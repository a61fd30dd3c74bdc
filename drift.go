package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Drift reads the differences from Clerk that were found in the last 90 days.
type Drift struct{ db *store.DB }

// Drift returns the service that reads differences from Clerk.
func (s Sync) Drift() Drift { return Drift{s.m.db} }

// List returns a page of differences, the latest first.
func (s Drift) List(ctx context.Context, f mirror.DriftFilter) (mirror.Page[mirror.Drift], error) {
	return store.List(ctx, s.db, (*store.DB).Drift, f)
}

// All iterates over the differences that a filter selects, the latest first. It reads a page at a
// time.
func (s Drift) All(ctx context.Context, f mirror.DriftFilter) iter.Seq2[mirror.Drift, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Drift], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}
