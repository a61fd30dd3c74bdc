package ingest

import (
	"cmp"
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// volatileColumns are derived from what the digest does not cover, so bodies of the same digest can
// have different values.
var volatileColumns = map[clerk.Kind][]string{
	clerk.KindUser:         {"profile_image_url"},
	clerk.KindSession:      {"clerk_organization_id", "last_active_at", "abandon_at"},
	clerk.KindOrganization: {"image_url"},
	clerk.KindMembership:   {"permissions"},
	clerk.KindInvitation:   {"clerk_user_id"},
	clerk.KindRole:         {"permissions"},
}

// lockedUntil is a column that also depends on the time of the last read.
const lockedUntil = "locked_until"

// restore derives a row's columns from its body again if something other than clerksync has written
// them, and notes which differed. A body that no longer has its digest is replaced by the one that
// was read.
func (b *batch) restore(ctx context.Context, tx *store.Tx, op *converge.Operation) error {
	e := b.rows[op.Key]
	if !e.exists || e.save || e.row.Tombstoned || op.Action != converge.Upsert || !e.row.Altered {
		return nil // also if a row comes twice in a batch: the database still has it as it was before
	}
	want := *e.row
	except := []string{lockedUntil}
	var names []string
	var err error
	if want.Overrides, err = tx.OverridesOf(ctx, op.Key); err != nil {
		return err
	}
	if want.Digest != converge.Digest(want.Kind, want.Body()) {
		names = append(names, "raw")
		if want.Digest != op.Digest { // the body is lost, and so is the meaning of its version
			want.Version = row.Version{}
			b.queue(op.Key, converge.ReasonTie)
		}
		want.SetBody(op.Body, op.Raw)
		except = append(except, volatileColumns[want.Kind]...)
	}
	setParentsFromBody(&want)
	columns, err := tx.Altered(ctx, &want, except...)
	if err != nil {
		return err
	}
	if names = append(names, columns...); len(names) == 0 { // something that only the checksum shows
		if e.row.Written > b.delta.Since { // … and that the read is too old to correct
			b.queue(op.Key, converge.ReasonAltered)
			return nil
		}
		if want.Digest == op.Digest {
			want.SetBody(op.Body, op.Raw)
		}
		want.SignedInAt, want.ActiveAt = op.SignedInAt, op.ActiveAt
		names = []string{}
	}
	want.Altered = false
	*e.row, e.save = want, true
	b.reads.altered[op.Key] = names
	b.change(row.OpUpdated, e.row, names)
	return nil
}

// change adds an entry to the change feed.
func (b *batch) change(operation string, r *row.Row, fields []string) {
	c := r.Change(operation, fields)
	c.Origin = b.origin
	b.effects.Changes = append(b.effects.Changes, c)
}

// queueAltered queues a row that something else has written, when it is saved for another reason,
// such as a sign-in.
func (b *batch) queueAltered(r *row.Row) {
	if !r.Altered || r.Hidden() {
		return
	}
	setParentsFromBody(r) // Clerk finds a membership by its parents
	if converge.Readable(r.Kind) {
		b.queue(r.Key, converge.ReasonAltered)
	}
}

// setParentsFromBody sets a row's parents to what its body says of them, if it says anything.
func setParentsFromBody(r *row.Row) {
	user, organization := converge.Parents(r.Kind, r.Body())
	r.UserID, r.OrganizationID = cmp.Or(user, r.UserID), cmp.Or(organization, r.OrganizationID)
}

// Rehide hides a deleted row that something other than clerksync made visible.
func (in *Ingest) Rehide(ctx context.Context, options ApplyOptions, key row.Key) ([]Difference, error) {
	return in.applyInTx(ctx, options, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if err := b.load(tx, b.wantKey(nil, key)); err != nil {
			return err
		}
		e := b.rows[key]
		if !e.exists || !e.row.Hidden() {
			return nil
		}
		var err error
		if e.row.Overrides, err = tx.OverridesOf(ctx, key); err != nil {
			return err
		}
		names, err := tx.Altered(ctx, e.row, lockedUntil)
		if err != nil || len(names) == 0 {
			return err
		}
		e.save = true
		b.change(row.OpDeleted, e.row, names)
		b.reads.found = append(b.reads.found, Difference{Key: key, Altered: true, Fields: names, Written: e.row.Written})
		return nil
	})
}

// findDeletedPermissions finds out which permissions that a role lost are deleted here too. They
// left the role by being deleted.
func (b *batch) findDeletedPermissions(ctx context.Context, tx *store.Tx, op *converge.Operation) error {
	e := b.rows[op.Key]
	if op.Key.Kind != clerk.KindRole || !e.exists || op.Action != converge.Upsert {
		return nil
	}
	lost, _ := permissionsLost(e.row.Body(), op.Body)
	found, err := tx.RowMetas(ctx, clerk.KindPermission, lost)
	for id, s := range found {
		if s.Hidden {
			b.reads.deletedPermissions[id] = true
		}
	}
	return err
}

// permissionsLost returns the ids of permissions that a role had before and has no more. gained
// reports whether it got others.
func permissionsLost(before, after clerk.Value) (lost []string, gained bool) {
	left := map[string]bool{}
	for _, p := range before.Get("permissions").All() {
		left[p.Get("id").String()] = true
	}
	for _, p := range after.Get("permissions").All() {
		id := p.Get("id").String()
		gained = gained || !left[id]
		delete(left, id)
	}
	for id := range left {
		lost = append(lost, id)
	}
	return lost, gained
}

// lostOnlyDeleted reports whether a role differs only in permissions that are deleted both here and
// at Clerk. The live view does not show them, so nothing was wrong.
func (b *batch) lostOnlyDeleted(before clerk.Value, op *converge.Operation, fields []string) bool {
	if op.Key.Kind != clerk.KindRole {
		return false
	}
	for _, f := range fields {
		if f != "permissions" && f != "updated_at" {
			return false
		}
	}
	lost, gained := permissionsLost(before, op.Body)
	for _, id := range lost {
		if !b.reads.deletedPermissions[id] {
			return false
		}
	}
	return len(lost) > 0 && !gained
}
