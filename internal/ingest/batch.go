package ingest

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// batch is the work of one transaction: rows are loaded once, merged in memory in the
// order of arrival, and saved once.
type batch struct {
	in      *Ingest
	claimed map[string]bool // message ids whose inbox row this transaction has written
	earlier map[string]store.Delivery
	rows    map[store.Key]*entry
	order   []store.Key // of first touch, so that writes are the same on both engines

	inbox     []store.Delivery
	inboxAt   map[string]int // message id -> index in inbox
	changes   []store.Change
	doubts    []store.VerifyItem
	settled   []store.VerifyItem
	cleared   []cleared   // by reads of these objects
	repeated  []store.Key // of events that came before, perhaps to another process
	banned    []store.Key // users whose ban floor rose
	roles     roleNews
	parents   parentNews
	since     int64             // the head's write counter before the read that is applied was sent; -1: it is no read
	listed    []store.ChangeRef // what a list settled without another look at the row
	audits    []store.AuditEntry
	origin    string // of what is being applied, for the audit
	instances []string
	ladder    []string               // by which the roles of this transaction are derived
	found     []Difference           // what readings found to be otherwise
	agreed    []agreement            // what they agree with
	shown     []store.Key            // what events made visible
	revived   map[store.Key]bool     // … of that, what had been hidden
	altered   map[store.Key][]string // columns that something else had written, and that are restored
	vanished  map[string]bool        // permissions that are deleted here and that roles have lost
	erased    map[string]bool        // users who were erased before
	toErase   map[string]string      // users to erase now, and why
}

// cleared is an object that was read by id. The read settles the doubts that are older than it.
type cleared struct {
	key   store.Key
	since int64
}

type entry struct {
	row    *store.Row
	exists bool
	save   bool
}

func newBatch(in *Ingest, tx *store.Tx) *batch {
	return &batch{
		in: in, ladder: tx.Settings().Roles(),
		rows: map[store.Key]*entry{}, claimed: map[string]bool{}, earlier: map[string]store.Delivery{}, inboxAt: map[string]int{},
		erased: map[string]bool{}, toErase: map[string]string{}, since: noRead,
		revived: map[store.Key]bool{}, altered: map[store.Key][]string{}, vanished: map[string]bool{},
	}
}

// applyAll is the transaction of a batch. It may be run again after a failure.
// A panic is the error of the whole batch, so that the events are then tried alone.
func (in *Ingest) applyAll(ctx context.Context, jobs []*job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a commit: %v\n%s", p, debug.Stack())
		}
	}()
	var b *batch
	err = in.db.Update(ctx, func(tx *store.Tx) error {
		b = newBatch(in, tx)
		if err := b.load(ctx, tx, jobs); err != nil {
			return err
		}
		for _, j := range jobs {
			j.outcome = b.take(j, &tx.Head)
		}
		return b.save(ctx, tx)
	})
	if err == nil {
		for _, id := range b.instances {
			in.seen.Store(id, true)
		}
		in.tell(b.touched())
	}
	return err
}

func (b *batch) load(ctx context.Context, tx *store.Tx, jobs []*job) error {
	if err := b.known(ctx, tx, jobs); err != nil {
		return err
	}
	if err := b.claim(ctx, tx, jobs); err != nil {
		return fmt.Errorf("claim the message ids: %w", err)
	}
	return nil
}

// known loads the rows that messages tell of, and who of those in them was erased.
func (b *batch) known(ctx context.Context, tx *store.Tx, jobs []*job) error {
	if err := b.in.renewAll(tx, jobs); err != nil {
		return err
	}
	var keys []store.Key
	var persons []string
	for _, j := range jobs {
		persons = append(persons, j.persons...)
		for i := range j.ops {
			keys = b.want(keys, j.ops[i].key)
			if j.ops[i].key.Kind == clerk.KindSession && j.ops[i].user != "" {
				keys = b.want(keys, store.Key{Kind: clerk.KindUser, ID: j.ops[i].user})
			}
		}
	}
	if err := b.loadRows(ctx, tx, keys); err != nil {
		return err
	}
	if err := b.learnErased(ctx, tx, persons); err != nil {
		return fmt.Errorf("ask who was erased: %w", err)
	}
	return nil
}

