package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/internal/store"
)

// AuditEntry is one line of the audit: a denial for a contradiction, an access in another's name, a changed role.
type AuditEntry = store.AuditEntry

// AuditFilter selects entries; the zero value selects all.
type AuditFilter = store.AuditFilter

// Audit lists entries of the audit, newest first. Nothing changes or removes an entry before Config.AuditRetention.
func (m *Mirror) Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	return m.db.Audit(ctx, f)
}
