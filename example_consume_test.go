package clerksync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// Welcome new users by mail. The consumer keeps its place in the database, so that a restart goes
// on where it was, and one of several replicas works.
func ExampleMirror_Consume() {
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
	for _, name := range []string{"Ada", "Bob"} { // events and Run do this in a real service
		object := fmt.Sprintf(`{"object":"user","id":"user_%[1]s","first_name":%[1]q,"created_at":1,"updated_at":1}`, name)
		if _, err := m.Users().Apply(ctx, json.RawMessage(object)); err != nil {
			log.Fatal(err)
		}
	}

	welcome := func(ctx context.Context, c mirror.Change) error {
		user, err := m.Users().ByClerkID(ctx, c.ID) // the change names the user, the mirror has it
		if errors.Is(err, clerksync.ErrNotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err // tried again
		}
		fmt.Println("Welcome,", user.FirstName)
		if user.FirstName == "Bob" {
			stop() // a real service stops at SIGTERM
		}
		return nil
	}
	err = m.Consume(ctx, "welcome-mail", welcome,
		clerksync.OnlyTypes("user.created"), clerksync.ParkAfter(10), clerksync.StartAt(mirror.FeedStart))
	if err != nil {
		log.Fatal(err)
	}
	consumers, err := m.Feed().Consumers(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(consumers[0].Name, "has", consumers[0].LagChanges, "changes left")
	// Output:
	// Welcome, Ada
	// Welcome, Bob
	// welcome-mail has 0 changes left
}
