package clerksync_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

// foreignDB is a database that neither package sqlite nor package postgres opened.
type foreignDB struct{}

func (foreignDB) Engine() mirror.Engine         { return mirror.SQLite }
func (foreignDB) Migrate(context.Context) error { return nil }
func (foreignDB) Close() error                  { return nil }

// A handle that is nil, because an error of Open was not looked at, is an error and no panic.
func TestNewRefusesWhatIsNoOpenDatabase(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]clerksync.DB{
		"nothing":               nil,
		"a nil SQLite handle":   (*sqlite.DB)(nil),
		"a nil Postgres handle": (*postgres.DB)(nil),
		"an unopened handle":    &sqlite.DB{},
		"a foreign type":        foreignDB{},
	} {
		if _, err := clerksync.New(t.Context(), db, clerksync.Config{}); err == nil {
			t.Errorf("New on %s: no error", name)
		}
		if err := clerksync.Migrate(t.Context(), db, clerksync.Config{}); err == nil {
			t.Errorf("Migrate of %s: no error", name)
		}
	}
}

// Two mirrors on one handle would close each other's database.
func TestSecondMirrorOnOneHandleIsRefused(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := clerksync.New(t.Context(), db, clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := clerksync.New(t.Context(), db, clerksync.Config{}); err == nil {
		t.Error("a second mirror has the handle of the first")
	}
	if !first.Health(t.Context()).Database.OK {
		t.Error("the database of the first mirror was closed")
	}
}
