package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// A query that was still under way after Close opened the file again, while its folder was removed.
// A Close that waited with its lock held made a transaction that needs the lock wait for it.
func TestCloseWaitsForATransactionUnderWay(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	started, finish, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ctx := context.WithoutCancel(t.Context())
		_ = db.Update(ctx, func(tx *store.Tx) error { // it may fail: the database is being closed
			close(started)
			<-finish
			return tx.SaveRows(ctx, []*row.Row{{Key: row.Key{Kind: clerk.KindUser, ID: "user_1"}}})
		})
	}()
	<-started
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-closed:
		t.Error("the database was closed while a transaction was under way")
	case <-time.After(100 * time.Millisecond): // it waits
	}
	close(finish)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the transaction waits for Close")
	}
	<-closed
	<-ended
}
