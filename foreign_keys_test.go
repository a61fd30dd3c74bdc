package clerksync_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/clerksync/clerksync"
)

// TestForeignKeysOfAnApplicationHold: a row of an application that refers to clerk_users (id) stays
// valid when the user is deleted and erased, and in a mirror that is built again.
func TestForeignKeysOfAnApplicationHold(t *testing.T) {
	t.Parallel()
	// of Clerk's documentation; docs/schema.md has this id of its row
	const clerkID, id = "user_29w83sxmDNGwOuEthce5gg56FcC", "01811ad5-3e42-8bbf-9ad5-d58054614ac7"
	onBothEngines(t, nil, func(b *bench) {
		dsn, key := b.dsn, "UUID"
		if b.driver == "sqlite" {
			dsn, key = "file:"+b.dsn+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)", "TEXT"
		}
		db, err := sql.Open(b.driver, dsn)
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		exec := func(query string) error { _, err := db.ExecContext(b.Context(), query); return err }
		valid := func(when string) {
			b.Helper()
			if err := exec("UPDATE deals SET owner = '" + id + "'"); err != nil { // checks the key again
				b.Errorf("%s: %v", when, err)
			}
			var owners int
			err := db.QueryRowContext(b.Context(), "SELECT count(*) FROM deals d JOIN clerk_users u ON u.id = d.owner WHERE u.clerk_user_id = '"+clerkID+"'").Scan(&owners)
			if err != nil || owners != 1 {
				b.Errorf("%s: %d owners, %v", when, owners, err)
			}
		}
		user := fmt.Sprintf(`{"object":"user","id":%q,"first_name":"Ada","created_at":1780000000000,"updated_at":1780000000000}`, clerkID)
		b.event(envelope("user.created", 0, user))
		if err := exec("CREATE TABLE deals (deal_id TEXT PRIMARY KEY, owner " + key + " NOT NULL REFERENCES clerk_users (id))"); err != nil {
			b.Fatal(err)
		}
		if err := exec("INSERT INTO deals (deal_id, owner) VALUES ('d', '00000000-0000-0000-0000-000000000000')"); err == nil {
			b.Fatal("the foreign key is not checked")
		}
		if err := exec("INSERT INTO deals (deal_id, owner) VALUES ('d', '" + id + "')"); err != nil { // as a dump of another mirror has it
			b.Fatal(err)
		}
		b.event(envelope("user.deleted", 100, fmt.Sprintf(`{"object":"user","id":%q,"deleted":true}`, clerkID)))
		valid("after the deletion")
		if _, _, err := b.m.Users().Erase(b.Context(), clerkID); err != nil {
			b.Fatal(err)
		}
		valid("after the erasure")
		b.event(envelope("user.updated", 200, user))
		valid("after a late event")
		if _, err := b.m.Users().ByClerkID(b.Context(), clerkID); !errors.Is(err, clerksync.ErrNotFound) {
			b.Errorf("the erased user is back: %v", err)
		}
	})
}
