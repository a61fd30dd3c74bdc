package privacy

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Bounds of the search for copies.
const (
	usersTogether = 500 // users searched for in one pass
	bodiesPage    = 1000
	bodiesBytes   = 4 << 20
)

// FinishErasures searches for copies of erased users in other rows and in the inbox, and removes
// them. A search that was interrupted continues where it stopped. The result is the number of
// searches that it finished.
func FinishErasures(ctx context.Context, db *store.DB) (n int, err error) {
	for {
		open, err := db.OpenErasures(ctx, usersTogether)
		if err != nil || len(open) == 0 {
			return n, err
		}
		if err := search(ctx, db, open); err != nil {
			return n, fmt.Errorf("search for copies of erased users: %w", err)
		}
		n += len(open)
	}
}

// search makes one pass for users whose searches stand at the same place. Rows come last, so that a
// search that the application's OnChange keeps from its end continues with them.
func search(ctx context.Context, db *store.DB, open []store.Erasure) error {
	cursor, f := open[0].Cursor, newFinder(open)
	for {
		list, last, err := db.Bodies(ctx, cursor, bodiesPage, bodiesBytes)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		cursor = last
		if err := eraseBodies(ctx, db, open, f, list, cursor); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := maskCopies(ctx, db, open, f); err != nil {
		return err
	}
	return db.Update(ctx, func(tx *store.Tx) error {
		if err := maskJobs(ctx, tx, f); err != nil {
			return err
		}
		for i := range open {
			if err := tx.EndErasure(ctx, open[i].ClerkUserID); err != nil {
				return err
			}
		}
		return nil
	})
}

func eraseBodies(ctx context.Context, db *store.DB, open []store.Erasure, f *finder, list []store.Delivery, cursor string) error {
	var ids []string
	counts := make([]int64, len(open))
	for _, d := range list {
		users := f.findIn(&d)
		for i := range users {
			counts[i]++
		}
		if len(users) > 0 {
			ids = append(ids, d.MessageID)
		}
	}
	return db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.EraseDeliveries(ctx, ids); err != nil {
			return err
		}
		if err := tx.EraseJobFailures(ctx, ids); err != nil {
			return err
		}
		return tx.AdvanceErasures(ctx, open, cursor, counts)
	})
}

// maskJobs removes the users from the filters of jobs.
func maskJobs(ctx context.Context, tx *store.Tx, f *finder) error {
	list, err := tx.JobsThatSearch(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		found := f.find(list[i].Filter.Search + "\n" + list[i].Filter.Text)
		f.findNames(list[i].Filter.Search, found)
		if len(found) > 0 {
			if err := tx.MaskJob(ctx, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// kindsWithCopies are the kinds whose rows hold copies of other users: the inviter, the payer.
var kindsWithCopies = []clerk.Kind{clerk.KindInvitation, clerk.KindSubscription, clerk.KindSubscriptionItem, clerk.KindPaymentAttempt}

// maskCopies reduces copies of the users in the rows of others, one page a transaction. A row that
// the application's OnChange refuses stays as it is, and is an error at the end.
func maskCopies(ctx context.Context, db *store.DB, open []store.Erasure, f *finder) (refused error) {
	mask := maskOf(open, f)
	for _, kind := range kindsWithCopies {
		err := db.UpdateInPages(ctx, kind, rowsPage, func(tx *store.Tx, keys []row.Key) error {
			n, err := rewriteRows(ctx, tx, keys, mask)
			if err == nil && n > 0 {
				err = tx.CountMasked(ctx, open[0].ClerkUserID, n)
			}
			return err
		})
		if _, refusal := errors.AsType[*mirror.OnChangeError](err); err != nil && !refusal {
			return err
		}
		refused = cmp.Or(err, refused)
	}
	return refused
}

// maskOf returns the function that reduces copies of the users in a row and reports whether it
// changed the row.
func maskOf(open []store.Erasure, f *finder) func(*row.Row) bool {
	ids := UserIDs{}
	for i := range open {
		ids[open[i].ClerkUserID] = true
	}
	isCopy := func(v clerk.Value) bool {
		if ids.isCopy(v) {
			return true
		}
		for _, member := range v.All() {
			if f.is(member.String()) {
				return true
			}
		}
		return false
	}
	return func(r *row.Row) bool {
		if len(f.find(r.Raw)) == 0 {
			return false
		}
		body, changed := masked(r.Body(), isCopy)
		if changed {
			setBody(r, body)
		}
		return changed
	}
}
