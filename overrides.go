package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Overrides sets and removes local overrides: values that hold here instead of what Clerk says.
// They are for mirrors without a secret key. See [mirror.Override].
type Overrides struct {
	db       *store.DB
	in       *ingest.Ingest
	disabled bool
}

// Overrides returns the service of local overrides.
func (m *Mirror) Overrides() Overrides { return Overrides{m.db, m.ingest, m.writer.Disabled} }

// Set sets an override: Kind, ID, Field, Value and Reason of o. It replaces an earlier one of the
// field. Columns, views, access decisions and the change feed then show the value.
//
// A value that holds without an override needs none: Set then removes an earlier override of the
// field. So a ban that was set here is lifted by setting "false". To set a value again, or to
// revoke a session that has ended, changes nothing.
//
// The error is [ErrInvalidOverride] if the field or the value cannot be set, [ErrNotFound] if there
// is no such live user or session, and [ErrWritesDisabled] with Config.DisableWrites.
func (s Overrides) Set(ctx context.Context, o mirror.Override, by mirror.By) (mirror.Written, error) {
	if s.disabled {
		return mirror.Written{}, ErrWritesDisabled
	}
	o.ID, o.Reason = clerk.Text(o.ID).String(), clerk.Text(o.Reason).String() // as both engines can store it
	return writtenHere(s.in.SetOverride(ctx, o, by))
}

// Remove removes an override, so that what Clerk says holds again. The error is [ErrNotFound] if
// there is no such override, and [ErrWritesDisabled] with Config.DisableWrites.
func (s Overrides) Remove(
	ctx context.Context, kind clerk.Kind, id string, field mirror.OverrideField, by mirror.By,
) (mirror.Written, error) {
	if s.disabled {
		return mirror.Written{}, ErrWritesDisabled
	}
	return writtenHere(s.in.RemoveOverride(ctx, row.Key{Kind: kind, ID: clerk.Text(id).String()}, field, by))
}

func writtenHere(at mirror.FeedCursor, err error) (mirror.Written, error) {
	if err != nil {
		return mirror.Written{}, err
	}
	return mirror.Written{Where: mirror.Here, Cursor: at}, nil
}

// List returns a page of overrides, newest first.
func (s Overrides) List(ctx context.Context, f mirror.OverrideFilter) (mirror.Page[mirror.Override], error) {
	return s.db.Overrides(ctx, f)
}

// All iterates over the overrides that a filter selects, newest first. It reads a page at a time.
func (s Overrides) All(ctx context.Context, f mirror.OverrideFilter) iter.Seq2[mirror.Override, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Override], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}
