package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Reading is what a read from Clerk found, or an object that a caller has in hand.
type Reading struct {
	Key  row.Key
	Body clerk.Value // absent: Clerk answered that there is no such object
	// ObservedAt is fixed before the reading is applied; see [Ingest.ReadFence]. This machine's
	// clock takes no part.
	ObservedAt clerk.Time
	// ByID marks an authoritative read of this one object. It settles the reasons to verify the
	// row, except those that arose after Since.
	ByID  bool
	Since int64
	// Unwritten readings count only if the row was not written after Since. They are for
	// conclusions that take long.
	Unwritten bool
	// Accept sets the row to what was read, even if that is older, because an operator wants it.
	// Nothing else sets a row back.
	Accept bool
	// EndOverrides are the fields whose overrides end with the reading, because Clerk has changed
	// them for us. The transaction must not be a dry run.
	EndOverrides []mirror.OverrideField
	// Deleted says that Clerk confirmed our own deletion. It is permanent.
	Deleted bool
}

// ReadFence returns the fence of a read that is about to begin.
func (in *Ingest) ReadFence(ctx context.Context) (row.ReadFence, error) {
	head, err := in.db.Head(ctx)
	return row.ReadFence{ObservedAt: head.HighWater + 1, Since: head.Writes}, err
}

var errNoID = errors.New("the object has no id")

// Apply merges readings in one transaction, by the same rules as events.
func (in *Ingest) Apply(ctx context.Context, readings ...Reading) error {
	_, err := in.ApplyWith(ctx, ApplyOptions{}, readings...)
	return err
}

// ApplyWith is Apply with options. It returns the rows that differed from Clerk.
func (in *Ingest) ApplyWith(ctx context.Context, options ApplyOptions, readings ...Reading) ([]Difference, error) {
	for _, r := range readings {
		if r.Key.ID == "" || !r.Key.Kind.Mirrored() {
			return nil, errNoID
		}
	}
	return in.applyInTx(ctx, options, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if err := b.applyReadings(ctx, tx, readings); err != nil {
			return fmt.Errorf("apply a reading: %w", err)
		}
		return nil
	})
}

func (b *batch) applyReadings(ctx context.Context, tx *store.Tx, readings []Reading) error {
	keys := make([]row.Key, 0, len(readings))
	for _, r := range readings {
		keys = b.wantKey(keys, r.Key)
	}
	if err := b.load(tx, keys); err != nil {
		return err
	}
	for _, r := range readings {
		if r.Unwritten && b.rows[r.Key].row.Written > r.Since {
			continue // an event or another read changed it since
		}
		if err := b.applyReading(ctx, tx, &r); err != nil {
			return err
		}
		if err := b.endOverrides(ctx, tx, &r); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) applyReading(ctx context.Context, tx *store.Tx, r *Reading) error {
	b.delta.Since = converge.NoRead
	if r.ByID {
		// The read is later than anything that the fence did not count, so that it settles what it
		// was sent to settle. It is not later than what came after its request was sent.
		if seen := b.rows[r.Key].row.SeenAt; r.ObservedAt == 0 || seen > tx.Head.HighWater {
			r.ObservedAt = max(r.ObservedAt, seen+1)
		}
		b.reads.byID = append(b.reads.byID, fence{r.Key, r.Since})
		b.delta.Since = r.Since
	}
	ops := b.in.operationsOf(r)
	if err := b.loadFor(tx, ops); err != nil {
		return err
	}
	for i := range ops {
		op := &ops[i]
		if r.ByID { // an object in hand says its own time, which may be forged
			tx.Head.HighWater = max(tx.Head.HighWater, op.ObservedAt, op.At)
		}
		kept, ok := b.withoutErased(op)
		switch {
		case !ok: // Clerk still has a user who was erased here
		case op.Key != r.Key:
			b.applyOne(kept)
		default:
			if err := b.applyAuthoritative(ctx, tx, kept, r.ByID && op.Action == converge.Upsert); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadFor loads the rows that operations need, and which of their users were erased.
func (b *batch) loadFor(tx *store.Tx, ops []converge.Operation) error {
	var users []string
	for i := range ops {
		users = privacy.UsersOf(users, &ops[i])
	}
	return b.load(tx, b.want(nil, ops), users...)
}

// applyOne merges one operation of a read.
func (b *batch) applyOne(op *converge.Operation) {
	b.delta.Apply(op)
	b.merge()
}

// applyAuthoritative applies what Clerk said of an object, and notes what differed here. With
// restore it first restores what something other than clerksync has written.
func (b *batch) applyAuthoritative(ctx context.Context, tx *store.Tx, op *converge.Operation, restore bool) error {
	if restore {
		if err := b.restore(ctx, tx, op); err != nil {
			return err
		}
		if err := b.findDeletedPermissions(ctx, tx, op); err != nil {
			return err
		}
	}
	b.applyAndCompare(op)
	return nil
}

func (in *Ingest) operationsOf(r *Reading) []converge.Operation {
	switch {
	case r.Deleted:
		return []converge.Operation{{Key: r.Key, Action: converge.Tombstone, At: r.ObservedAt}}
	case !r.Body.Exists():
		return []converge.Operation{{Key: r.Key, Action: converge.NotFound, At: r.ObservedAt, Read: true}}
	}
	var readAfter int64
	if r.ByID && !r.Unwritten { // else Since is not from before the read
		readAfter = r.Since
	}
	body, _ := in.Redact(r.Body)
	object := converge.FromRead(r.Key, body, body.JSON(), r.ObservedAt, readAfter)
	ops := append([]converge.Operation{object}, converge.EmbeddedIn(&object, nil)...)
	if r.Accept {
		ops[0].Action = converge.Accept
	}
	return ops
}

// QueueVerify queues objects to be read from Clerk, because a look-up of them was ambiguous.
func (in *Ingest) QueueVerify(ctx context.Context, keys ...row.Key) error {
	return in.queueVerify(ctx, converge.ReasonAmbiguous, keys, func(*store.Tx) error { return nil })
}

// Record audits an operator's action that failed or changed no row, and queues objects to be read
// from Clerk that may have changed there.
func (in *Ingest) Record(ctx context.Context, e mirror.AuditEntry, verify ...row.Key) error {
	return in.queueVerify(ctx, converge.ReasonWrite, verify, func(tx *store.Tx) error {
		return tx.AppendAudit(ctx, []mirror.AuditEntry{e})
	})
}

func (in *Ingest) queueVerify(ctx context.Context, reason string, keys []row.Key, also func(*store.Tx) error) error {
	refs := make([]row.ChangeRef, len(keys))
	err := in.db.Update(ctx, func(tx *store.Tx) error {
		items := make([]row.VerifyItem, len(keys))
		for i, k := range keys {
			items[i], refs[i] = row.VerifyItem{Key: k, Reason: reason}, (&row.Row{Key: k}).Ref()
		}
		return errors.Join(tx.QueueVerify(ctx, items), also(tx))
	})
	if err == nil {
		in.onCommit(refs)
	}
	return err
}
