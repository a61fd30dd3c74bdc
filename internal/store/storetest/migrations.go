package storetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// Upgrade checks how a database comes from one version of the schema to the next, and which
// databases are refused. open returns handles on one and the same database, which is fresh for each
// test.
func Upgrade(t *testing.T, fresh func(t *testing.T) (open func() *store.DB)) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func() *store.DB){
		"rows survive a later migration":        laterMigration,
		"replicas may migrate at the same time": concurrentMigrations,
		"a newer schema is refused":             newerSchema,
		"another build's schema is refused":     alteredSchema,
		"an unreleased schema is refused":       unreleasedSchema,
		"a failed migration leaves nothing":     failedMigration,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := fresh(t)
			test(t, func() *store.DB {
				db := open()
				t.Cleanup(func() { _ = db.Close() })
				return db
			})
		})
	}
}

// versions are the migrations of an older version, which are those of this one, and of a newer one.
func versions(t *testing.T, later string) (older, newer fstest.MapFS) {
	t.Helper()
	schema, err := os.ReadFile(filepath.Join(testenv.Root(t), "internal", "store", "migrations", "0001_schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	older = fstest.MapFS{"0001_schema.sql": {Data: schema}}
	newer = fstest.MapFS{"0001_schema.sql": {Data: schema}, "0002_later.sql": {Data: []byte(later)}}
	return older, newer
}

const laterText = `ALTER TABLE clerk_domains ADD COLUMN noted_at @time;
@sqlite
CREATE TABLE later_sqlite (a TEXT);
@postgres
CREATE TABLE later_postgres (a TEXT);
@end
`

func laterMigration(t *testing.T, open func() *store.DB) {
	older, newer := versions(t, laterText)
	old := open()
	old.UseMigrations(older)
	must(t, old.Migrate(t.Context()))
	save(t, old, newRow(t, clerk.KindUser, `{"id":"user_1","first_name":"Ada","updated_at":3}`))

	db := open()
	db.UseMigrations(newer)
	if err := db.CheckSchema(t.Context()); !errors.Is(err, store.ErrOlderSchema) || !strings.Contains(err.Error(), "0002_later.sql") {
		t.Errorf("before the migration: %v", err)
	}
	must(t, db.Migrate(t.Context()))
	must(t, db.CheckSchema(t.Context()))
	must(t, db.Exec(t.Context(), "UPDATE clerk_domains SET noted_at = 1"))
	must(t, db.Exec(t.Context(), "INSERT INTO later_"+string(db.Engine())+" (a) VALUES ('x')"))
	if u, err := db.UserByClerkID(t.Context(), "user_1"); err != nil || u.FirstName != "Ada" {
		t.Errorf("after the upgrade the user is %+v, %v", u, err)
	}
	if u := load(t, db, row.Key{Kind: clerk.KindUser, ID: "user_1"}); u == nil || u.Altered || u.UpdatedAt != 3000 {
		t.Errorf("after the upgrade the row is %+v", u)
	}
	audit(t, db)
	other := open()
	other.UseMigrations(newer)
	otherProcess(t, db, other)
}

func concurrentMigrations(t *testing.T, open func() *store.DB) {
	_, newer := versions(t, laterText)
	var wg sync.WaitGroup
	for range 4 {
		db := open()
		db.UseMigrations(newer)
		wg.Go(func() {
			if err := db.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func newerSchema(t *testing.T, open func() *store.DB) {
	older, newer := versions(t, laterText)
	db := open()
	db.UseMigrations(newer)
	must(t, db.Migrate(t.Context()))
	old := open()
	old.UseMigrations(older)
	refused(t, old, store.ErrNewerSchema)
}

func alteredSchema(t *testing.T, open func() *store.DB) {
	_, newer := versions(t, laterText)
	db := open()
	db.UseMigrations(newer)
	must(t, db.Migrate(t.Context()))
	_, altered := versions(t, laterText+"CREATE TABLE more (a TEXT);")
	other := open()
	other.UseMigrations(altered)
	refused(t, other, store.ErrAlteredSchema)
}

func unreleasedSchema(t *testing.T, open func() *store.DB) {
	db := open()
	must(t, db.Exec(t.Context(), "CREATE TABLE clerk_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)"))
	must(t, db.Exec(t.Context(), "INSERT INTO clerk_migrations (name, checksum, applied_at) VALUES ('0001_first_light.sql', 'x', 1)"))
	must(t, db.Exec(t.Context(), "CREATE TABLE clerk_users (id TEXT PRIMARY KEY)"))
	refused(t, db, store.ErrUnreleasedSchema)
}

// refused checks that a database can be neither migrated nor read, and why.
func refused(t *testing.T, db *store.DB, want error) {
	t.Helper()
	if err := db.Migrate(t.Context()); !errors.Is(err, want) {
		t.Errorf("migrate: %v; want %v", err, want)
	}
	if err := db.CheckSchema(t.Context()); !errors.Is(err, want) {
		t.Errorf("check: %v; want %v", err, want)
	}
}

func failedMigration(t *testing.T, open func() *store.DB) {
	older, newer := versions(t, laterText+"this is no SQL;\n")
	db := open()
	db.UseMigrations(newer)
	if err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "0002_later.sql") {
		t.Errorf("a migration that cannot run: %v", err)
	}
	if err := db.CheckSchema(t.Context()); !errors.Is(err, store.ErrNoMirror) {
		t.Errorf("after it: %v; want that nothing was made", err)
	}
	again := open()
	again.UseMigrations(older)
	must(t, again.Migrate(t.Context()))
}

func migrated(t *testing.T, db *store.DB) {
	must(t, db.CheckSchema(t.Context()))
	c, err := db.Inspect(t.Context())
	if err != nil || c.Schema != nil || len(c.Pending)+len(c.Unknown) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
