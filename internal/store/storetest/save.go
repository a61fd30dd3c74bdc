package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// savesWhatDiffers demands that a row which a transaction has loaded is saved whole, whichever of
// its columns differ from what is stored: none, one that an index has, many, again and back.
func savesWhatDiffers(t *testing.T, db *store.DB) {
	const user = `{"id":"user_1","email":%q,"username":%q,"first_name":"Ada","last_name":"Lovelace","created_at":%d,"public_metadata":{"n":%d}}`
	body := func(r *row.Row, email, username string, created, n int) {
		v, err := clerk.Parse([]byte(strings.ReplaceAll(fmt.Sprintf(user, email, username, created, n), `\x1f`, `\u001f`)))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBody(v, v.JSON())
	}
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	save(t, db, userRow(t, key.ID, "ada@example.com", "", "Ada", "Lovelace"))
	for i, change := range []func(r *row.Row){
		func(*row.Row) {},
		func(r *row.Row) { body(r, "ada@example.com", "", 1, 2) },
		func(r *row.Row) { body(r, "ada@example.com", "", 1, 3) },
		func(r *row.Row) { body(r, "countess@example.com", "", 1, 3) },
		func(r *row.Row) { body(r, "", "countess\x1fof", 1, 3) },
		func(r *row.Row) { body(r, "", "countess", 1, 3) },
		func(r *row.Row) { body(r, "Ada@example.com", "ada\x1f", 9, 3) },
		func(r *row.Row) { r.BannedAt, r.Overrides = 77, row.Overrides("").With(row.OverrideBanned, "true") },
		func(r *row.Row) { r.Overrides = "" },
		func(r *row.Row) { r.Rank, r.ReadAfter, r.VerifiedAt = row.IDOnly, 5, 6 },
		func(r *row.Row) { r.GoneAt = r.SeenAt + 1 },
		func(r *row.Row) { r.GoneAt = 0 },
		func(r *row.Row) { r.Tombstoned, r.DeletedAt = true, 99 },
		func(r *row.Row) { r.Erased, r.Raw = true, "" },
	} {
		saveLoaded(t, db, key, fmt.Sprintf("change %d", i), change)
	}
	session := newRow(t, clerk.KindSession, `{"id":"sess_1","user_id":"user_1","status":"active"}`)
	save(t, db, session)
	saveLoaded(t, db, session.Key, "a moved session", func(r *row.Row) { r.UserID = "user_2" })
	if err := db.CheckIntegrity(t.Context()); db.Engine() == store.SQLite && err != nil {
		t.Error(err)
	}
}

// saveLoaded loads a row, changes it and saves it, in one transaction.
func saveLoaded(t *testing.T, db *store.DB, key row.Key, name string, change func(*row.Row)) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Rows(t.Context(), []row.Key{key})
		if err != nil {
			return err
		}
		r := rows[key]
		change(r)
		if err := tx.SaveRows(t.Context(), []*row.Row{r}); err != nil {
			return err
		}
		differ, err := tx.Altered(t.Context(), r)
		if len(differ) > 0 {
			t.Errorf("%s: the columns %s were not saved", name, strings.Join(differ, ", "))
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if load(t, db, key).Altered {
		t.Errorf("%s: the checksum is not that of the columns", name)
	}
}