// claim writes the inbox rows of messages that were never seen, with the outcome that is
// to be expected, and loads what is known of the others.
func (b *batch) claim(ctx context.Context, tx *store.Tx, jobs []*job) (err error) {
	first := make([]store.Delivery, 0, len(jobs))
	var replayed []string
	for _, j := range jobs {
		id := j.delivery.MessageID
		if b.claimed[id] {
			continue
		}
		b.claimed[id] = true
		if j.replay {
			replayed = append(replayed, id)
			continue
		}
		d := b.delivery(j.Prepared)
		d.Attempts = 1
		first = append(first, d)
	}
	if b.earlier, err = tx.Claim(ctx, first); err != nil {
		return err
	}
	known, err := tx.Inbox(ctx, replayed)
	maps.Copy(b.earlier, known)
	for id := range b.earlier {
		delete(b.claimed, id)
	}
	for _, id := range replayed {
		delete(b.claimed, id)
	}
	return err
}

// want notes a key whose row will be asked for.
func (b *batch) want(keys []store.Key, k store.Key) []store.Key {
	if b.rows[k] != nil {
		return keys
	}
	b.rows[k] = &entry{row: &store.Row{Key: k}}
	b.order = append(b.order, k)
	return append(keys, k)
}

func (b *batch) loadRows(ctx context.Context, tx *store.Tx, keys []store.Key) error {
	found, err := tx.Rows(ctx, keys)
	for k, r := range found {
		b.rows[k].row, b.rows[k].exists = r, true
	}
	return err
}

// take decides about one message and applies it.
func (b *batch) take(j *job, head *store.Head) Outcome {
	d := b.delivery(j.Prepared)
	earlier, known := b.earlier[d.MessageID]
	if known && !j.replay {
		switch {
		case d.Digest != "" && earlier.Digest != "" && d.Digest != earlier.Digest:
			return b.conflict(d)
		case earlier.State != store.StateDead && earlier.State != store.StateQuarantined && earlier.State != store.StateDismissed:
			for i := range j.ops {
				b.repeated = append(b.repeated, j.ops[i].key)
			}
			return Outcome{Status: Duplicate}
		}
	}
	d.Attempts = earlier.Attempts + 1
	outcome := b.judge(j, &d, head)
	d.State = stillDismissed(earlier, d)
	if b.claimed[d.MessageID] && d.Attempts == 1 && (d.State == j.delivery.State || d.State == store.StateErased) {
		b.earlier[d.MessageID] = d // its row says so already
	} else {
		b.keep(d)
	}
	return outcome
}

// stillDismissed is the state of a delivery after another attempt. The same message that fails again tells the operator
// nothing new: it stays dismissed. One that can be applied after all is.
func stillDismissed(earlier, d store.Delivery) store.State {
	if earlier.State == store.StateDismissed && d.State == store.StateDead {
		return store.StateDismissed
	}
	return d.State
}

// judge applies an event that is to be applied, and names the outcome of all.
func (b *batch) judge(j *job, d *store.Delivery, head *store.Head) Outcome {
	switch j.delivery.State {
	case store.StateIgnored:
		return Outcome{Status: Ignored}
	case store.StateQuarantined:
		b.remember(d.InstanceID)
		return Outcome{Status: Quarantined}
	case store.StateDead:
		return Outcome{Invalid, j.fault}
	case store.StateApplied, store.StateErased, store.StateDismissed:
	}
	b.origin = d.MessageID
	if err := b.applyEvent(j.ops, d.SignedAt, head); err != nil {
		d.State, d.Reason = store.StateDead, ReasonError
		return Outcome{Failed, err}
	}
	b.remember(d.InstanceID)
	return Outcome{Status: Processed}
}

// conflict keeps an altered duplicate beside the first delivery and applies nothing.
func (b *batch) conflict(d store.Delivery) Outcome {
	b.in.Stats.Conflicts.Add(1)
	d.MessageID += "~" + d.Digest[:16]
	d.State, d.Reason = store.StateQuarantined, ReasonBodyConflict
	b.keep(d)
	return Outcome{Status: Quarantined}
}

