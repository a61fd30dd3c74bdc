package privacy

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// rowsPage is how many rows are rewritten at a time.
const rowsPage = 200

// EraseUser empties the rows of a deleted user and opens the search for copies. The user's row must
// be saved already. now is the time of the receipt. It returns the entry that the change feed got,
// by which consumers erase their copies; a user who was erased before gets another one. The error
// is [store.ErrNotFound] if there is no row of the user.
func EraseUser(ctx context.Context, tx *store.Tx, userID string, cause mirror.ErasureCause, now clerk.Time) (row.Change, error) {
	key := row.Key{Kind: clerk.KindUser, ID: userID}
	rows, err := tx.Rows(ctx, []row.Key{key})
	if err != nil {
		return row.Change{}, err
	}
	user := rows[key]
	if user == nil {
		return row.Change{}, store.ErrNotFound
	}
	if err := eraseUser(ctx, tx, user, cause, now); err != nil {
		return row.Change{}, err
	}
	changes := []row.Change{ofErasure(user.Change(row.OpErased, nil))}
	return changes[0], tx.AppendChanges(ctx, changes)
}

// ofErasure returns a change as one that an erasure caused.
func ofErasure(c row.Change) row.Change {
	c.Origin = mirror.OriginErasure
	return c
}

func eraseUser(ctx context.Context, tx *store.Tx, user *row.Row, cause mirror.ErasureCause, now clerk.Time) error {
	e := store.Erasure{
		Erasure: mirror.Erasure{ClerkUserID: user.ID, At: now.Time(), Cause: cause},
		Search:  append([]string{user.ID}, searchTexts(user.Body())...),
	}
	wipe(user)
	if err := tx.SaveRows(ctx, []*row.Row{user}); err != nil {
		return err
	}
	e.Rows = 1
	for _, kind := range belongings {
		n, err := wipeAll(ctx, tx, func(after string) ([]row.Key, error) { return tx.KeysOfUser(ctx, kind, user.ID, after, rowsPage) })
		if e.Rows += n; err != nil {
			return err
		}
	}
	if err := wipeByAddress(ctx, tx, &e); err != nil {
		return err
	}
	if err := tx.EraseOverrides(ctx, user.ID); err != nil {
		return err
	}
	if err := tx.EraseConsumerErrors(ctx, user.ID); err != nil {
		return err
	}
	if err := tx.EraseMachineTokens(ctx, user.ID); err != nil {
		return err
	}
	if err := tx.EraseJobFailures(ctx, []string{user.ID}); err != nil {
		return err
	}
	if err := tx.ClearVerify(ctx, user.Key, tx.Head.Writes); err != nil {
		return err
	}
	return tx.BeginErasure(ctx, e)
}

// wipeByAddress wipes what was sent to the user's addresses, and adds its ids to the search.
func wipeByAddress(ctx context.Context, tx *store.Tx, e *store.Erasure) error {
	for _, address := range e.Search[1:] {
		if !converge.IsAddress(address) {
			continue
		}
		for _, kind := range []clerk.Kind{clerk.KindInvitation, clerk.KindWaitlistEntry} {
			n, err := wipeAll(ctx, tx, func(after string) ([]row.Key, error) {
				keys, err := tx.KeysOfAddress(ctx, kind, address, after, rowsPage)
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
	return nil
}

func wipeAll(ctx context.Context, tx *store.Tx, page func(after string) ([]row.Key, error)) (n int64, err error) {
	err = store.EachPage(page, func(keys []row.Key) error {
		changed, err := rewriteRows(ctx, tx, keys, func(r *row.Row) bool {
			if r.Erased {
				return false
			}
			wipe(r)
			return true
		})
		n += changed
		return err
	})
	return n, err
}

// rewriteRows changes and saves the rows of some keys, and returns how many it changed. The change
// feed gets an entry for each that is visible.
func rewriteRows(ctx context.Context, tx *store.Tx, keys []row.Key, change func(*row.Row) bool) (n int64, err error) {
	rows, err := tx.Rows(ctx, keys)
	if err != nil {
		return 0, err
	}
	var changed []*row.Row
	var entries []row.Change
	for _, k := range keys {
		r := rows[k]
		if r == nil || !change(r) {
			continue
		}
		changed = append(changed, r)
		if !r.Hidden() && !goesWithUser(r) {
			entries = append(entries, ofErasure(r.Change(row.OpUpdated, nil)))
		}
	}
	if err := tx.SaveRows(ctx, changed); err != nil {
		return 0, err
	}
	return int64(len(changed)), tx.AppendChanges(ctx, entries)
}

// goesWithUser reports whether a row was erased with its user, whose deletion hides it.
func goesWithUser(r *row.Row) bool {
	return r.Erased && slices.Contains(row.ParentKinds(r.Kind), clerk.KindUser)
}
