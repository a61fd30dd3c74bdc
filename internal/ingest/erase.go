package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Bounds of the search for copies of those who were erased.
const (
	eraseTogether  = 500 // persons looked for in one pass
	erasePage      = 200
	eraseBodies    = 1000
	eraseBytes     = 4 << 20
	shortestSearch = 6 // addresses shorter than this would be found everywhere
	shortestName   = 3 // user names
)

// keptOfErased are the members that an erased object keeps.
var keptOfErased = map[string]bool{
	"id": true, "object": true, "status": true, "user_id": true, "client_id": true, "organization_id": true, "inviter_id": true,
	"subscription_id": true, "payment_id": true, "payer_id": true,
}

func reduced(body clerk.Value) clerk.Value {
	return body.Without(func(key string) bool { return !keptOfErased[key] })
}

// masked leaves only the ids of embedded copies that are of a person.
func masked(body clerk.Value, isOf func(copied clerk.Value) bool) (clerk.Value, bool) {
	return body.Map(func(_ string, v clerk.Value) (clerk.Value, bool) {
		if !v.IsObject() || !isOf(v) {
			return v, false
		}
		less := reduced(v)
		return less, less.Len() != v.Len()
	})
}

func names(copied clerk.Value, erased map[string]bool) bool {
	return erased[copied.Get("user_id").String()] || erased[copied.Get("id").String()]
}

// persons names the users that an operation tells of, as far as an erasure has to know.
func (op *operation) persons(dst []string) []string {
	switch {
	case op.key.Kind == clerk.KindUser:
		return append(dst, op.key.ID)
	case op.user != "":
		dst = append(dst, op.user)
	}
	if op.key.Kind == clerk.KindInvitation {
		dst = append(dst, op.body.Get("inviter_id").String())
	}
	return dst
}

// personsIn are the words of a body that can be ids of users: of events whose form is not known.
func personsIn(body clerk.Value, dst []string) []string {
	if text, ok := body.Text(); ok {
		for word := range strings.FieldsFuncSeq(text, betweenWords) {
			if word = trimmed(word); strings.HasPrefix(word, "user_") {
				dst = append(dst, word)
			}
		}
	}
	for _, member := range body.All() {
		dst = personsIn(member, dst)
	}
	return dst
}

// learnErased finds out which of some users were erased: by their rows where they are loaded, else by asking.
func (b *batch) learnErased(ctx context.Context, tx *store.Tx, persons []string) error {
	var ask []string
	for _, id := range persons {
		e := b.rows[store.Key{Kind: clerk.KindUser, ID: id}]
		switch {
		case e == nil && id != "":
			ask = append(ask, id)
		case e != nil && e.row.Erased:
			b.erased[id] = true
		}
	}
	slices.Sort(ask)
	found, err := tx.ErasedUsers(ctx, slices.Compact(ask))
	for id := range found {
		b.erased[id] = true
	}
	return err
}

// ofErased reports whether an event tells of somebody who was erased.
func (b *batch) ofErased(p *Prepared) bool {
	return slices.ContainsFunc(p.persons, func(id string) bool { return b.erased[id] }) ||
		slices.ContainsFunc(p.ops, func(op operation) bool { return b.rows[op.key] != nil && b.rows[op.key].row.Erased })
}

// delivery is what the inbox keeps of a message: no body once somebody in it was erased.
func (b *batch) delivery(p *Prepared) store.Delivery {
	d := p.delivery
	if b.ofErased(p) {
		d.State, d.Body, d.Digest = store.StateErased, "", ""
	}
	return d
}

// spare takes out of an operation what must not be stored again. ok is false when nothing is left of it.
func (b *batch) spare(op *operation, r *store.Row) (spared *operation, ok bool) {
	if op.key.Kind == clerk.KindUser {
		return op, !r.Erased
	}
	if op.do != upsert {
		return op, true
	}
	less := *op
	switch {
	case r.Erased, b.erased[op.user] && belongsToUser(op.key.Kind):
		less.body, less.erased = reduced(op.body), true
	case len(b.erased) == 0:
		return op, true
	default:
		body, changed := masked(op.body, func(v clerk.Value) bool { return names(v, b.erased) })
		if !changed {
			return op, true
		}
		less.body = body
	}
	less.raw, less.Digest = less.body.JSON(), digest(op.key.Kind, less.body)
	return &less, true
}

// belongsToUser tells the kinds that go with their user.
func belongsToUser(kind clerk.Kind) bool {
	return kind == clerk.KindSession || kind == clerk.KindMembership || kind == clerk.KindInvitation
}

