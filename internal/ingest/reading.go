package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Reading is what a read from Clerk found, or an object that a caller has in hand.
type Reading struct {
	Key  store.Key
	Body clerk.Value // absent: Clerk answered that there is no such object
	// ObservedAt is fixed before the reading is applied; see [Ingest.Horizon]. Our own
	// clock never takes part.
	ObservedAt clerk.Time
	// ByID tells an authoritative read of this one object: it settles what the row was in
	// doubt about, unless the doubt arose after Since.
	ByID  bool
	Since int64
	// Unwritten readings count only if the row was not written after Since: for what takes long to be sure of.
	Unwritten bool
	// Accept tells that a person wants the row to be what was read, though it is older: no rule but this one sets a row back.
	Accept bool
	// Deleted tells that Clerk confirmed our own deletion: for ever.
	Deleted bool
}

// Horizon is what a read must remember from before its request is sent.
type Horizon struct {
	ObservedAt clerk.Time // the least time at which the read can have observed anything
	Since      int64      // the head's write counter
}

// Horizon answers the horizon of a read that is about to begin: everything applied so far
// is older than what the read will see.
func (in *Ingest) Horizon(ctx context.Context) (Horizon, error) {
	head, err := in.db.Head(ctx)
	return Horizon{ObservedAt: head.HighWater + 1, Since: head.Writes}, err
}

// errNoID says that an object has no id.
var errNoID = errors.New("the object has no id")

// Apply merges readings, all in one transaction, by the same rules as events.
func (in *Ingest) Apply(ctx context.Context, readings ...Reading) error {
	_, err := in.ApplyUnder(ctx, Under{}, readings...)
	return err
}

// ApplyUnder is Apply under conditions; it tells what was otherwise here.
func (in *Ingest) ApplyUnder(ctx context.Context, under Under, readings ...Reading) ([]Difference, error) {
	for _, r := range readings {
		if r.Key.ID == "" || !r.Key.Kind.Mirrored() {
			return nil, errNoID
		}
	}
	return in.under(ctx, under, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if err := b.read(ctx, tx, readings); err != nil {
			return fmt.Errorf("apply a reading: %w", err)
		}
		return nil
	})
}

func (b *batch) read(ctx context.Context, tx *store.Tx, readings []Reading) error {
	keys := make([]store.Key, 0, len(readings))
	for _, r := range readings {
		keys = b.want(keys, r.Key)
	}
	if err := b.loadRows(ctx, tx, keys); err != nil {
		return err
	}
	b.origin = "read"
	for _, r := range readings {
		if r.Unwritten && b.rows[r.Key].row.Written > r.Since {
			continue // it was heard of since
		}
		if r.ByID {
			// later than any sight of this object that the horizon did not count, so that it settles what it was sent to settle;
			// but not later than one that came after its request was sent
			if seen := b.rows[r.Key].row.SeenAt; r.ObservedAt == 0 || seen > tx.Head.HighWater {
				r.ObservedAt = max(r.ObservedAt, seen+1)
			}
			b.cleared = append(b.cleared, cleared{r.Key, r.Since})
		}
		if b.since = noRead; r.ByID {
			b.since = r.Since
		}
		ops := b.in.operations(&r)
		keys = keys[:0]
		var persons []string
		for i := range ops {
			persons = ops[i].persons(persons)
			keys = b.want(keys, ops[i].key)
			if ops[i].key.Kind == clerk.KindSession && ops[i].user != "" {
				keys = b.want(keys, store.Key{Kind: clerk.KindUser, ID: ops[i].user})
			}
		}
		if err := b.loadRows(ctx, tx, keys); err != nil {
			return err
		}
		if err := b.learnErased(ctx, tx, persons); err != nil {
			return err
		}
		for i := range ops {
			if ops[i].key == r.Key {
				if err := b.compareOne(ctx, tx, &r, &ops[i]); err != nil {
					return err
				}
				b.report(&ops[i])
			} else {
				b.apply(&ops[i])
			}
			if r.ByID { // an object in hand tells its own time, which may be forged
				tx.Head.HighWater = max(tx.Head.HighWater, ops[i].ObservedAt, ops[i].at) // at: of an absence
			}
		}
	}
	return nil
}

// compareOne does for a read of one object what a page has done with all of its rows.
func (b *batch) compareOne(ctx context.Context, tx *store.Tx, r *Reading, op *operation) error {
	if !r.ByID || op.do != upsert {
		return nil
	}
	if err := b.restore(ctx, tx, op); err != nil {
		return err
	}
	return b.learnVanished(ctx, tx, op)
}

func (in *Ingest) operations(r *Reading) []operation {
	switch {
	case r.Deleted:
		return []operation{{key: r.Key, do: tombstone, at: r.ObservedAt}}
	case !r.Body.Exists():
		return []operation{{key: r.Key, do: absence, at: r.ObservedAt, read: true}}
	}
	s := sighting{observedAt: r.ObservedAt, read: true}
	if r.ByID && !r.Unwritten { // else Since is not from before the read
		s.readAfter = r.Since
	}
	body, _ := in.redact(r.Body)
	s.full(r.Key.Kind, r.Key.ID, body, body.JSON())
	if r.Accept {
		s.ops[0].do = acceptance
	}
	return s.ops
}

// Doubt queues a verify of objects whose look-up was ambiguous.
func (in *Ingest) Doubt(ctx context.Context, keys ...store.Key) error {
	touched := make([]store.ChangeRef, len(keys))
	err := in.db.Update(ctx, func(tx *store.Tx) error {
		doubts := make([]store.VerifyItem, len(keys))
		for i, k := range keys {
			doubts[i], touched[i] = store.VerifyItem{Key: k, Reason: doubtClash}, (&store.Row{Key: k}).Ref()
		}
		return tx.QueueVerify(ctx, doubts)
	})
	if err == nil {
		in.tell(touched)
	}
	return err
}
