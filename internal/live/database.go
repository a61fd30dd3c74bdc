package live

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// database is what this package reads of a *store.DB. The interface is for tests that hold reads
// up.
type database interface {
	Caller(ctx context.Context, keys store.CallerKeys) (store.CallerRows, error)

	Head(ctx context.Context) (store.Head, error)
	ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]row.ChangeRef, error)
	QueuedAfter(ctx context.Context, after int64, limit int) (store.QueuedRefs, error)
	Clock(ctx context.Context, ours clerk.Time) (clerk.Time, error)
	Walks(ctx context.Context) (map[string]store.Walk, error)
	Life(ctx context.Context) (store.Life, error)
	Settings() *store.Settings
	LoadSettings(ctx context.Context) (*store.Settings, error)
}
