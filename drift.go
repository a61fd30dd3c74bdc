package clerksync

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

// DriftFilter selects drift; the zero value selects all.
type DriftFilter = store.DriftFilter

// driftRetention is how long drift is kept.
const driftRetention = 90 * 24 * time.Hour

// Drift lists what was found to differ from Clerk in the last 90 days, the latest first: names of fields, never values.
func (s Sync) Drift(ctx context.Context, f DriftFilter) ([]Drift, error) { return s.m.db.Drift(ctx, f) }