// keep puts a delivery into the inbox; a message that comes twice in one batch is one row.
func (b *batch) keep(d store.Delivery) {
	b.earlier[d.MessageID] = d
	if i, twice := b.inboxAt[d.MessageID]; twice {
		b.inbox[i] = d
		return
	}
	b.inboxAt[d.MessageID] = len(b.inbox)
	b.inbox = append(b.inbox, d)
}

func (b *batch) remember(instance string) {
	if instance == "" {
		return
	}
	if _, known := b.in.seen.Load(instance); !known {
		b.instances = append(b.instances, instance)
	}
}

// applyEvent merges the operations of one event, all or none: a panic in one of them
// takes back what the others did.
func (b *batch) applyEvent(ops []operation, signedAt clerk.Time, head *store.Head) (err error) {
	undo := b.mark(ops)
	defer func() {
		if p := recover(); p != nil {
			undo()
			err = fmt.Errorf("panic while applying: %v\n%s", p, debug.Stack())
		}
	}()
	for i := range ops {
		b.apply(&ops[i])
		for _, said := range []clerk.Time{ops[i].ObservedAt, ops[i].UpdatedAt} {
			// a time beyond the delivery's own is a wrong clock and must not push the reads to come
			if said > head.HighWater && said <= signedAt+oneSecond {
				head.HighWater = said
			}
		}
	}
	return nil
}

func (b *batch) mark(ops []operation) (undo func()) {
	saved := make([]entry, len(ops))
	for i := range ops {
		e := b.rows[ops[i].key]
		saved[i] = *e
		copied := *e.row
		saved[i].row = &copied
	}
	changes, doubts, settled, banned, audits := len(b.changes), len(b.doubts), len(b.settled), len(b.banned), len(b.audits)
	roles, parents := b.roles, b.parents
	shown := len(b.shown)
	return func() {
		for i := range ops {
			*b.rows[ops[i].key] = saved[i]
		}
		b.changes, b.doubts, b.settled = b.changes[:changes], b.doubts[:doubts], b.settled[:settled]
		b.banned, b.audits, b.roles, b.parents = b.banned[:banned], b.audits[:audits], roles, parents
		b.shown = b.shown[:shown]
	}
}

func (b *batch) apply(op *operation) {
	e := b.rows[op.key]
	op, ok := b.spare(op, e.row)
	if !ok {
		return
	}
	if op.do == absence && !e.exists {
		return // the absence of what was never seen says nothing
	}
	before, was := *e.row, b.roleOf(e)
	existed := e.exists
	effect := merge(e.row, e.exists, op)
	b.appeared(&before, existed, op, e.row)
	e.exists = e.exists || effect.save
	e.save = e.save || effect.save
	if effect.changed {
		operation := row.OpUpsert
		if effect.deleted || e.row.Hidden() {
			operation = row.OpDelete
		}
		b.changes = append(b.changes, store.Change{Key: op.key, Operation: operation, Version: e.row.Version, Fields: effect.fields})
	}
	for _, reason := range effect.queued {
		if Readable(op.key.Kind) { // else no read could ever settle it
			b.doubts = append(b.doubts, store.VerifyItem{Key: op.key, Reason: reason})
		}
	}
	for _, reason := range effect.settled {
		b.settled = append(b.settled, store.VerifyItem{Key: op.key, Reason: reason})
	}
	b.roles.note(op, &before, e.row, effect.save, b.since)
	b.parents.note(&before, existed, e.row)
	if e.row.BannedAt > before.BannedAt {
		b.banned = append(b.banned, op.key)
	}
	if b.in.atOnce && op.key.Kind == clerk.KindUser && effect.save && e.row.Tombstoned {
		b.toErase[op.key.ID] = store.CauseDeleted
	}
	b.checkBan(op, e.row)
	if became := b.roleOf(e); was != "" && became != was {
		b.auditRole(e.row, was, became)
	}
}

