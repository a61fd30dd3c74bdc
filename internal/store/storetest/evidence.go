package storetest

import (
	"slices"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// unaccounted checks which rows a walk should have brought: those of which no read that was sent
// after its start, and no event of a later time, tells. Hidden ones are none of them.
func unaccounted(t *testing.T, db *store.DB) {
	seen := func(id string, readAfter int64, at clerk.Time) *row.Row {
		r := newRow(t, clerk.KindMembership, `{"id":"`+id+`"}`)
		r.UserID, r.ReadAfter, r.SeenAt = "user_1", readAfter, at
		return r
	}
	deleted, ofTheDeleted, gone := seen("deleted", 0, 1), seen("of the deleted", 0, 1), newRow(t, clerk.KindUser, `{"id":"user_2"}`)
	deleted.Tombstoned, gone.Tombstoned, ofTheDeleted.UserID = true, true, "user_2"
	save(t, db, newRow(t, clerk.KindUser, `{"id":"user_1"}`), gone, seen("read since", 7, 1), seen("read before", 6, 1), seen("never seen", 0, 0),
		seen("told since", 0, 1000), seen("told before", 0, 999), seen("beyond all times", 0, 9000), deleted, ofTheDeleted)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		tx.Head.HighWater = 2000
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		start   store.Start
		counted int64
		listed  []string // including rows whose time cannot be true
	}{
		{store.Start{}, 0, nil},
		{store.Start{Write: 7, By: 1000}, 3, []string{"beyond all times", "never seen", "read before", "told before"}},
		{store.Start{Write: 7}, 5, []string{"beyond all times", "never seen", "read before", "told before", "told since"}},
		{store.Start{Write: 6, By: 1000}, 2, []string{"beyond all times", "never seen", "told before"}},
	} {
		tally, err := db.KindCounts(t.Context(), clerk.KindMembership, test.start)
		if err != nil || tally.Unaccounted != test.counted || tally.Rows != 6 {
			t.Errorf("%+v: %+v, %v", test.start, tally, err)
		}
		rows, err := db.Unaccounted(t.Context(), clerk.KindMembership, test.start)
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		if err != nil || !slices.Equal(ids, test.listed) {
			t.Errorf("%+v: %v, %v", test.start, ids, err)
		}
	}
}
