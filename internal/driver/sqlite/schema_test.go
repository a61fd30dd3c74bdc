package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
)

func TestSchema(t *testing.T) {
	t.Parallel()
	storetest.Schema(t, openTwice)
}

// openTwice returns a handle on a fresh file, and a plain pool of the same file.
func openTwice(t *testing.T) (*store.DB, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return db, raw
}

func TestCookbook(t *testing.T) {
	t.Parallel()
	storetest.Cookbook(t, openTwice)
}
