package sqlite

import (
	"context"
	"errors"
	"strings"

	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/mirror"
)

// Memory is the path of a database in memory. It ends with its [DB].
const Memory = ":memory:"

// ErrNoDatabase means that there is no file to read, or an empty one.
var ErrNoDatabase = mirror.ErrNoDatabase

// DB is an open SQLite database. clerksync.New takes it over: closing the mirror closes it.
type DB struct{ handle }

type handle = driver.Handle

// Engine returns [mirror.SQLite].
func (db *DB) Engine() mirror.Engine { return db.handle.Engine() }

// Migrate brings the schema up to date, as clerksync.New does.
func (db *DB) Migrate(ctx context.Context) error { return db.handle.Migrate(ctx) }

// Close closes the database. A mirror on it closes it by itself.
func (db *DB) Close() error { return db.handle.Close() }

// Option changes how a file is opened.
type Option func(*sqliteOptions)

type sqliteOptions struct{ options []sqlite.Option }

// DangerouslySynchronousNormal acknowledges webhooks before their events are on the disk. That is
// much faster, and a power cut may lose what was acknowledged in the last moments; a crash of the
// process does not. It is right for tests, and for mirrors that are reconciled anyway.
func DangerouslySynchronousNormal() Option {
	return func(o *sqliteOptions) { o.options = append(o.options, sqlite.DangerouslySynchronousNormal()) }
}

// Open opens or creates the file at path, readable by its owner alone because it holds personal
// data, or a database in [Memory]. It does not touch the schema: clerksync.New migrates it. The
// error for a file that cannot be used is a [*mirror.DatabaseError].
func Open(path string, options ...Option) (*DB, error) {
	var o sqliteOptions
	for _, option := range options {
		option(&o)
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	db, err := sqlite.Open(path, o.options...)
	if err != nil {
		return nil, err
	}
	return &DB{*driver.NewHandle(db)}, nil
}

// OpenReadOnly opens the file at path for reading, also while another process writes it, by a user
// who may only read it, and in a folder where no file can be created. It changes nothing and
// creates no file. clerksync.New makes a mirror of it that only reads. The error is [ErrNoDatabase]
// where there is none.
//
// There is one exception: a write-ahead log with content and without its index, as a backup may
// contain it, can be read only after SQLite has created the index (the file with -shm at its end).
func OpenReadOnly(path string) (*DB, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	db, err := sqlite.OpenReadOnly(path)
	if err != nil {
		return nil, err
	}
	return &DB{*driver.NewHandle(db)}, nil
}

// checkPath refuses a DATABASE_URL of the server, which would become a file with that name.
func checkPath(path string) error {
	if strings.HasPrefix(path, "sqlite:") {
		return errors.New("sqlite: the path has the scheme of a URL; give the path alone")
	}
	return nil
}
