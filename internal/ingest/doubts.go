package ingest

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// Readable reports whether Clerk tells one object of the kind by id. Only those can be in the verify queue.
func Readable(kind clerk.Kind) bool {
	switch kind {
	case clerk.KindUser, clerk.KindSession, clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation:
		return true
	default:
		return false
	}
}

// noRead is the write counter of what is no read from Clerk: it is older than every write.
const noRead = -1

// roleNews is what a batch brings that bears on the keys of roles.
type roleNews struct {
	seen     []store.KeyOfRole // keys that versions of roles had, also of versions that lost
	changed  []string          // keys of roles that may mean something else now
	carriers []carrier         // memberships and invitations that were written
}

// carrier is a row that carries the key of a role.
type carrier struct {
	key   store.Key
	since int64 // the head's write counter before the read of the row was sent
}

// note records what one operation made of a row.
func (n *roleNews) note(op *operation, before, after *store.Row, written bool, since int64) {
	switch op.key.Kind {
	case clerk.KindRole:
		said := op.body.Get("key").String()
		if said != "" {
			n.seen = append(n.seen, store.KeyOfRole{RoleID: op.key.ID, Key: said})
		}
		for _, key := range []string{said, before.Body().Get("key").String(), after.Body().Get("key").String()} {
			if key = row.RoleKey(key); key != "" && !slices.Contains(n.changed, key) {
				n.changed = append(n.changed, key)
			}
		}
	case clerk.KindMembership, clerk.KindInvitation:
		if written && !after.Hidden() {
			n.carriers = append(n.carriers, carrier{op.key, since})
		}
	default: // carries none
	}
}

// parentNews is what a batch brings that bears on which rows are hidden by others.
type parentNews struct {
	turned []store.Key // users and organizations that were hidden, or shown again
	moved  []store.Key // rows that got another parent
	gone   []store.Key // rows that were deleted permanently
}

func (n *parentNews) note(before *store.Row, existed bool, after *store.Row) {
	was := existed && before.Hidden()
	died := after.Tombstoned && !before.Tombstoned
	if died {
		n.gone = append(n.gone, after.Key)
	}
	switch {
	case after.Kind == clerk.KindUser || after.Kind == clerk.KindOrganization:
		if was != after.Hidden() || died {
			n.turned = append(n.turned, after.Key)
		}
	case existed && (before.UserID != after.UserID || before.OrganizationID != after.OrganizationID) && row.HasParents(after.Kind):
		n.moved = append(n.moved, after.Key)
	}
}

// saveDoubts brings the verify queue up to date. It is for after the rows were saved.
func (b *batch) saveDoubts(ctx context.Context, tx *store.Tx) error {
	for _, c := range b.cleared {
		if err := tx.ClearVerify(ctx, c.key, c.since); err != nil {
			return err
		}
	}
	if err := b.doubtRoleKeys(ctx, tx); err != nil {
		return err
	}
	if err := tx.SettleVerify(ctx, b.settledOnly()); err != nil {
		return err
	}
	if err := tx.QueueVerify(ctx, b.doubts); err != nil {
		return err
	}
	return b.parkHidden(ctx, tx)
}

// doubtRoleKeys doubts what carries a key that its role may have no longer: an event may be older than the renaming of the
// role, which sends no event of its members.
func (b *batch) doubtRoleKeys(ctx context.Context, tx *store.Tx) error {
	if err := tx.RememberRoleKeys(ctx, b.roles.seen); err != nil {
		return err
	}
	keys := slices.Clone(b.roles.changed)
	for _, c := range b.roles.carriers {
		if key := b.rows[c.key].row.Body().Get("role").String(); key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	doubtful, err := tx.DoubtfulRoleKeys(ctx, slices.Compact(keys))
	if err != nil {
		return err
	}
	for _, c := range b.roles.carriers {
		if at, doubt := doubtful[b.rows[c.key].row.Body().Get("role").String()]; doubt && at > c.since {
			b.doubts = append(b.doubts, store.VerifyItem{Key: c.key, Reason: doubtRole})
		}
	}
	for _, key := range b.roles.changed {
		settle := tx.SettleRoleKey
		if _, doubt := doubtful[key]; doubt {
			settle = tx.QueueRoleKey
		}
		if err := settle(ctx, key, doubtRole); err != nil {
			return err
		}
	}
	return nil
}

// parkHidden takes off the verify queue what is hidden, and puts back what is shown again.
func (b *batch) parkHidden(ctx context.Context, tx *store.Tx) error {
	if err := tx.DropVerify(ctx, b.parents.gone); err != nil {
		return err
	}
	for _, parent := range b.parents.turned {
		var err error
		if r := b.rows[parent].row; r.Hidden() {
			err = tx.ParkChildren(ctx, parent, r.Tombstoned)
		} else {
			err = tx.UnparkChildren(ctx, parent)
		}
		if err != nil {
			return err
		}
	}
	children := map[clerk.Kind][]string{}
	for _, key := range b.parents.moved {
		children[key.Kind] = append(children[key.Kind], key.ID)
	}
	for _, d := range b.doubts {
		if row.HasParents(d.Key.Kind) {
			children[d.Key.Kind] = append(children[d.Key.Kind], d.Key.ID)
		}
	}
	for kind, ids := range children {
		if err := tx.ParkVerify(ctx, kind, ids); err != nil {
			return err
		}
	}
	return nil
}

// settleListed settles doubts about the keys of roles by a list. It was asked for after the doubt arose, so that it is as
// good as a read by id, which could take days for the members of a role.
func (b *batch) settleListed(ctx context.Context, tx *store.Tx, p *PreparedPage) error {
	if tx.ReadOnly() || p.Kind != clerk.KindMembership && p.Kind != clerk.KindInvitation {
		return nil
	}
	of := make(map[string]*operation, len(p.rows))
	ids := make([]string, len(p.rows))
	for i := range p.rows {
		op := &p.rows[i].whole
		ids[i], of[op.key.ID] = op.key.ID, op
	}
	settled, err := tx.SettleListed(ctx, p.Kind, ids, doubtRole, p.Since)
	for _, id := range settled {
		op := of[id]
		b.listed = append(b.listed, store.ChangeRef{Key: op.key, UserID: op.user, OrganizationID: op.company})
	}
	return err
}

// doubtsTouched is what has to be forgotten by those who keep copies, though no row was written: what a list settled, and
// all that hangs on roles where the meaning of a key changed.
func (b *batch) doubtsTouched() []store.ChangeRef {
	if len(b.roles.changed) == 0 {
		return b.listed
	}
	return append(b.listed, store.ChangeRef{Key: store.Key{Kind: clerk.KindRole}})
}
