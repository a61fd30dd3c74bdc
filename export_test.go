package clerksync

import "context"

// EraseDue is what Run does each minute.
func (m *Mirror) EraseDue(ctx context.Context) error { return m.eraseDue(ctx) }

// Purge is what Run does each hour.
func (m *Mirror) Purge(ctx context.Context) (Purged, error) { return m.purge(ctx) }
