package ingest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// Under says under which conditions readings are applied.
type Under struct {
	Lease  *store.Lease // refused once it was taken over; nil: whoever asks
	DryRun bool         // nothing is written, only reported; a database that can only be read is enough
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
	Older     bool       // what Clerk told is older than the row, which stays as it is
	Altered   bool       // something else had written the columns that Fields names; none: which is not known
	Conflict  bool       // Clerk has what is permanently deleted here; the row stays as it is
	UpdatedAt clerk.Time // as Clerk told it
	Written   int64      // the head's write counter when the row had been written last
}

// Page is a part of a list as Clerk answered it.
type Page struct {
	Kind       clerk.Kind
	Rows       []clerk.Value
	ObservedAt clerk.Time
	Since      int64  // the head's write counter from before the page was asked for
	New        bool   // most rows are expected to be written, and are encoded ahead of the transaction
	Known      *Known // of the walk that the page belongs to; nil is fine
}

// PreparedPage is a page that was read and waits to be applied.
type PreparedPage struct {
	Page
	rows     []pageRow
	settings int64 // the revision of the settings by which it was read
}

// pageRow is one row of a page.
type pageRow struct {
	whole operation
	known bool        // there is a row of it
	stubs []operation // of what is embedded in it, once it is known that the row differs
}

// PreparePage reads a page. It uses nothing that changes, so that it can run while the page before is applied.
func (in *Ingest) PreparePage(p Page) *PreparedPage {
	rows, settings := make([]pageRow, len(p.Rows)), in.db.Settings().Revision
	for i, row := range p.Rows {
		s := sighting{observedAt: p.ObservedAt, read: true, readAfter: p.Since}
		body, _ := in.redact(row)
		raw := ""
		if p.New {
			raw = body.JSON()
		}
		rows[i].whole = s.whole(p.Kind, body.Get("id").String(), body, raw)
	}
	return &PreparedPage{p, rows, settings}
}

// Join makes one page of the pages of one list, in their order, to be applied in one transaction.
func Join(pages ...*PreparedPage) *PreparedPage {
	all := *pages[0]
	for _, p := range pages[1:] {
		all.rows, all.Rows = append(all.rows, p.rows...), append(slices.Clip(all.Rows), p.Rows...)
		all.settings = min(all.settings, p.settings)
		all.ObservedAt, all.Since = max(all.ObservedAt, p.ObservedAt), min(all.Since, p.Since)
	}
	return &all
}

// embedded makes the stubs of what a row that differs embeds, unless that is known.
func (p *PreparedPage) embedded(r *pageRow) {
	if r.whole.raw == "" {
		r.whole.raw = r.whole.body.JSON()
	}
	s := sighting{observedAt: r.whole.ObservedAt, read: true, known: p.Known.has}
	s.embedded(p.Kind, r.whole.key.ID, r.whole.body)
	r.stubs = s.ops
}

// agrees reports whether a row needs no more than a note that it was compared.
func (r *pageRow) agrees(s *store.RowDigest) bool {
	op := &r.whole
	return s.Rank == row.Full && !s.Hidden && s.Digest == op.Digest && s.Revision == op.Revision &&
		op.signedInAt <= s.SignedInAt && op.activeAt <= s.ActiveAt && op.bannedAt <= s.BannedAt &&
		(op.provision == nil || op.provision.Deprovisioned == s.Deprovisioned)
}

// ApplyPage prepares a page and applies it.
func (in *Ingest) ApplyPage(ctx context.Context, p Page, under Under) ([]Difference, error) {
	return in.ApplyPrepared(ctx, in.PreparePage(p), under)
}

// ApplyPrepared merges a page, in one transaction, by the same rules as events. Rows that agree with it are not written
// again: only that they were compared is noted.
func (in *Ingest) ApplyPrepared(ctx context.Context, p *PreparedPage, under Under) ([]Difference, error) {
	for i := range p.rows {
		if p.rows[i].whole.key.ID == "" || !p.Kind.Mirrored() {
			return nil, errNoID
		}
	}
	var whole []store.Key
	found, err := in.under(ctx, under, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if p.settings != tx.Settings().Revision { // what is redacted may be another thing now
			p = in.PreparePage(p.Page)
		}
		differing, err := b.compare(ctx, tx, p)
		if err != nil {
			return fmt.Errorf("compare a page: %w", err)
		}
		tx.Head.HighWater = max(tx.Head.HighWater, p.ObservedAt)
		b.since = p.Since
		if err := b.settleListed(ctx, tx, p); err != nil {
			return err
		}
		err = b.applyRows(ctx, tx, differing)
		whole = b.whole()
		return err
	})
	if err == nil && !under.DryRun {
		p.Known.add(whole)
	}
	return found, err
}

