package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// An override is a part of its row: the row's columns are derived with it, and body and version
// stay Clerk's. So merges, walks and the proof do not know of overrides. See docs/correctness.md,
// §2.

// maxOverrideReason bounds the reason of an override, in bytes.
const maxOverrideReason = 500

// SetOverride sets an override, and returns the place in the feed after that. An override that says
// what holds without it is none: it is removed. It changes nothing where that value is set already,
// or where the session has ended. The error is [mirror.ErrInvalidOverride], or [store.ErrNotFound]
// if there is no such live object.
func (in *Ingest) SetOverride(ctx context.Context, o mirror.Override, by mirror.By) (mirror.FeedCursor, error) {
	key, field := row.Key{Kind: o.Kind, ID: o.ID}, string(o.Field)
	if err := checkOverride(&o); err != nil {
		return "", err
	}
	o.CreatedBy = by.Actor
	return in.override(ctx, key, field, by.Entry(mirror.AuditOverrideSet), func(ctx context.Context, tx *store.Tx, r *row.Row) (row.Overrides, error) {
		ladder := tx.Settings().Roles()
		if o.Field == mirror.OverrideRole && !slices.Contains(ladder, o.Value) {
			return "", fmt.Errorf("%w: the role ladder has %s, and not %q", mirror.ErrInvalidOverride, strings.Join(ladder, ", "), o.Value)
		}
		without := *r
		without.Overrides = r.Overrides.With(field, "")
		switch {
		case r.Overrides.Get(field) == o.Value:
			return r.Overrides, nil
		case r.Terminal || says(&without, field, o.Value, ladder):
			return without.Overrides, tx.RemoveOverride(ctx, key, field)
		default:
			return r.Overrides.With(field, o.Value), tx.SaveOverride(ctx, &o)
		}
	})
}

// says reports whether a row shows a value in a field. A role that the ladder lacks is not the
// lowest role, which the row shows for it.
func says(r *row.Row, field, value string, ladder []string) bool {
	return r.Value(field, ladder) == value && (field != row.OverrideRole || r.UserRole(ladder).Rejected == "")
}

// RemoveOverride removes an override, so that what Clerk says holds again. It returns the place in
// the feed after that. The error is [store.ErrNotFound] if there is no such override.
func (in *Ingest) RemoveOverride(ctx context.Context, key row.Key, field mirror.OverrideField, by mirror.By) (mirror.FeedCursor, error) {
	entry := by.Entry(mirror.AuditOverrideEnded)
	return in.override(ctx, key, string(field), entry, func(ctx context.Context, tx *store.Tx, r *row.Row) (row.Overrides, error) {
		if r.Overrides.Get(string(field)) == "" {
			return "", fmt.Errorf("override of the %s of %s %s %w", field, key.Kind, key.ID, store.ErrNotFound)
		}
		return r.Overrides.With(string(field), ""), tx.RemoveOverride(ctx, key, string(field))
	})
}

// checkOverride returns an error where no row could have an override.
func checkOverride(o *mirror.Override) error {
	allowed := map[mirror.OverrideField]struct {
		kind   clerk.Kind
		values []string // none: any role
	}{
		mirror.OverrideRole:   {clerk.KindUser, nil},
		mirror.OverrideBanned: {clerk.KindUser, []string{"true", "false"}},
		mirror.OverrideStatus: {clerk.KindSession, []string{string(mirror.SessionRevoked)}},
	}
	a, known := allowed[o.Field]
	switch {
	case !known || a.kind != o.Kind:
		return fmt.Errorf("%w: a user has role and banned, and a session has status; %s %q is not among them", mirror.ErrInvalidOverride, o.Kind, o.Field)
	case a.values != nil && !slices.Contains(a.values, o.Value):
		return fmt.Errorf("%w: %s can be %s, and not %q", mirror.ErrInvalidOverride, o.Field, strings.Join(a.values, " or "), o.Value)
	case len(o.Reason) > maxOverrideReason:
		return fmt.Errorf("%w: a reason has %d bytes at most", mirror.ErrInvalidOverride, maxOverrideReason)
	}
	return nil
}

// override changes one override of a live row, in one transaction with its audit entry. change
// stores the override and returns the ones that the row then has.
func (in *Ingest) override(
	ctx context.Context, key row.Key, field string, entry mirror.AuditEntry, change func(context.Context, *store.Tx, *row.Row) (row.Overrides, error),
) (at mirror.FeedCursor, err error) {
	end := func(ctx context.Context, tx *store.Tx, _ []Difference) (err error) {
		at, err = tx.FeedEnd(ctx)
		return err
	}
	_, err = in.applyInTx(ctx, ApplyOptions{Origin: mirror.OriginOverride, InTx: end}, func(ctx context.Context, tx *store.Tx, b *batch) error {
		e, err := b.loadLive(tx, key)
		if err != nil {
			return err
		}
		overrides, err := change(ctx, tx, e.row)
		if err != nil || overrides == e.row.Overrides {
			return err
		}
		ladder := tx.Settings().Roles()
		entry.Object, entry.Was = field, e.row.Value(field, ladder)
		if err := b.setOverrides(ctx, tx, e, overrides); err != nil {
			return err
		}
		entry.ClerkUserID, entry.Became = e.row.Ref().UserID, e.row.Value(field, ladder)
		if key.Kind == clerk.KindSession {
			entry.ClerkSessionID = key.ID
		}
		b.audits = append(b.audits, entry)
		return nil
	})
	if err != nil {
		return "", err
	}
	return at, nil
}

// loadLive loads a row that is neither hidden itself nor by its user.
func (b *batch) loadLive(tx *store.Tx, key row.Key) (*entry, error) {
	notFound := fmt.Errorf("%s %s %w", key.Kind, key.ID, store.ErrNotFound)
	if err := b.load(tx, b.wantKey(nil, key)); err != nil {
		return nil, err
	}
	e := b.rows[key]
	if !e.exists || e.row.Hidden() {
		return nil, notFound
	}
	if e.row.UserID == "" {
		return e, nil
	}
	user := row.Key{Kind: clerk.KindUser, ID: e.row.UserID}
	if err := b.load(tx, b.wantKey(nil, user)); err != nil {
		return nil, err
	}
	if b.rows[user].row.Hidden() {
		return nil, notFound
	}
	return e, nil
}

// setOverrides gives a row other overrides. The change names the columns that show something else
// now.
func (b *batch) setOverrides(ctx context.Context, tx *store.Tx, e *entry, overrides row.Overrides) error {
	e.row.Overrides, e.save = overrides, true
	names, err := tx.Altered(ctx, e.row, lockedUntil)
	b.change(row.OpUpdated, e.row, names)
	return err
}

// endOverrides removes the overrides that end with a reading.
func (b *batch) endOverrides(ctx context.Context, tx *store.Tx, r *Reading) error {
	e := b.rows[r.Key]
	left := e.row.Overrides
	for _, field := range r.EndOverrides {
		if left.Get(string(field)) == "" {
			continue
		}
		left = left.With(string(field), "")
		if err := tx.RemoveOverride(ctx, r.Key, string(field)); err != nil {
			return err
		}
	}
	if left == e.row.Overrides {
		return nil
	}
	return b.setOverrides(ctx, tx, e, left)
}
