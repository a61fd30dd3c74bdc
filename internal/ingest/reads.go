package ingest

import (
	"cmp"
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// ApplyOptions say how readings are applied.
type ApplyOptions struct {
	// Lease is the lease under which the readings are applied. They are refused once another
	// process has taken it over. nil: no lease is needed.
	Lease *store.Lease
	// DryRun only reports and writes nothing. A database that can only be read is enough.
	DryRun bool
	// Audit is the entry of an operator's action, which is recorded with the readings. Its Was and
	// Became are set for a role that changed. nil: no operator caused the readings.
	Audit *mirror.AuditEntry
	// Origin is what the feed and the audit say of the changes; empty means that of a read.
	Origin string
	// InTx runs in the same transaction, after the readings; not in a dry run. nil is fine.
	InTx func(context.Context, *store.Tx, []Difference) error
}

// Difference is a row that a reading found to differ from Clerk.
type Difference struct {
	Key       row.Key
	Fields    []string   // names of stable fields; none for a row that was missing here or at Clerk
	New       bool       // there was no row
	Gone      bool       // the row is hidden now: Clerk has no such object
	Back      bool       // the row was hidden and is visible again
	Older     bool       // what Clerk said is older than the row, which stays as it is
	Altered   bool       // something else had written the columns in Fields; none: it is not known which
	Conflict  bool       // Clerk has an object that is a tombstone here; the row stays as it is
	UpdatedAt clerk.Time // as Clerk said it
	Written   int64      // the head's write counter when the row had been written last
}

// reads is what a batch notes while it applies reads.
type reads struct {
	found              []Difference
	agreed             []agreement
	byID               []fence              // of reads by id, which settle the verify queue
	listed             []row.ChangeRef      // what a list settled without another look at the row
	altered            map[row.Key][]string // columns that something else had written, and that are restored
	deletedPermissions map[string]bool      // ids of permissions that roles lost and that are deleted here
}

func newReads() reads {
	return reads{altered: map[row.Key][]string{}, deletedPermissions: map[string]bool{}}
}

// fence is a read by id, and the head's write counter from before it was sent. The read settles
// reasons that are older.
type fence struct {
	key   row.Key
	since int64
}

// agreement is a row that an authoritative read agrees with.
type agreement struct {
	key       row.Key
	at        clerk.Time
	readAfter int64
}

// applyInTx is the transaction of readings.
func (in *Ingest) applyInTx(ctx context.Context, o ApplyOptions, apply func(context.Context, *store.Tx, *batch) error) ([]Difference, error) {
	var b *batch
	transaction := in.db.Update
	if o.DryRun {
		transaction = in.db.View
	}
	err := in.retry(func(context.Context) error {
		return transaction(ctx, func(tx *store.Tx) error {
			b = newBatch(in).within(tx)
			b.origin = cmp.Or(o.Origin, mirror.OriginRead)
			if o.Lease != nil {
				if err := tx.CheckLease(ctx, *o.Lease); err != nil {
					return err
				}
			}
			if err := apply(ctx, tx, b); err != nil || o.DryRun {
				return err
			}
			if o.Audit != nil {
				b.auditAction(*o.Audit)
			}
			if err := b.save(ctx, tx); err != nil {
				return err
			}
			if err := b.saveAgreements(ctx, tx); err != nil || o.InTx == nil {
				return err
			}
			return o.InTx(ctx, tx, b.reads.found)
		})
	})
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		in.onCommit(b.changed())
	}
	return b.reads.found, nil
}

// applyAndCompare applies what Clerk said of an object, and notes what differed here.
func (b *batch) applyAndCompare(op *converge.Operation) {
	e := b.rows[op.Key]
	d := Difference{Key: op.Key, New: !e.exists, UpdatedAt: op.UpdatedAt, Written: e.row.Written}
	d.Conflict = e.row.Tombstoned && !e.row.Erased && op.Action == converge.Upsert
	hidden, changes, body := e.row.Hidden(), len(b.effects.Changes), e.row.Body()
	b.applyOne(op)
	for _, c := range b.effects.Changes[changes:] {
		for _, field := range c.Fields {
			if field != "last_login_at" && field != "last_active_at" && field != "banned_at" { // joined facts
				d.Fields = append(d.Fields, field)
			}
		}
	}
	if b.lostOnlyDeleted(body, op, d.Fields) {
		d.Fields = nil
	}
	names, altered := b.reads.altered[op.Key]
	d.Altered, d.Fields = altered, append(d.Fields, names...)
	d.New = d.New && e.exists && !op.Erased // no event of an erased user was kept
	d.Gone, d.Back = !hidden && e.row.Hidden(), hidden && !e.row.Hidden()
	differs := d.New || d.Gone || d.Back || d.Altered || d.Conflict || len(d.Fields) > 0
	d.Older = !differs && op.UpdatedAt > 0 && op.UpdatedAt < e.row.UpdatedAt && e.row.Rank == row.Full && !e.row.Hidden()
	if differs || d.Older {
		b.reads.found = append(b.reads.found, d)
	}
	switch {
	case !op.Body.Exists() || e.row.Digest != op.Digest || e.row.Hidden():
	case e.save: // its times are those of the version that won
		e.row.VerifiedAt = clerk.TimeOf(b.in.now())
	default:
		b.reads.agreed = append(b.reads.agreed, agreement{op.Key, op.ObservedAt, op.ReadAfter})
	}
}

// saveAgreements notes the rows that reads agreed with, those of one time and kind in one
// statement.
func (b *batch) saveAgreements(ctx context.Context, tx *store.Tx) error {
	type group struct {
		kind      clerk.Kind
		at        clerk.Time
		readAfter int64
	}
	var order []group
	ids := map[group][]string{}
	for _, a := range b.reads.agreed {
		g := group{a.key.Kind, a.at, a.readAfter}
		if ids[g] == nil {
			order = append(order, g)
		}
		ids[g] = append(ids[g], a.key.ID)
	}
	for _, g := range order {
		if err := tx.Verify(ctx, g.kind, ids[g], g.at, g.readAfter, clerk.TimeOf(b.in.now())); err != nil {
			return err
		}
	}
	return nil
}