// under is the transaction of readings.
func (in *Ingest) under(ctx context.Context, u Under, apply func(context.Context, *store.Tx, *batch) error) ([]Difference, error) {
	var b *batch
	transaction := in.db.Update
	if u.DryRun {
		transaction = in.db.View
	}
	err := in.try(func(context.Context) error {
		return transaction(ctx, func(tx *store.Tx) error {
			b = newBatch(in, tx)
			if u.Lease != nil {
				if err := tx.CheckLease(ctx, *u.Lease); err != nil {
					return err
				}
			}
			if err := apply(ctx, tx, b); err != nil || u.DryRun {
				return err
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
	if err != nil {
		return nil, err
	}
	if u.DryRun {
		return b.found, nil
	}
	in.tell(b.touched())
	return b.found, nil
}

// compare notes the rows that agree and answers the others.
func (b *batch) compare(ctx context.Context, tx *store.Tx, p *PreparedPage) (differing []pageRow, err error) {
	ids := make([]string, len(p.rows))
	for i := range p.rows {
		ids[i] = p.rows[i].whole.key.ID
	}
	sights, err := tx.RowDigests(ctx, p.Kind, ids)
	if err != nil {
		return nil, err
	}
	for _, r := range p.rows {
		s, known := sights[r.whole.key.ID]
		if r.known = known; known && s.Intact && r.agrees(&s) {
			b.agreed = append(b.agreed, agreement{r.whole.key, r.whole.ObservedAt, r.whole.readAfter})
			continue
		}
		p.embedded(&r)
		differing = append(differing, r)
	}
	return differing, b.dropStubs(ctx, tx, differing, p.Known)
}

// dropStubs leaves out copies of what is known whole: they could add nothing.
func (b *batch) dropStubs(ctx context.Context, tx *store.Tx, rows []pageRow, known *Known) error {
	ids := map[clerk.Kind][]string{}
	for _, r := range rows {
		for _, op := range r.stubs {
			ids[op.key.Kind] = append(ids[op.key.Kind], op.key.ID)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ids)) {
		slices.Sort(ids[kind])
		sights, err := tx.RowMetas(ctx, kind, slices.Compact(ids[kind]))
		if err != nil {
			return err
		}
		for i := range rows {
			// in a copy: a transaction that fails is tried again with the same rows
			rows[i].stubs = slices.DeleteFunc(slices.Clone(rows[i].stubs), func(op operation) bool {
				return op.key.Kind == kind && sights[op.key.ID].Rank == row.Full
			})
		}
		for id, s := range sights {
			if s.Rank == row.Full {
				known.add([]store.Key{{Kind: kind, ID: id}})
			}
		}
	}
	return nil
}

func (b *batch) applyRows(ctx context.Context, tx *store.Tx, rows []pageRow) error {
	var keys []store.Key
	var persons []string
	for i := range rows {
		if mine := b.want(nil, rows[i].whole.key); rows[i].known {
			keys = append(keys, mine...)
		}
		persons = rows[i].whole.persons(persons)
		for j := range rows[i].stubs {
			keys = b.want(keys, rows[i].stubs[j].key)
		}
	}
	if err := b.loadRows(ctx, tx, keys); err != nil {
		return err
	}
	if err := b.learnErased(ctx, tx, persons); err != nil {
		return err
	}
	b.origin = "read"
	for i := range rows {
		if err := b.restore(ctx, tx, &rows[i].whole); err != nil {
			return err
		}
		if err := b.learnVanished(ctx, tx, &rows[i].whole); err != nil {
			return err
		}
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
	op, ok := b.spare(op, e.row)
	if !ok {
		return // Clerk still has who was erased here
	}
	d := Difference{Key: op.key, New: !e.exists, UpdatedAt: op.UpdatedAt, Written: e.row.Written}
	d.Conflict = e.row.Tombstoned && !e.row.Erased && op.do == upsert
	hidden, changes, body := e.row.Hidden(), len(b.changes), e.row.Body()
	b.apply(op)
	for _, c := range b.changes[changes:] {
		for _, field := range c.Fields {
			if field != "last_login_at" && field != "last_active_at" && field != "banned_at" { // joined: no event need tell
				d.Fields = append(d.Fields, field)
			}
		}
	}
	if b.onlyVanished(body, op, d.Fields) {
		d.Fields = nil
	}
	names, altered := b.altered[op.key]
	d.Altered, d.Fields = altered, append(d.Fields, names...)
	d.New = d.New && e.exists && !op.erased // of somebody who was erased no event was kept
	d.Gone, d.Back = !hidden && e.row.Hidden(), hidden && !e.row.Hidden()
	differs := d.New || d.Gone || d.Back || d.Altered || d.Conflict || len(d.Fields) > 0
	d.Older = !differs && op.UpdatedAt > 0 && op.UpdatedAt < e.row.UpdatedAt && e.row.Rank == row.Full && !e.row.Hidden()
	if differs || d.Older {
		b.found = append(b.found, d)
	}
	switch {
	case !op.body.Exists() || e.row.Digest != op.Digest || e.row.Hidden():
	case e.save: // its times are those of the version that won
		e.row.VerifiedAt = clerk.TimeOf(b.in.now())
	default:
		b.agreed = append(b.agreed, agreement{op.key, op.ObservedAt, op.readAfter})
	}
}

// agreement is a row that an authoritative read agrees with.
type agreement struct {
	key       store.Key
	at        clerk.Time
	readAfter int64
}

// verified notes the agreements, those of one time and kind at once.
func (b *batch) verified(ctx context.Context, tx *store.Tx) error {
	type group struct {
		kind      clerk.Kind
		at        clerk.Time
		readAfter int64
	}
	var order []group
	ids := map[group][]string{}
	for _, a := range b.agreed {
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
