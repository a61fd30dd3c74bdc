package ingest

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// batch is the work of one transaction: it loads rows once, merges events in memory in the order of
// arrival, and saves once.
type batch struct {
	in    *Ingest
	rows  map[row.Key]*entry
	order []row.Key // of first touch, so that both engines write in the same order

	delta   *converge.Delta  // of the event or read that is being applied
	effects converge.Effects // of all events and reads that succeeded
	origin  string           // of what is being applied, for the feed and the audit
	audits  []mirror.AuditEntry

	inbox   inbox
	walks   map[string]store.Start         // the last complete ones; nil: not asked for yet
	erased  privacy.UserIDs                // users who were erased before
	toErase map[string]mirror.ErasureCause // users to erase in this transaction, and why

	reads reads
}

// entry is a row as the batch leaves it.
type entry struct {
	row    *row.Row
	exists bool
	save   bool
}

func newBatch(in *Ingest) *batch {
	return &batch{
		in: in, rows: map[row.Key]*entry{}, erased: privacy.UserIDs{}, toErase: map[string]mirror.ErasureCause{},
		inbox: newInbox(), reads: newReads(),
	}
}

// within begins the work of the batch in a transaction, whose settings hold for it.
func (b *batch) within(tx *store.Tx) *batch {
	b.delta = converge.NewDelta(b, tx.Settings().Roles())
	return b
}

// Row returns a row as the batch leaves it, nil if it was not loaded.
func (b *batch) Row(key row.Key) (r *row.Row, exists bool) {
	e := b.rows[key]
	if e == nil {
		return nil, false
	}
	return e.row, e.exists
}

// applyAll is the transaction of a batch. It may run again after a failure. A panic becomes the
// error of the whole batch; the events are then tried one by one.
func (in *Ingest) applyAll(ctx context.Context, jobs []*job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a commit: %v\n%s", p, debug.Stack())
		}
	}()
	b := newBatch(in)
	err = in.db.UpdateWith(ctx, b.wanted(jobs), func(tx *store.Tx, found store.Found) error {
		if err := b.within(tx).process(tx, found, jobs); err != nil {
			return err
		}
		return b.save(ctx, tx)
	})
	if err == nil {
		for _, id := range b.inbox.instances {
			in.seenInstances.Store(id, true)
		}
		in.onCommit(b.changed())
	}
	return err
}

// process applies messages in memory.
func (b *batch) process(tx *store.Tx, found store.Found, jobs []*job) error {
	if err := b.use(tx, found, jobs); err != nil {
		return err
	}
	for _, j := range jobs {
		j.outcome = b.processMessage(j, &tx.Head)
	}
	return nil
}

// wanted returns what has to be known of messages: the rows that they refer to, which of their
// users were erased, and whether they came before.
func (b *batch) wanted(jobs []*job) (w store.Wanted) {
	var users []string
	for _, j := range jobs {
		users = append(users, j.users...)
		w.Rows = b.want(w.Rows, j.ops)
		w.Deliveries = append(w.Deliveries, j.delivery.MessageID)
		w.Walks = w.Walks || strings.HasSuffix(j.delivery.Type, ".created")
	}
	w.Users = b.withoutRow(users)
	return w
}

// use takes what was found of messages. Messages that were read by settings no longer in force are
// read again, and may then refer to other rows.
func (b *batch) use(tx *store.Tx, found store.Found, jobs []*job) error {
	b.take(found)
	renewed, err := b.in.renewAll(tx, jobs)
	if err != nil {
		return err
	}
	if renewed {
		if found, err = tx.Find(b.wanted(jobs)); err != nil {
			return err
		}
		b.take(found)
	}
	for _, j := range jobs {
		if b.isAboutErased(j.Prepared) {
			j.Prepared = j.withoutBody()
		}
	}
	return nil
}

// take takes what was found over into the batch.
func (b *batch) take(found store.Found) {
	for k, r := range found.Rows {
		b.rows[k].row, b.rows[k].exists = r, true
		if k.Kind == clerk.KindUser && r.Erased {
			b.erased[k.ID] = true
		}
	}
	maps.Copy(b.erased, found.Erased)
	maps.Copy(b.inbox.earlier, found.Deliveries)
	if found.Walks != nil {
		b.walks = found.Walks
	}
}

// load looks up rows, and which of some users were erased.
func (b *batch) load(tx *store.Tx, keys []row.Key, users ...string) error {
	found, err := tx.Find(store.Wanted{Rows: keys, Users: b.withoutRow(users)})
	if err != nil {
		return err
	}
	b.take(found)
	return nil
}

// withoutRow returns those of some users whose rows are not loaded, each once.
func (b *batch) withoutRow(users []string) (strangers []string) {
	for _, id := range users {
		if id != "" && b.rows[row.Key{Kind: clerk.KindUser, ID: id}] == nil {
			strangers = append(strangers, id)
		}
	}
	slices.Sort(strangers)
	return slices.Compact(strangers)
}

