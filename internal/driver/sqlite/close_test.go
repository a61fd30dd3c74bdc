package sqlite_test

import (
	"context"
	"database/sql/driver"
	"path/filepath"
	"sync"
	"testing"
	"time"

	modernc "modernc.org/sqlite"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
)

// A query that was still under way after Close opened the file again, while its folder was removed.
func TestCloseWaitsForAQueryUnderWay(t *testing.T) {
	t.Parallel()
	started, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	modernc.MustRegisterScalarFunction("test_close_gate", 0, func(*modernc.FunctionContext, []driver.Value) (driver.Value, error) {
		once.Do(func() { close(started) })
		<-finish
		return int64(1), nil
	})
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = db.Exec(context.WithoutCancel(t.Context()), "SELECT test_close_gate()") }()
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
		t.Error("the database was closed while a query was under way")
	case <-time.After(100 * time.Millisecond): // it waits
	}
	close(finish)
	<-closed
}
