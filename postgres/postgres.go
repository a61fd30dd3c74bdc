package postgres

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/mirror"
)

// DB is an open Postgres database. clerksync.New takes it over: closing the mirror closes it, but
// never a pool that the application gave to [FromPool] or [FromDB].
type DB struct{ handle }

type handle = driver.Handle

// Engine returns [mirror.Postgres].
func (db *DB) Engine() mirror.Engine { return db.handle.Engine() }

// Migrate brings the schema up to date, as clerksync.New does.
func (db *DB) Migrate(ctx context.Context) error { return db.handle.Migrate(ctx) }

// Ping reports whether the database responds. It connects if there is no connection yet. The error
// for a database that cannot be used is a [*mirror.DatabaseError].
func (db *DB) Ping(ctx context.Context) error {
	opened, err := driver.Of(db)
	if err != nil {
		return err
	}
	return opened.Explain(opened.Ping(ctx))
}

// InstallRLS makes the functions that policies of row-level security call, in the schema clerksync,
// or replaces those of another version, and lets the named roles call them. The tables of the
// mirror must exist: call [DB.Migrate] before. docs/row-level-security.md describes the functions.
func (db *DB) InstallRLS(ctx context.Context, roles ...string) error {
	opened, err := driver.Of(db)
	if err != nil {
		return err
	}
	return opened.InstallRowSecurity(ctx, roles...)
}

// RemoveRLS removes the functions of [DB.InstallRLS]. It removes nothing, and returns an error that
// names what calls them, while policies or defaults call them.
func (db *DB) RemoveRLS(ctx context.Context) error {
	opened, err := driver.Of(db)
	if err != nil {
		return err
	}
	return opened.RemoveRowSecurity(ctx)
}

// Close closes the connections that [Open] or [OpenReadOnly] opened. A mirror on the database does
// that by itself. It leaves pools of the application open.
func (db *DB) Close() error { return db.handle.Close() }

// Open opens the database of a connection string (postgres://… or key=value), with at most 16
// connections. It does not connect yet: the first use notices a database that is down. It does not
// touch the schema: clerksync.New migrates it.
func Open(dsn string) (*DB, error) {
	db, err := postgres.Open(dsn)
	if err != nil {
		return nil, err
	}
	return &DB{*driver.NewHandle(db)}, nil
}

// OpenReadOnly opens a database for reading, as [Open] does, also by a role that may only SELECT.
// It tells the server to refuse every write of its connections. clerksync.New makes a mirror of it
// that only reads.
func OpenReadOnly(dsn string) (*DB, error) {
	db, err := postgres.OpenReadOnly(dsn)
	if err != nil {
		return nil, err
	}
	return &DB{*driver.NewHandle(db)}, nil
}

// FromPool uses a pool of the application. The application closes the pool, after the mirror.
func FromPool(pool *pgxpool.Pool) *DB { return &DB{*driver.NewHandle(postgres.FromPool(pool))} }

// FromDB uses a [sql.DB] of the application, which was opened with the driver of pgx (package
// stdlib). The application closes it, after the mirror.
func FromDB(db *sql.DB) (*DB, error) {
	opened, err := postgres.FromDB(db)
	if err != nil {
		return nil, err
	}
	return &DB{*driver.NewHandle(opened)}, nil
}
