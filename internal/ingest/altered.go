package ingest

import (
	"cmp"
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// loose are the columns that follow from what the digest does not cover: a body of the same digest may have others.
var loose = map[clerk.Kind][]string{
	clerk.KindUser:         {"profile_image_url"},
	clerk.KindSession:      {"clerk_organization_id", "last_active_at", "abandon_at"},
	clerk.KindOrganization: {"image_url"},
	clerk.KindMembership:   {"permissions"},
	clerk.KindInvitation:   {"clerk_user_id"},
	clerk.KindRole:         {"permissions"},
}

// restore makes a row what clerksync derives from its body again, where something else has written its columns, and notes
// which. A body that does not have its digest any more is taken from the read, which the operation is of.
func (b *batch) restore(ctx context.Context, tx *store.Tx, op *operation) error {
	e := b.rows[op.key]
	op, ok := b.spare(op, e.row)
	if !ok || !e.exists || e.save || e.row.Tombstoned || op.do != upsert || !e.row.Altered {
		return nil // also where a row comes twice in a batch: the database has it as it was before
	}
	want := *e.row
	except := []string{"locked_until"} // it follows from the time of the last read, too
	var names []string
	if want.Digest != digest(want.Kind, want.Body()) {
		names = append(names, "raw")
		if want.Digest != op.Digest { // the body is lost, and with it what its version said
			want.Version = store.Version{}
			b.doubts = append(b.doubts, store.VerifyItem{Key: op.key, Reason: doubtTie})
		}
		want.SetBody(op.body, op.raw)
		except = append(except, loose[want.Kind]...)
	}
	parentsFromBody(&want)
	columns, err := tx.Altered(ctx, &want, except...)
	if err != nil {
		return err
	}
	if names = append(names, columns...); len(names) == 0 { // it is something that nothing else tells
		if e.row.Written > b.since { // … and that the read is too old to tell
			b.doubts = append(b.doubts, store.VerifyItem{Key: op.key, Reason: doubtHand})
			return nil
		}
		if want.Digest == op.Digest {
			want.SetBody(op.body, op.raw)
		}
		want.SignedInAt, want.ActiveAt = op.signedInAt, op.activeAt
		names = []string{}
	}
	want.Altered = false
	*e.row, e.save = want, true
	b.altered[op.key] = names
	b.changes = append(b.changes, store.Change{Key: op.key, Operation: row.OpUpsert, Version: want.Version, Fields: names})
	return nil
}

// doubtAltered queues a verify of a row that something else has written, and that is saved for another reason, such as
// that the user signed in.
func (b *batch) doubtAltered(r *store.Row) {
	if !r.Altered || r.Hidden() {
		return
	}
	parentsFromBody(r) // Clerk finds a membership by its parents
	if Readable(r.Kind) {
		b.doubts = append(b.doubts, store.VerifyItem{Key: r.Key, Reason: doubtHand})
	}
}

// parentsFromBody sets the columns of a row's parents to what its body says of them, where it says anything.
func parentsFromBody(r *store.Row) {
	user, organization := parents(r.Kind, r.Body())
	r.UserID, r.OrganizationID = cmp.Or(user, r.UserID), cmp.Or(organization, r.OrganizationID)
}

// Rehide hides a row that is deleted, and was made visible by something else than clerksync.
func (in *Ingest) Rehide(ctx context.Context, under Under, key store.Key) ([]Difference, error) {
	return in.under(ctx, under, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if err := b.loadRows(ctx, tx, b.want(nil, key)); err != nil {
			return err
		}
		e := b.rows[key]
		if !e.exists || !e.row.Hidden() {
			return nil
		}
		names, err := tx.Altered(ctx, e.row, "locked_until")
		if err != nil || len(names) == 0 {
			return err
		}
		e.save = true
		b.changes = append(b.changes, store.Change{Key: key, Operation: row.OpDelete, Version: e.row.Version, Fields: names})
		b.found = append(b.found, Difference{Key: key, Altered: true, Fields: names, Written: e.row.Written})
		return nil
	})
}

// learnVanished finds out which permissions that roles have lost are deleted here, too: they left the roles by that.
func (b *batch) learnVanished(ctx context.Context, tx *store.Tx, op *operation) error {
	e := b.rows[op.key]
	if op.key.Kind != clerk.KindRole || !e.exists || op.do != upsert {
		return nil
	}
	lost, _ := permissionsLost(e.row.Body(), op.body)
	sights, err := tx.RowMetas(ctx, clerk.KindPermission, lost)
	for id, s := range sights {
		if s.Hidden {
			b.vanished[id] = true
		}
	}
	return err
}

// permissionsLost are the ids of permissions that a role had before and has no more; gained reports whether it has others.
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

// onlyVanished reports whether a role differs in nothing but permissions that are deleted, here as at Clerk. The live view
// does not show them, so that nothing was wrong.
func (b *batch) onlyVanished(before clerk.Value, op *operation, fields []string) bool {
	if op.key.Kind != clerk.KindRole {
		return false
	}
	for _, f := range fields {
		if f != "permissions" && f != "updated_at" {
			return false
		}
	}
	lost, gained := permissionsLost(before, op.body)
	for _, id := range lost {
		if !b.vanished[id] {
			return false
		}
	}
	return len(lost) > 0 && !gained
}
