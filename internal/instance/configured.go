package instance

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// Configured returns the instances that the configuration and the configured keys name. It asks
// Clerk, and neither remembers nor refuses an instance if Config.Unstored is set.
func (g *Guard) Configured(ctx context.Context) (ids []string, err error) {
	var named []string
	if g.config.ID != "" {
		named = append(named, g.config.ID)
	}
	if g.remote != nil {
		if err := g.remote.Refresh(ctx); err != nil {
			return nil, err
		}
		named = append(named, reconcile.Instances(g.remote.KeyIDs())...)
	}
	if g.api != nil {
		keys, err := g.api.KeyIDs(ctx, clerkapi.NoWait)
		if err != nil {
			return nil, err
		}
		named = append(named, reconcile.Instances(keys)...)
	}
	slices.Sort(named)
	return slices.Compact(named), nil
}
