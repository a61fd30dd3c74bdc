package clerksync_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// Give each new user a trial, in the transaction that stores the user, and remove it when the
// user's data is erased. The table of the application is in the same database.
func ExampleConfig_onChange() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	db, err := sqlite.Open(filepath.Join(folder, "app.db"))
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{OnChange: startTrials})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	// events and Run do this in a real service
	_, err = m.Users().Apply(ctx, json.RawMessage(`{"object":"user","id":"user_1","first_name":"Ada","updated_at":1790000000000}`))
	if err != nil {
		log.Fatal(err)
	}
	if _, _, err = m.Users().Erase(ctx, "user_1"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// user.created: trial for Ada
	// user.deleted: nothing to do
	// user.erased: 1 trial removed
}

func startTrials(ctx context.Context, tx *clerksync.Tx, changes []mirror.Change) error {
	// a migration of the application does this in a real service
	if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS trials (clerk_user_id TEXT PRIMARY KEY, first_name TEXT)"); err != nil {
		return err
	}
	for _, c := range changes {
		switch c.Type() {
		case "user.created":
			var name string
			err := tx.QueryRow(ctx, `INSERT INTO trials (clerk_user_id, first_name)
				SELECT clerk_user_id, first_name FROM clerk_users_live WHERE clerk_user_id = $1
				ON CONFLICT (clerk_user_id) DO UPDATE SET first_name = excluded.first_name RETURNING first_name`, c.ID).Scan(&name)
			if err != nil {
				return err
			}
			fmt.Println(c.Type() + ": trial for " + name)
		case "user.erased":
			result, err := tx.Exec(ctx, "DELETE FROM trials WHERE clerk_user_id = $1", c.ID)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			fmt.Printf("%s: %d trial removed\n", c.Type(), n)
		default:
			fmt.Println(c.Type() + ": nothing to do")
		}
	}
	return nil
}
