package testkit

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// Engines returns the names of the database engines.
func Engines() []string { return []string{"sqlite", "postgres"} }

// Database is a database that one test uses. Several handles may be opened on it, as several
// processes do.
type Database struct {
	Engine string // "sqlite" or "postgres"
	Driver string // the name of its driver for database/sql
	DSN    string // a file, or the URL of a Postgres database

	opened *store.DB
	raw    *sql.DB
}

// EachEngine runs a test in parallel on an empty database of each engine. It fails if there is no
// Postgres.
func EachEngine(t *testing.T, test func(*testing.T, *Database)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, NewDatabase(t, engine))
		})
	}
}

// NewDatabase returns an empty database that is removed when the test ends.
func NewDatabase(t testing.TB, engine string) *Database {
	t.Helper()
	switch engine {
	case "sqlite":
		return SQLiteFile(filepath.Join(t.TempDir(), "clerk.db"))
	case "postgres":
		return PostgresAt(testenv.Postgres(t))
	}
	t.Fatalf("testkit: there is no engine %q", engine)
	return nil
}

// SQLiteFile returns the database of a file.
func SQLiteFile(path string) *Database {
	return &Database{Engine: "sqlite", Driver: "sqlite", DSN: path}
}

// PostgresAt returns the database of a URL.
func PostgresAt(dsn string) *Database {
	return &Database{Engine: "postgres", Driver: "pgx", DSN: dsn}
}

// Opened returns a database that the test opened itself. The handle is closed when the test ends.
func Opened(db *store.DB, raw *sql.DB) *Database { return &Database{opened: db, raw: raw} }

// URL returns the database as DATABASE_URL names it.
func (d *Database) URL() string {
	if d.Engine == "sqlite" {
		return "sqlite:" + d.DSN
	}
	return d.DSN
}

// Connect opens a handle on the database as it is. The handle is closed when the test ends.
func (d *Database) Connect(t testing.TB) *store.DB {
	t.Helper()
	return d.connect(t)
}

// Open opens a handle and migrates the database. The handle is closed when the test ends.
func (d *Database) Open(t testing.TB) *store.DB {
	t.Helper()
	return migrate(t, d.connect(t))
}

// OpenFast is [Database.Open] for tests with many commits: SQLite does not wait for the disk.
func (d *Database) OpenFast(t testing.TB) *store.DB {
	t.Helper()
	return migrate(t, d.connect(t, sqlite.DangerouslySynchronousNormal()))
}

func migrate(t testing.TB, db *store.DB) *store.DB {
	t.Helper()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func (d *Database) connect(t testing.TB, options ...sqlite.Option) *store.DB {
	t.Helper()
	db := d.opened
	var err error
	switch {
	case db != nil:
	case d.Engine == "sqlite":
		db, err = sqlite.Open(d.DSN, options...)
	default:
		db, err = postgres.Open(d.DSN)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// SQL returns a plain handle, to read and to write tables without clerksync. It is closed when the
// test ends.
func (d *Database) SQL(t testing.TB) *sql.DB {
	t.Helper()
	if d.raw != nil {
		return d.raw
	}
	return PlainSQL(t, d.Driver, d.DSN)
}

// PlainSQL opens a handle without clerksync, by the driver and the path or the address of a
// database. On SQLite it waits for writers as clerksync does, so that a test does not fail because
// the mirror writes at the same moment. The handle is closed when the test ends.
func PlainSQL(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	if driver == "sqlite" {
		separator := "?"
		if strings.Contains(dsn, "?") {
			separator = "&"
		}
		dsn = "file:" + strings.TrimPrefix(dsn, "file:") + separator + "_pragma=busy_timeout(10000)"
	}
	raw, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}
