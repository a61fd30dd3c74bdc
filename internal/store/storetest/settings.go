package storetest

import (
	"slices"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// settings: what one transaction puts into force holds in it, and for the handle after its commit;
// a view sees it without a lock; the first instance stays.
func settings(t *testing.T, db *store.DB) {
	ctx := t.Context()
	if s := db.Settings(); s.Revision == 0 || s.Ladder != nil || s.Redact != nil || s.Instance != "" || len(s.Roles()) == 0 {
		t.Fatalf("the first settings are %+v", s)
	}
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	user := newRow(t, clerk.KindUser, `{"id":"user_1","public_metadata":{"role":"boss"}}`)
	change := func(tx *store.Tx) error {
		return tx.ChangeSettings(ctx, func(s *store.Settings) { s.Ladder, s.Redact = []string{"low", "boss"}, []string{} })
	}
	err := db.Update(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return tx.SaveRows(ctx, []*row.Row{user})
	})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := db.UserByClerkID(ctx, key.ID); err != nil || u.Role != "boss" {
		t.Errorf("saved under the new ladder: %q, %v", u.Role, err)
	}
	known := db.Settings()
	loaded, err := db.LoadSettings(ctx)
	if err != nil || !slices.Equal(loaded.Ladder, known.Ladder) || loaded.Redact == nil || loaded.Revision != known.Revision {
		t.Errorf("loaded %+v, %v; known are %+v", loaded, err, known)
	}
	err = db.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.UsersOfAnotherRole(ctx, known.Ladder, []string{"low", "other"}, "", 10)
		if len(keys) != 1 || keys[0] != key || tx.Settings().Revision != known.Revision || !tx.ReadOnly() {
			t.Errorf("in a view: %v of %+v", keys, tx.Settings())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		return tx.ChangeSettings(ctx, func(s *store.Settings) { s.Ladder = []string{"twice", "twice"} })
	})
	if err == nil || !slices.Equal(db.Settings().Ladder, known.Ladder) {
		t.Errorf("a ladder with a role named twice: %v", err)
	}
	for _, c := range []struct{ instance, want string }{{"", ""}, {"ins_1", "ins_1"}, {"ins_2", "ins_1"}} {
		if got, err := db.RememberInstance(ctx, c.instance); err != nil || got != c.want {
			t.Errorf("told of %q it remembers %q, %v", c.instance, got, err)
		}
	}
}

// otherProcess: what another process puts into force holds for the next transaction of this one,
// without asking.
func otherProcess(t *testing.T, db, other *store.DB) {
	t.Helper()
	ctx := t.Context()
	if err := other.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	err := other.Update(ctx, func(tx *store.Tx) error {
		return tx.ChangeSettings(ctx, func(s *store.Settings) { s.Ladder = []string{"low", "boss"} })
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		return tx.SaveRows(ctx, []*row.Row{newRow(t, clerk.KindUser, `{"id":"user_1","public_metadata":{"role":"boss"}}`)})
	})
	if u, err2 := db.UserByClerkID(ctx, "user_1"); err != nil || err2 != nil || u.Role != "boss" {
		t.Errorf("the role is %q, %v, %v; want that of the ladder in force", u.Role, err, err2)
	}
}