// want adds the keys of rows that operations need and that were not asked for yet. A session needs
// its user, for bans.
func (b *batch) want(keys []row.Key, ops []converge.Operation) []row.Key {
	for i := range ops {
		op := &ops[i]
		keys = b.wantKey(keys, op.Key)
		if op.Key.Kind == clerk.KindSession && op.UserID != "" {
			keys = b.wantKey(keys, row.Key{Kind: clerk.KindUser, ID: op.UserID})
		}
	}
	return keys
}

func (b *batch) wantKey(keys []row.Key, k row.Key) []row.Key {
	if b.rows[k] != nil {
		return keys
	}
	b.rows[k] = &entry{row: &row.Row{Key: k}}
	b.order = append(b.order, k)
	return append(keys, k)
}

// applyEvent merges the operations of one event, all or none: a panic in one of them drops the
// delta.
func (b *batch) applyEvent(p *Prepared, head *store.Head) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			b.delta.Reset()
			err = fmt.Errorf("panic while applying: %v\n%s", cause, debug.Stack())
		}
	}()
	b.origin = p.delivery.MessageID
	highWater := head.HighWater
	for i := range p.ops {
		op := &p.ops[i]
		if kept, ok := b.withoutErased(op); ok {
			b.delta.Apply(kept)
		}
		for _, at := range [...]clerk.Time{op.ObservedAt, op.UpdatedAt} {
			// a time after the delivery's own comes from a wrong clock and must not move later
			// reads
			if at > highWater && at <= p.delivery.SignedAt+oneSecond {
				highWater = at
			}
		}
	}
	b.merge()
	head.HighWater = highWater
	return nil
}

const oneSecond = 1000

// merge adds the delta to the batch, and empties it for the next event or read.
func (b *batch) merge() {
	for i := range b.delta.Drafts {
		draft := &b.delta.Drafts[i]
		e := b.rows[draft.Row.Key]
		*e.row, e.exists, e.save = draft.Row, draft.Exists, e.save || draft.Save
		if b.in.eraseOnDelete && draft.Save && draft.Row.Kind == clerk.KindUser && draft.Row.Tombstoned {
			b.toErase[draft.Row.ID] = mirror.ErasedAfterDeletion
		}
	}
	for _, c := range b.delta.RoleChanges {
		entry := mirror.AuditEntry{Action: mirror.AuditRole, ClerkUserID: c.Key.ID, Origin: b.origin, Was: c.Was, Became: c.Became}
		if c.Key.Kind == clerk.KindMembership {
			entry.Action, entry.ClerkUserID, entry.ClerkOrganizationID = mirror.AuditMembership, c.UserID, c.OrganizationID
		}
		b.audits = append(b.audits, entry)
	}
	for i := range b.delta.Changes {
		b.delta.Changes[i].Origin = b.origin
	}
	b.effects.Add(&b.delta.Effects)
	b.delta.Reset()
}

// auditAction adds the entry of an operator's action. A role that the action changed has no other
// entry.
func (b *batch) auditAction(e mirror.AuditEntry) {
	for i := range b.audits {
		if a := &b.audits[i]; e.Action == mirror.AuditRole && a.Action == e.Action && a.ClerkUserID == e.ClerkUserID {
			e.Was, e.Became = a.Was, a.Became
			*a = e
			return
		}
	}
	b.audits = append(b.audits, e)
}

func (b *batch) save(ctx context.Context, tx *store.Tx) error {
	var rows []*row.Row
	for _, k := range b.order {
		if e := b.rows[k]; e.save {
			rows = append(rows, e.row)
			b.queueAltered(e.row)
		}
	}
	if err := tx.SaveRows(ctx, rows); err != nil {
		return err
	}
	if err := tx.RemoveOverrides(ctx, b.effects.Released); err != nil {
		return err
	}
	if err := b.saveVerifyQueue(ctx, tx); err != nil {
		return err
	}
	if err := tx.AppendChanges(ctx, b.effects.Changes); err != nil {
		return err
	}
	if err := tx.AppendAudit(ctx, b.audits); err != nil {
		return err
	}
	if err := b.inbox.save(ctx, tx); err != nil {
		return err
	}
	return b.eraseUsers(ctx, tx)
}

// eraseUsers erases users after their rows were saved.
func (b *batch) eraseUsers(ctx context.Context, tx *store.Tx) error {
	for _, id := range slices.Sorted(maps.Keys(b.toErase)) {
		change, err := privacy.EraseUser(ctx, tx, id, b.toErase[id], clerk.TimeOf(b.in.now()))
		if err != nil {
			return fmt.Errorf("erase: %w", err)
		}
		b.effects.Changes = append(b.effects.Changes, change)
	}
	return nil
}
