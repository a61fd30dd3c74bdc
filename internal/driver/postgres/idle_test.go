package postgres_test

import (
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// A server that is stopped, or cut off from the network, in the middle of a transaction holds the
// lock that all writers need. Postgres ends its transaction, and the others go on.
func TestAWriterThatStopsDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	open := func() *store.DB {
		db, err := postgres.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	stopped, other := open(), open()
	if err := stopped.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	inside, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- stopped.Update(t.Context(), func(tx *store.Tx) error {
			close(inside)
			<-goOn
			return tx.SetMeta(t.Context(), "writer", "stopped")
		})
	}()
	<-inside
	if err := other.Update(t.Context(), func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "writer", "other") }); err != nil {
		t.Errorf("the other writer: %v", err)
	}
	close(goOn)
	if err := <-ended; err == nil {
		t.Error("the writer that was stopped has written")
	}
	writer, err := other.Meta(t.Context(), "writer")
	if err != nil || writer != "other" {
		t.Errorf("%q has written, %v", writer, err)
	}
}