// roleOf is the role that a whole user or membership has, "" for anything else.
func (b *batch) roleOf(e *entry) string {
	switch {
	case !e.exists || e.row.Tombstoned || e.row.Stub():
	case e.row.Kind == clerk.KindUser:
		return row.RoleOf(e.row.Body(), b.ladder).Role
	case e.row.Kind == clerk.KindMembership:
		return row.RoleKey(e.row.Body().Get("role").String())
	}
	return ""
}

func (b *batch) auditRole(r *store.Row, was, became string) {
	if became == "" {
		return // the object is gone; that is no change of its role
	}
	entry := store.AuditEntry{Action: store.AuditRole, ClerkUserID: r.ID, Origin: b.origin, Was: was, Became: became}
	if r.Kind == clerk.KindMembership {
		entry.Action, entry.ClerkUserID, entry.ClerkOrganizationID = store.AuditMembership, r.UserID, r.OrganizationID
	}
	b.audits = append(b.audits, entry)
}

// checkBan doubts a session that was created in the very millisecond of its user's ban:
// which came first can not be told. The other direction, a ban that finds the session, is
// looked up when the batch is saved.
func (b *batch) checkBan(op *operation, r *store.Row) {
	if op.key.Kind != clerk.KindSession || op.read || r.Terminal || r.Hidden() {
		return // a read has seen what came of it
	}
	user := b.rows[store.Key{Kind: clerk.KindUser, ID: r.UserID}]
	if user != nil && user.row.BannedAt != 0 && user.row.BannedAt == r.Body().Get("created_at").Time() {
		b.doubts = append(b.doubts, store.VerifyItem{Key: op.key, Reason: doubtBan})
	}
}

func (b *batch) save(ctx context.Context, tx *store.Tx) error {
	var rows []*store.Row
	for _, k := range b.order {
		if e := b.rows[k]; e.save {
			rows = append(rows, e.row)
			b.doubtAltered(e.row)
		}
	}
	if err := tx.SaveRows(ctx, rows); err != nil {
		return err
	}
	if err := b.bansRaised(ctx, tx); err != nil {
		return err
	}
	if err := b.doubtLateOnes(ctx, tx); err != nil {
		return err
	}
	if err := b.saveDoubts(ctx, tx); err != nil {
		return err
	}
	if err := tx.AppendChanges(ctx, b.changes); err != nil {
		return err
	}
	if err := tx.AppendAudit(ctx, b.audits); err != nil {
		return err
	}
	if err := tx.RememberInstances(ctx, b.instances); err != nil {
		return err
	}
	if err := tx.SaveInbox(ctx, b.inbox); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(b.toErase)) {
		if err := b.eraseNow(ctx, tx, id, b.toErase[id]); err != nil {
			return fmt.Errorf("erase: %w", err)
		}
	}
	return nil
}

// settledOnly drops what was doubted again later in the batch, and from the doubts what
// was settled after: the row as it is saved decides.
func (b *batch) settledOnly() []store.VerifyItem {
	if len(b.settled) == 0 {
		return nil
	}
	holds := func(d store.VerifyItem) bool {
		e := b.rows[d.Key]
		if e == nil {
			return true // a session that a ban was found to meet; its row was not asked for
		}
		r := e.row
		switch d.Reason {
		case doubtStub:
			return !r.Tombstoned && r.Stub()
		case doubtHint:
			return !r.Tombstoned && !r.Stub() && r.HintAt > r.UpdatedAt
		}
		return true
	}
	var settled, doubts []store.VerifyItem
	for _, d := range b.settled {
		if !holds(d) {
			settled = append(settled, d)
		}
	}
	for _, d := range b.doubts {
		if holds(d) {
			doubts = append(doubts, d)
		}
	}
	b.doubts = doubts
	return settled
}

// bansRaised finds the sessions that were created in the millisecond of a new ban.
func (b *batch) bansRaised(ctx context.Context, tx *store.Tx) error {
	for _, user := range b.banned {
		ids, err := tx.SessionsCreatedAt(ctx, user.ID, b.rows[user].row.BannedAt)
		if err != nil {
			return err
		}
		for _, id := range ids {
			b.doubts = append(b.doubts, store.VerifyItem{Key: store.Key{Kind: clerk.KindSession, ID: id}, Reason: doubtBan})
		}
	}
	return nil
}