// wipe leaves of a row what an erased one may hold.
func wipe(r *store.Row) {
	if r.Kind == clerk.KindUser {
		*r = store.Row{Key: r.Key, Tombstoned: true, DeletedAt: r.DeletedAt, Erased: true}
		return
	}
	setBody(r, reduced(r.Body()))
	r.Erased = true
}

func setBody(r *store.Row, body clerk.Value) {
	r.SetBody(body, body.JSON())
	r.Digest = digest(r.Kind, body)
}

// addresses are the texts of a user by which copies are recognized that do not name the user's id.
func addresses(user clerk.Value) (all []string) {
	add := func(v clerk.Value) {
		if s := v.String(); len(s) >= shortestSearch && !strings.Contains(s, "\n") && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	add(user.Get("email"))
	for list, field := range map[string]string{
		"email_addresses": "email_address", "phone_numbers": "phone_number", "web3_wallets": "web3_wallet", "external_accounts": "email_address",
	} {
		for _, v := range user.Get(list).All() {
			add(v.Get(field))
		}
	}
	slices.Sort(all)
	if name := user.Get("username").String(); len(name) >= shortestName && !strings.Contains(name, "\n") {
		all = append(all, usernameMark+name)
	}
	return all
}

// eraseNow empties the rows of a user, in the transaction of the batch and after its rows were saved, and opens the
// search for copies.
func (b *batch) eraseNow(ctx context.Context, tx *store.Tx, userID, cause string) error {
	key := store.Key{Kind: clerk.KindUser, ID: userID}
	rows, err := tx.Rows(ctx, []store.Key{key})
	if err != nil {
		return err
	}
	user := rows[key]
	if user == nil {
		return store.ErrNotFound
	}
	if !user.Tombstoned {
		return nil // the deletion was taken back: another operation of its event failed
	}
	e := store.Erasure{ClerkUserID: userID, At: clerk.TimeOf(b.in.now()), Cause: cause, Search: append([]string{userID}, addresses(user.Body())...)}
	wipe(user)
	if err := tx.SaveRows(ctx, []*store.Row{user}); err != nil {
		return err
	}
	e.Rows = 1
	for _, kind := range []clerk.Kind{clerk.KindSession, clerk.KindMembership, clerk.KindInvitation} {
		n, err := wipeAll(ctx, tx, func(after string) ([]store.Key, error) { return tx.KeysOfUser(ctx, kind, userID, after, erasePage) })
		if e.Rows += n; err != nil {
			return err
		}
	}
	for _, address := range e.Search[1:] {
		if !isAddress(address) {
			continue
		}
		for _, kind := range []clerk.Kind{clerk.KindInvitation, clerk.KindWaitlistEntry} {
			n, err := wipeAll(ctx, tx, func(after string) ([]store.Key, error) {
				keys, err := tx.KeysOfAddress(ctx, kind, address, after, erasePage)
				for _, k := range keys {
					e.Search = append(e.Search, k.ID)
				}
				return keys, err
			})
			if e.Rows += n; err != nil {
				return err
			}
		}
	}
	if err := tx.ClearVerify(ctx, key, tx.Head.Writes); err != nil {
		return err
	}
	return tx.BeginErasure(ctx, e)
}

func wipeAll(ctx context.Context, tx *store.Tx, page func(after string) ([]store.Key, error)) (n int64, err error) {
	return rewrite(ctx, tx, page, func(r *store.Row) bool {
		if r.Erased {
			return false
		}
		wipe(r)
		return true
	})
}

// rewrite changes rows page by page.
func rewrite(ctx context.Context, tx *store.Tx, page func(after string) ([]store.Key, error), change func(*store.Row) bool) (n int64, err error) {
	for after := ""; ; {
		keys, err := page(after)
		if err != nil || len(keys) == 0 {
			return n, err
		}
		after = keys[len(keys)-1].ID
		rows, err := tx.Rows(ctx, keys)
		if err != nil {
			return n, err
		}
		var changed []*store.Row
		for _, k := range keys {
			if r := rows[k]; r != nil && change(r) {
				changed = append(changed, r)
			}
		}
		n += int64(len(changed))
		if err := tx.SaveRows(ctx, changed); err != nil {
			return n, err
		}
	}
}

// Erase forgets a person for ever: see docs/correctness.md, §3. Their rows are empty when it returns; what else holds
// copies is left to [Ingest.FinishErasures]. The error is [store.ErrNotFound] for a user who was never heard of.
func (in *Ingest) Erase(ctx context.Context, userID string) error {
	return in.erase(ctx, userID, store.CauseErased)
}

func (in *Ingest) erase(ctx context.Context, userID, cause string) error {
	key := store.Key{Kind: clerk.KindUser, ID: userID}
	_, err := in.under(ctx, Under{}, func(ctx context.Context, tx *store.Tx, b *batch) error {
		if err := b.loadRows(ctx, tx, b.want(nil, key)); err != nil {
			return err
		}
		e := b.rows[key]
		switch {
		case !e.exists:
			return store.ErrNotFound
		case cause == store.CauseDeleted && (!e.row.Tombstoned || e.row.Erased):
			return nil // somebody else was faster
		case !e.row.Tombstoned:
			b.apply(&operation{key: key, do: tombstone, at: clerk.TimeOf(in.now())})
		}
		b.toErase[userID] = cause
		return nil
	})
	if err == nil {
		in.tell([]store.ChangeRef{(&store.Row{Key: key}).Ref()})
	}
	return err
}

// EraseDue erases the users who were deleted before a time, and answers how many.
func (in *Ingest) EraseDue(ctx context.Context, before clerk.Time) (n int, err error) {
	for ctx.Err() == nil {
		due, err := in.db.Erasable(ctx, before, 100)
		if err != nil || len(due) == 0 {
			return n, err
		}
		for _, id := range due {
			if err := in.erase(ctx, id, store.CauseDeleted); err != nil {
				return n, fmt.Errorf("erase %s: %w", id, err)
			}
			n++
		}
	}
	return n, ctx.Err()
}

// FinishErasures looks for copies of those who were erased, in other rows and in the inbox, and takes them away. One that
// is ended goes on where it was. It answers how many searches it brought to their end.
func (in *Ingest) FinishErasures(ctx context.Context) (n int, err error) {
	for {
		open, err := in.db.OpenErasures(ctx, eraseTogether)
		if err != nil || len(open) == 0 {
			return n, err
		}
		if err := in.search(ctx, open); err != nil {
			return n, fmt.Errorf("search for copies of the erased: %w", err)
		}
		n += len(open)
	}
}

// search is one pass, for persons whose searches stand at the same place.
func (in *Ingest) search(ctx context.Context, open []store.Erasure) error {
	cursor, names := open[0].Cursor, newFinder(open)
	if cursor == "" {
		if err := in.maskCopies(ctx, open, names); err != nil {
			return err
		}
	}
	for {
		list, last, err := in.db.Bodies(ctx, cursor, eraseBodies, eraseBytes)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		cursor = last
		if err := in.eraseBodies(ctx, open, names, list, cursor); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return in.db.Update(ctx, func(tx *store.Tx) error {
		for i := range open {
			if err := tx.EndErasure(ctx, open[i].ClerkUserID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (in *Ingest) eraseBodies(ctx context.Context, open []store.Erasure, f *finder, list []store.Delivery, cursor string) error {
	var ids []string
	found := make([]int64, len(open))
	for _, d := range list {
		persons := f.findIn(&d)
		for i := range persons {
			found[i]++
		}
		if len(persons) > 0 {
			ids = append(ids, d.MessageID)
		}
	}
	return in.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.EraseDeliveries(ctx, ids); err != nil {
			return err
		}
		return tx.AdvanceErasures(ctx, open, cursor, found)
	})
}

// withCopies are the kinds whose rows hold copies of other persons: who invited, who pays.
var withCopies = []clerk.Kind{clerk.KindInvitation, clerk.KindSubscription, clerk.KindSubscriptionItem, clerk.KindPaymentAttempt}

// maskCopies takes copies of the persons out of others' rows, a page a transaction.
func (in *Ingest) maskCopies(ctx context.Context, open []store.Erasure, f *finder) error {
	ids := map[string]bool{}
	for i := range open {
		ids[open[i].ClerkUserID] = true
	}
	isOf := func(v clerk.Value) bool {
		if names(v, ids) {
			return true
		}
		for _, member := range v.All() {
			if f.is(member.String()) {
				return true
			}
		}
		return false
	}
	mask := func(r *store.Row) bool {
		if len(f.find(r.Raw)) == 0 {
			return false
		}
		body, changed := masked(r.Body(), isOf)
		if changed {
			setBody(r, body)
		}
		return changed
	}
	for _, kind := range withCopies {
		for after, more := "", true; more && ctx.Err() == nil; {
			err := in.db.Update(ctx, func(tx *store.Tx) error {
				once := false
				n, err := rewrite(ctx, tx, func(string) (keys []store.Key, err error) {
					if once {
						return nil, nil
					}
					once = true
					keys, err = tx.KeysAfter(ctx, kind, after, erasePage)
					if more = len(keys) == erasePage; more {
						after = keys[len(keys)-1].ID
					}
					return keys, err
				}, mask)
				if err != nil || n == 0 {
					return err
				}
				return tx.CountMasked(ctx, open[0].ClerkUserID, n)
			})
			if err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
