package ingest

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// An event may come long after what it tells of: the object may be deleted at Clerk by then, and the event of its deletion
// lost. A walk in between did not find the object and had no row to remove. So what an event brings into the mirror after
// such a walk is read from Clerk once, unless the event is younger than the start of the walk.

// appeared notes an object that an operation made visible and that Clerk was not asked for.
func (b *batch) appeared(before *store.Row, existed bool, op *operation, stored *store.Row) {
	switch {
	case op.do != upsert || op.Rank < row.Full || op.readAfter > 0 || stored.Hidden():
	case existed && before.Hidden():
		b.revived[op.key] = true
		b.shown = append(b.shown, op.key)
	case !existed || before.Stub():
		b.shown = append(b.shown, op.key)
	}
}

// doubtLateOnes queues a verify of those that the last whole walk should have brought. Objects that Clerk tells by no id
// wait for the next walk: until then they are unaccounted for.
func (b *batch) doubtLateOnes(ctx context.Context, tx *store.Tx) error {
	if len(b.shown) == 0 {
		return nil
	}
	walks, err := tx.WholeWalks(ctx)
	if err != nil {
		return err
	}
	for _, key := range b.shown {
		start, walked := walks[string(key.Kind)]
		stored := b.rows[key].row
		if !walked || key.Kind == clerk.KindDomain || stored.Hidden() {
			continue
		}
		if b.revived[key] || !start.Proves(stored.ReadAfter, stored.SeenAt) {
			b.doubts = append(b.doubts, store.VerifyItem{Key: key, Reason: doubtLate})
		}
	}
	return nil
}
