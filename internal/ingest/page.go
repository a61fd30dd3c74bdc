package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Under says under which conditions readings are applied.
type Under struct {
	Lease  *store.Lease // refused once it was taken over; nil: whoever asks
	DryRun bool         // nothing is written, only reported
	// Also runs in the same transaction, after the readings; not in a dry run. nil is fine.
	Also func(context.Context, *store.Tx, []Difference) error
}

// Difference is a row that a reading found to differ from Clerk.
type Difference struct {
	Key       store.Key
	Fields    []string   // names of stable fields; none for a row that was missing or too much
	New       bool       // there was no row
	Gone      bool       // the row is hidden now: Clerk has no such object
	Back      bool       // … or was, and is shown again
	UpdatedAt clerk.Time // as Clerk told it
}

// Page is a part of a list as Clerk answered it.
type Page struct {
	Kind       clerk.Kind
	Rows       []clerk.Value
	ObservedAt clerk.Time
}

// errDryRun takes back what a dry run has done.
var errDryRun = errors.New("dry run")

// pageRow is one row of a page, read before the transaction begins.
type pageRow struct {
	whole operation
	stubs []operation // of what is embedded in it
}

func (p *Page) read() []pageRow {
	rows := make([]pageRow, len(p.Rows))
	for i, row := range p.Rows {
		s := sighting{observedAt: p.ObservedAt, read: true}
		body, _ := redact(row)
		s.full(p.Kind, body.Get("id").String(), body, body.JSON())
		rows[i] = pageRow{s.ops[0], s.ops[1:]}
	}
	return rows
}

// agrees reports whether a row needs no more than a note that it was compared.
func (r *pageRow) agrees(s store.Sight) bool {
	op := &r.whole
	return s.Rank == store.Full && !s.Hidden && s.Digest == op.Digest && s.Revision == op.Revision &&
		op.signedInAt <= s.SignedInAt && op.activeAt <= s.ActiveAt && op.bannedAt <= s.BannedAt
}

// ApplyPage merges a page, in one transaction, by the same rules as events. Rows that agree with it are not written
// again: only that they were compared is noted.
func (in *Ingest) ApplyPage(ctx context.Context, p Page, under Under) (found []Difference, err error) {
	rows := p.read()
	for i := range rows {
		if rows[i].whole.key.ID == "" || !p.Kind.Mirrored() {
			return nil, errNoID
		}
	}
	return in.under(ctx, under, func(ctx context.Context, tx *store.Tx, b *batch) error {
		differing, err := b.compare(ctx, tx, p, rows)
		if err != nil {
			return fmt.Errorf("compare a page: %w", err)
		}
		tx.Head.HighWater = max(tx.Head.HighWater, p.ObservedAt)
		return b.applyRows(ctx, tx, differing)
	})
}

// under is the transaction of readings.
func (in *Ingest) under(ctx context.Context, u Under, apply func(context.Context, *store.Tx, *batch) error) ([]Difference, error) {
	var b *batch
	err := in.try(func(context.Context) error {
		return in.db.Update(ctx, func(tx *store.Tx) error {
			b = newBatch(in)
			if u.Lease != nil {
				if err := tx.CheckLease(ctx, *u.Lease); err != nil {
					return err
				}
			}
			if err := apply(ctx, tx, b); err != nil {
				return err
			}
			if u.DryRun {
				return errDryRun
			}
			if err := b.save(ctx, tx); err != nil {
				return err
			}
			if err := b.verified(ctx, tx); err != nil || u.Also == nil {
				return err
			}
			return u.Also(ctx, tx, b.found)
		})
	})
	if u.DryRun && errors.Is(err, errDryRun) {
		return b.found, nil
	}
	if err != nil {
		return nil, err
	}
	in.tell(b.touched())
	return b.found, nil
}

// compare notes the rows that agree and answers the others.
func (b *batch) compare(ctx context.Context, tx *store.Tx, p Page, rows []pageRow) (differing []pageRow, err error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].whole.key.ID
	}
	sights, err := tx.Sights(ctx, p.Kind, ids)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if s, known := sights[r.whole.key.ID]; known && r.agrees(s) {
			b.agreed = append(b.agreed, agreement{r.whole.key, p.ObservedAt})
			continue
		}
		differing = append(differing, r)
	}
	return differing, b.dropStubs(ctx, tx, differing)
}

// dropStubs leaves out copies of what is known whole: they could add nothing.
func (b *batch) dropStubs(ctx context.Context, tx *store.Tx, rows []pageRow) error {
	ids := map[clerk.Kind][]string{}
	for _, r := range rows {
		for _, op := range r.stubs {
			ids[op.key.Kind] = append(ids[op.key.Kind], op.key.ID)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ids)) {
		slices.Sort(ids[kind])
		sights, err := tx.Sights(ctx, kind, slices.Compact(ids[kind]))
		if err != nil {
			return err
		}
		for i := range rows {
			// in a copy: a transaction that fails is tried again with the same rows
			rows[i].stubs = slices.DeleteFunc(slices.Clone(rows[i].stubs), func(op operation) bool {
				return op.key.Kind == kind && sights[op.key.ID].Rank == store.Full
			})
		}
	}
	return nil
}

func (b *batch) applyRows(ctx context.Context, tx *store.Tx, rows []pageRow) error {
	var keys []store.Key
	for i := range rows {
		keys = b.want(keys, rows[i].whole.key)
		for j := range rows[i].stubs {
			keys = b.want(keys, rows[i].stubs[j].key)
		}
	}
	if err := b.loadRows(ctx, tx, keys); err != nil {
		return err
	}
	b.origin = "read"
	for i := range rows {
		b.report(&rows[i].whole)
		for j := range rows[i].stubs {
			b.apply(&rows[i].stubs[j])
		}
	}
	return nil
}

// report applies what Clerk said of an object, and notes what was otherwise here.
func (b *batch) report(op *operation) {
	e := b.rows[op.key]
	d := Difference{Key: op.key, New: !e.exists, UpdatedAt: op.UpdatedAt}
	hidden, changes := e.row.Hidden(), len(b.changes)
	b.apply(op)
	for _, c := range b.changes[changes:] {
		for _, field := range c.Fields {
			if field != "last_login_at" && field != "last_active_at" && field != "banned_at" { // joined: no event need tell
				d.Fields = append(d.Fields, field)
			}
		}
	}
	d.New = d.New && e.exists
	d.Gone, d.Back = !hidden && e.row.Hidden(), hidden && !e.row.Hidden()
	if d.New || d.Gone || d.Back || len(d.Fields) > 0 {
		b.found = append(b.found, d)
	}
	if op.do == upsert && e.row.Digest == op.Digest && !e.row.Hidden() {
		b.agreed = append(b.agreed, agreement{op.key, op.ObservedAt})
	}
}

// agreement is a row that an authoritative read agrees with.
type agreement struct {
	key store.Key
	at  clerk.Time
}

// verified notes the agreements, those of one time and kind at once.
func (b *batch) verified(ctx context.Context, tx *store.Tx) error {
	type group struct {
		kind clerk.Kind
		at   clerk.Time
	}
	var order []group
	ids := map[group][]string{}
	for _, a := range b.agreed {
		g := group{a.key.Kind, a.at}
		if ids[g] == nil {
			order = append(order, g)
		}
		ids[g] = append(ids[g], a.key.ID)
	}
	for _, g := range order {
		if err := tx.Verify(ctx, g.kind, ids[g], g.at, clerk.At(b.in.now())); err != nil {
			return err
		}
	}
	return nil
}
