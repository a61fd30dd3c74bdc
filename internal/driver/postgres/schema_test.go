package postgres_test

import (
	"database/sql"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestSchema(t *testing.T) {
	t.Parallel()
	storetest.Schema(t, openTwice)
}

// openTwice returns a handle on a fresh database, and a plain pool of the same one.
func openTwice(t *testing.T) (*store.DB, *sql.DB) {
	t.Helper()
	dsn := testenv.Postgres(t)
	db, err := postgres.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	raw, err := sql.Open("pgx", dsn)
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
