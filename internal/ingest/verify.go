package ingest

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// queue adds an object to the verify queue.
func (b *batch) queue(key row.Key, reason string) {
	b.effects.Queued = append(b.effects.Queued, row.VerifyItem{Key: key, Reason: reason})
}

// saveVerifyQueue brings the verify queue up to date, after the rows were saved.
func (b *batch) saveVerifyQueue(ctx context.Context, tx *store.Tx) error {
	if err := b.queueBanned(ctx, tx); err != nil {
		return err
	}
	if err := b.queueLate(tx); err != nil {
		return err
	}
	for _, f := range b.reads.byID {
		if err := tx.ClearVerify(ctx, f.key, f.since); err != nil {
			return err
		}
	}
	if err := b.queueRoleKeys(ctx, tx); err != nil {
		return err
	}
	if err := tx.SettleVerify(ctx, b.settled()); err != nil {
		return err
	}
	if err := tx.QueueVerify(ctx, b.effects.Queued); err != nil {
		return err
	}
	return b.parkHidden(ctx, tx)
}

// settled returns the reasons that the rows as they are saved settle. It drops from Queued what was
// settled later in the batch.
func (b *batch) settled() (settled []row.VerifyItem) {
	if len(b.effects.Settled) == 0 {
		return nil
	}
	holds := func(v row.VerifyItem) bool {
		e := b.rows[v.Key]
		return e == nil || converge.Holds(v.Reason, e.row) // nil: a session that meets a ban; its row was not loaded
	}
	for _, v := range b.effects.Settled {
		if !holds(v) {
			settled = append(settled, v)
		}
	}
	b.effects.Queued = slices.DeleteFunc(b.effects.Queued, func(v row.VerifyItem) bool { return !holds(v) })
	return settled
}

// queueBanned queues the sessions that were created in the millisecond of a new ban.
func (b *batch) queueBanned(ctx context.Context, tx *store.Tx) error {
	for _, user := range b.effects.Banned {
		ids, err := tx.SessionsCreatedAt(ctx, user.ID, b.rows[user].row.BannedAt)
		if err != nil {
			return err
		}
		for _, id := range ids {
			b.queue(row.Key{Kind: clerk.KindSession, ID: id}, converge.ReasonBan)
		}
	}
	return nil
}

// queueRoleKeys queues memberships and invitations that carry a key which their role may no longer
// have. An event can be older than the renaming of the role, and a renaming sends no event of the
// members.
func (b *batch) queueRoleKeys(ctx context.Context, tx *store.Tx) error {
	if err := tx.RememberRoleKeys(ctx, b.effects.RoleKeys); err != nil {
		return err
	}
	keys := slices.Clone(b.effects.KeysChanged)
	for _, c := range b.effects.Carriers {
		if key := b.rows[c.Key].row.Body().Get("role").String(); key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	doubtful, err := tx.StaleRoleKeys(ctx, slices.Compact(keys))
	if err != nil {
		return err
	}
	for _, c := range b.effects.Carriers {
		if at, found := doubtful[b.rows[c.Key].row.Body().Get("role").String()]; found && at > c.Since {
			b.queue(c.Key, converge.ReasonRole)
		}
	}
	for _, key := range b.effects.KeysChanged {
		update := tx.SettleRoleKey
		if _, found := doubtful[key]; found {
			update = tx.QueueRoleKey
		}
		if err := update(ctx, key, converge.ReasonRole); err != nil {
			return err
		}
	}
	return nil
}

// parkHidden takes hidden rows off the verify queue, and puts those back that are visible again.
func (b *batch) parkHidden(ctx context.Context, tx *store.Tx) error {
	if err := tx.DropVerify(ctx, b.effects.Tombstoned); err != nil {
		return err
	}
	for _, parent := range b.effects.Turned {
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
	for _, key := range b.effects.Moved {
		children[key.Kind] = append(children[key.Kind], key.ID)
	}
	for _, v := range b.effects.Queued {
		if row.HasParents(v.Key.Kind) {
			children[v.Key.Kind] = append(children[v.Key.Kind], v.Key.ID)
		}
	}
	for kind, ids := range children {
		if err := tx.ParkVerify(ctx, kind, ids); err != nil {
			return err
		}
	}
	return nil
}

// settleListed settles reasons about the keys of roles by a list that was requested after they
// arose. The list proves as much as reads by id, which could take days for the members of a role.
func (b *batch) settleListed(ctx context.Context, tx *store.Tx, p *PreparedPage) error {
	if tx.ReadOnly() || p.Kind != clerk.KindMembership && p.Kind != clerk.KindInvitation {
		return nil
	}
	ops := make(map[string]*converge.Operation, len(p.rows))
	ids := make([]string, len(p.rows))
	for i := range p.rows {
		op := &p.rows[i].object
		ids[i], ops[op.Key.ID] = op.Key.ID, op
	}
	settled, err := tx.SettleListed(ctx, p.Kind, ids, converge.ReasonRole, p.Since)
	for _, id := range settled {
		op := ops[id]
		b.reads.listed = append(b.reads.listed, row.ChangeRef{Key: op.Key, UserID: op.UserID, OrganizationID: op.OrganizationID})
	}
	return err
}
