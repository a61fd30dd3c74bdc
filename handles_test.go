package clerksync_test

import (
	"context"
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
