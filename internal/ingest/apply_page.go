package ingest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// Page is a part of a list as Clerk returned it.
type Page struct {
	Kind       clerk.Kind
	Rows       []clerk.Value
	ObservedAt clerk.Time
	Since      int64    // the head's write counter from before the page was requested
	New        bool     // most rows are expected to be written, and are encoded ahead of the transaction
	Seen       *SeenSet // of the walk that the page belongs to; nil is fine
}

// PreparedPage is a page that was read and waits to be applied.
type PreparedPage struct {
	Page
	rows     []pageRow
	settings int64 // the revision of the settings by which it was read
}

type pageRow struct {
	object   converge.Operation
	exists   bool                 // there is a row of it
	embedded []converge.Operation // made once it is known that the row differs
}

// PreparePage reads a page. It uses nothing that changes, so it can run while the page before is
// applied.
func (in *Ingest) PreparePage(p Page) *PreparedPage {
	rows, settings := make([]pageRow, len(p.Rows)), in.db.Settings().Revision
	for i, object := range p.Rows {
		body, _ := in.Redact(object)
		raw := ""
		if p.New {
			raw = body.JSON()
		}
		key := row.Key{Kind: p.Kind, ID: body.Get("id").String()}
		rows[i].object = converge.FromRead(key, body, raw, p.ObservedAt, p.Since)
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

// Len returns how many objects the page has.
func (p *PreparedPage) Len() int { return len(p.rows) }

// Key returns the key of an object of the page.
func (p *PreparedPage) Key(i int) row.Key { return p.rows[i].object.Key }

// Halves makes two pages of one with at least two objects.
func (p *PreparedPage) Halves() (first, second *PreparedPage) {
	a, b, half := *p, *p, len(p.rows)/2
	a.rows, a.Rows = p.rows[:half:half], p.Rows[:half:half]
	b.rows, b.Rows = p.rows[half:], p.Rows[half:]
	return &a, &b
}

// addEmbedded makes the operations of what a row that differs embeds, except what is known to be
// stored whole.
func (p *PreparedPage) addEmbedded(r *pageRow) {
	if r.object.Raw == "" {
		r.object.Raw = r.object.Body.JSON()
	}
	r.embedded = converge.EmbeddedIn(&r.object, p.Seen.has)
}

// matches reports whether it is enough to note that a row was compared.
func (r *pageRow) matches(s *store.RowDigest) bool {
	op := &r.object
	return s.Rank == row.Full && !s.Hidden && s.Digest == op.Digest && s.Revision == op.Revision &&
		op.SignedInAt <= s.SignedInAt && op.ActiveAt <= s.ActiveAt && op.BannedAt <= s.BannedAt &&
		(op.Provision == nil || op.Provision.Deprovisioned == s.Deprovisioned)
}

// ApplyPage prepares a page and applies it.
func (in *Ingest) ApplyPage(ctx context.Context, p Page, options ApplyOptions) ([]Difference, error) {
	return in.ApplyPrepared(ctx, in.PreparePage(p), options)
}

// ApplyPrepared merges a page in one transaction, by the same rules as events. Of rows that match
// it writes only that they were compared.
func (in *Ingest) ApplyPrepared(ctx context.Context, p *PreparedPage, options ApplyOptions) ([]Difference, error) {
	for i := range p.rows {
		if p.rows[i].object.Key.ID == "" || !p.Kind.Mirrored() {
			return nil, errNoID
		}
	}
	var whole []row.Key
	found, err := in.applyInTx(ctx, options, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if p.settings != tx.Settings().Revision { // other paths may be redacted now
			p = in.PreparePage(p.Page)
		}
		differing, err := b.comparePage(ctx, tx, p)
		if err != nil {
			return fmt.Errorf("compare a page: %w", err)
		}
		tx.Head.HighWater = max(tx.Head.HighWater, p.ObservedAt)
		b.delta.Since = p.Since
		if err := b.settleListed(ctx, tx, p); err != nil {
			return err
		}
		err = b.applyRows(ctx, tx, differing)
		whole = b.whole()
		return err
	})
	if err == nil && !options.DryRun {
		p.Seen.add(whole)
	}
	return found, err
}

// comparePage notes the rows that match and returns the others.
func (b *batch) comparePage(ctx context.Context, tx *store.Tx, p *PreparedPage) (differing []pageRow, err error) {
	ids := make([]string, len(p.rows))
	for i := range p.rows {
		ids[i] = p.rows[i].object.Key.ID
	}
	stored, err := tx.RowDigests(ctx, p.Kind, ids)
	if err != nil {
		return nil, err
	}
	for _, r := range p.rows {
		s, exists := stored[r.object.Key.ID]
		if r.exists = exists; exists && s.Intact && r.matches(&s) {
			b.reads.agreed = append(b.reads.agreed, agreement{r.object.Key, r.object.ObservedAt, r.object.ReadAfter})
			continue
		}
		p.addEmbedded(&r)
		differing = append(differing, r)
	}
	return differing, b.dropKnown(ctx, tx, differing, p.Seen)
}

// dropKnown drops embedded copies of objects that are stored whole: the copies could add nothing.
func (b *batch) dropKnown(ctx context.Context, tx *store.Tx, rows []pageRow, seen *SeenSet) error {
	ids := map[clerk.Kind][]string{}
	for _, r := range rows {
		for _, op := range r.embedded {
			ids[op.Key.Kind] = append(ids[op.Key.Kind], op.Key.ID)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ids)) {
		slices.Sort(ids[kind])
		stored, err := tx.RowMetas(ctx, kind, slices.Compact(ids[kind]))
		if err != nil {
			return err
		}
		for i := range rows {
			// in a copy, because a transaction that fails is tried again with the same rows
			rows[i].embedded = slices.DeleteFunc(slices.Clone(rows[i].embedded), func(op converge.Operation) bool {
				return op.Key.Kind == kind && stored[op.Key.ID].Rank == row.Full
			})
		}
		for id, s := range stored {
			if s.Rank == row.Full {
				seen.add([]row.Key{{Kind: kind, ID: id}})
			}
		}
	}
	return nil
}

func (b *batch) applyRows(ctx context.Context, tx *store.Tx, rows []pageRow) error {
	var keys []row.Key
	var users []string
	for i := range rows {
		if own := b.wantKey(nil, rows[i].object.Key); rows[i].exists {
			keys = append(keys, own...)
		}
		users = privacy.UsersOf(users, &rows[i].object)
		for j := range rows[i].embedded {
			keys = b.wantKey(keys, rows[i].embedded[j].Key)
		}
	}
	if err := b.load(tx, keys, users...); err != nil {
		return err
	}
	for i := range rows {
		if op, ok := b.withoutErased(&rows[i].object); ok {
			if err := b.applyAuthoritative(ctx, tx, op, true); err != nil {
				return err
			}
		}
		for j := range rows[i].embedded {
			if op, ok := b.withoutErased(&rows[i].embedded[j]); ok {
				b.applyOne(op)
			}
		}
	}
	return nil
}
