package reconcile_test

import (
	"errors"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A user that was erased here while Clerk still has it is not drift, is not read again, and does
// not come back.
func TestErasedUserIsNoDrift(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 20, Organizations: 2, Memberships: 30}, func(e *env) {
		e.Backfill()
		id := e.AnyRow(clerk.KindUser).ID
		e.Must(e.Ingest.Erase(e.Context(), id))
		e.Rename(id, "Zback")
		e.Must(e.Clerk.Settle(e.Context()))
		for range 2 {
			if report := e.Walk(mirror.ReconcileOptions{}); !report.Complete() || report.Found != 0 {
				e.Errorf("%+v", report)
			}
		}
		_, err := e.Reconciler.Tick(e.Context())
		e.Must(err)
		if _, err := e.DB.UserByClerkID(e.Context(), id); !errors.Is(err, store.ErrNotFound) {
			e.Errorf("the user is back: %v", err)
		}
		e.Must(e.DB.Update(e.Context(), func(tx *store.Tx) error {
			rows, err := tx.Rows(e.Context(), []row.Key{{Kind: clerk.KindUser, ID: id}})
			for _, row := range rows {
				if row.Raw != "" || !row.Tombstoned || !row.Erased || row.UpdatedAt != 0 {
					e.Errorf("the row is %+v", row)
				}
			}
			if len(rows) != 1 {
				e.Error("the row is gone")
			}
			keys, err2 := tx.KeysOfUser(e.Context(), clerk.KindMembership, id, "", 10)
			if len(keys) == 0 {
				e.Error("a user without memberships proves nothing")
			}
			rows, err3 := tx.Rows(e.Context(), keys)
			for _, row := range rows {
				if !row.Erased || row.Body().Get("public_user_data").Exists() || row.UserID != id || row.OrganizationID == "" {
					e.Errorf("the membership is %s", row.Raw)
				}
			}
			return errors.Join(err, err2, err3)
		}))
	})
}
