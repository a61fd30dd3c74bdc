package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

func byRowID(t *testing.T, db *store.DB) {
	save(t, db, newRow(t, clerk.KindUser, `{"id":"user_1"}`))
	id := store.UserID("user_1")
	for _, spelling := range []string{id, strings.ToUpper(id)} {
		if u, err := db.UserByID(t.Context(), spelling); err != nil || u.ClerkUserID != "user_1" || u.ID != id {
			t.Errorf("by %s: %+v, %v", spelling, u, err)
		}
	}
	for _, none := range []string{"", "user_1", id[:35], id + "0", strings.ReplaceAll(id, "-", ""), strings.Replace(id, "-", "x", 1), store.UserID("user_2")} {
		if _, err := db.UserByID(t.Context(), none); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("by %q: %v, want not found", none, err)
		}
	}
}

// foreignKey: a user's row is never removed, so that a row of an application that names it stays
// valid.
func foreignKey(t *testing.T, db *store.DB) {
	typ := map[store.Engine]string{store.SQLite: "TEXT", store.Postgres: "UUID"}[db.Engine()]
	if db.Engine() == store.SQLite { // it checks foreign keys only where it is told to
		must(t, db.Exec(t.Context(), "PRAGMA foreign_keys = ON"))
	}
	must(t, db.Exec(t.Context(), "CREATE TABLE deals (deal_id TEXT PRIMARY KEY, owner "+typ+" NOT NULL REFERENCES clerk_users (id))"))
	if err := db.Exec(t.Context(), "INSERT INTO deals (deal_id, owner) VALUES ('d0', '"+store.UserID("user_nobody")+"')"); err == nil {
		t.Fatal("the foreign key is not checked: this test shows nothing")
	}
	user := newRow(t, clerk.KindUser, `{"id":"user_1","first_name":"Ada"}`)
	save(t, db, user)
	must(t, db.Exec(t.Context(), "INSERT INTO deals (deal_id, owner) VALUES ('d1', '"+store.UserID("user_1")+"')"))

	user.Tombstoned, user.DeletedAt = true, 7 // deleted at Clerk
	save(t, db, user)
	user.SetBody(clerk.Value{}, "") // … erased
	user.Erased = true
	save(t, db, user)
	_, err := db.PurgeChanges(t.Context(), 8, 8)
	must(t, err)
	must(t, db.Exec(t.Context(), "UPDATE deals SET owner = '"+store.UserID("user_1")+"'"))
	save(t, db, newRow(t, clerk.KindUser, `{"id":"user_1","first_name":"Ada"}`)) // … and filled again
	must(t, db.Exec(t.Context(), "UPDATE deals SET owner = '"+store.UserID("user_1")+"'"))
}
