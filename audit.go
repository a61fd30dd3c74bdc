package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Audit reads the audit: denials because of contradictions, impersonations, changed roles, and
// actions of operators. Entries never change, and are removed only after Config.AuditRetention.
type Audit struct{ db *store.DB }

// Audit returns the service that reads the audit.
func (m *Mirror) Audit() Audit { return Audit{m.db} }

// List returns a page of the audit, newest first.
func (s Audit) List(ctx context.Context, f mirror.AuditFilter) (mirror.Page[mirror.AuditEntry], error) {
	return store.List(ctx, s.db, (*store.DB).Audit, f)
}

// All iterates over the entries that a filter selects, newest first. It reads a page at a time.
func (s Audit) All(ctx context.Context, f mirror.AuditFilter) iter.Seq2[mirror.AuditEntry, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.AuditEntry], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}
