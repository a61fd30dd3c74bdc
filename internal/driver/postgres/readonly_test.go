package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// A handle that only reads works for a role that may only SELECT, and the server refuses its writes
// even where the role might do more.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	writer, err := postgres.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := writer.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, dsn := range map[string]string{"a role that may only SELECT": testenv.Reader(t, dsn), "the owner": dsn} {
		db, err := postgres.OpenReadOnly(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.CheckSchema(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c, err := db.Inspect(t.Context())
		if err != nil || c.Settings["read_only"] != "false" || (c.Settings["may_write"] == "true") != (name == "the owner") {
			t.Errorf("%s examines %+v, %v", name, c, err)
		}
		if err := db.Update(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("%s: a writing transaction: %v", name, err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "note", "written") })
		if err == nil || !strings.Contains(err.Error(), "25006") {
			t.Errorf("%s: a write in a transaction that only reads: %v", name, err)
		}
		if err := db.Exec(t.Context(), "UPDATE clerk_head SET seq = 7"); err == nil {
			t.Errorf("%s has written", name)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadOnlyMalformedConnectionStringIsNotQuoted(t *testing.T) {
	t.Parallel()
	if _, err := postgres.OpenReadOnly("postgres://user:sec ret@host:port/db"); err == nil || strings.Contains(err.Error(), "ret@") {
		t.Errorf("error %v: want one that does not quote the password", err)
	}
}
