package reconcile_test

import (
	"errors"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// Who was erased here while Clerk still has them is no drift, is not read again, and does not come
// back.
func TestTheErasedAreNoDrift(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20, Organizations: 2, Memberships: 30}, func(l *lab) {
		l.backfill()
		id := l.any(clerk.KindUser).ID
		_, _, err := l.m.Users().Erase(l.Context(), id)
		l.must(err)
		l.rename(id, "Zback")
		l.must(l.e.Settle(l.Context()))
		for range 2 {
			if report := l.walk(reconcile.Options{}); !report.Complete() || report.Found != 0 {
				l.Errorf("%+v", report)
			}
		}
		_, err = l.r.Tick(l.Context())
		l.must(err)
		if _, err := l.m.Users().Get(l.Context(), id); !errors.Is(err, clerksync.ErrNotFound) {
			l.Errorf("the user is back: %v", err)
		}
		l.must(l.db.Update(l.Context(), func(tx *store.Tx) error {
			rows, err := tx.Rows(l.Context(), []store.Key{{Kind: clerk.KindUser, ID: id}})
			for _, row := range rows {
				if row.Raw != "" || !row.Tombstoned || !row.Erased || row.UpdatedAt != 0 {
					l.Errorf("the row is %+v", row)
				}
			}
			if len(rows) != 1 {
				l.Error("the row is gone")
			}
			keys, err2 := tx.KeysOfUser(l.Context(), clerk.KindMembership, id, "", 10)
			if len(keys) == 0 {
				l.Error("a user without memberships proves nothing")
			}
			rows, err3 := tx.Rows(l.Context(), keys)
			for _, row := range rows {
				if !row.Erased || row.Body().Get("public_user_data").Exists() || row.UserID != id || row.OrganizationID == "" {
					l.Errorf("the membership is %s", row.Raw)
				}
			}
			return errors.Join(err, err2, err3)
		}))
	})
}
