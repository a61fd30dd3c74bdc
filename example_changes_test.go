package clerksync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// Keep an index of names: first all users, then each change. The cursor is kept with the index.
func ExampleFeed_Page() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	apply := func(id, name string, at int) { // events and Run do this in a real service
		object := fmt.Sprintf(`{"object":"user","id":%q,"first_name":%q,"created_at":1,"updated_at":%d}`, id, name, at)
		if _, err := m.Users().Apply(ctx, json.RawMessage(object)); err != nil {
			log.Fatal(err)
		}
	}
	apply("user_ada", "Ada", 1)
	apply("user_bob", "Bob", 1)

	names := map[string]string{}
	q := mirror.FeedQuery{Kinds: []clerk.Kind{clerk.KindUser}, Snapshot: []clerk.Kind{clerk.KindUser}, IncludeObject: true, Wait: 10 * time.Second}
	for len(names) != 1 { // a real service follows until it stops
		page, err := m.Feed().Page(ctx, q)
		if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
			log.Print(gone) // the history is another one, or too old: begin again
			clear(names)
			q.After = ""
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		for _, change := range page.Changes {
			var user *struct {
				FirstName string `json:"first_name"`
			}
			if err := json.Unmarshal(change.Object, &user); err != nil {
				log.Fatal(err)
			}
			if user == nil { // not there any more
				delete(names, change.ID)
			} else {
				names[change.ID] = user.FirstName
			}
			fmt.Println(change.Type(), names)
		}
		if q.After = page.Next; len(page.Changes) == 2 {
			apply("user_ada", "Augusta", 2)
		} else if names["user_ada"] == "Augusta" {
			if err := m.Users().Delete(ctx, "user_bob"); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// user.read map[user_ada:Ada]
	// user.read map[user_ada:Ada user_bob:Bob]
	// user.updated map[user_ada:Augusta user_bob:Bob]
	// user.deleted map[user_ada:Augusta]
}

// Follow what changes, from a cursor that was kept.
func ExampleMirror_Changes() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	object := `{"object":"user","id":"user_ada","first_name":"Ada","created_at":1,"updated_at":1}`
	if _, err := m.Users().Apply(ctx, json.RawMessage(object)); err != nil { // events and Run do this in a real service
		log.Fatal(err)
	}

	cursor := mirror.FeedStart // or what was kept
	for change, err := range m.Changes(ctx, cursor) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.Type(), change.ID)
		cursor = change.Cursor // keep it after the work
		break                  // a real service goes on
	}
	fmt.Println(cursor != mirror.FeedStart)
	// Output:
	// user.created user_ada
	// true
}
