package sqlite

import (
	"context"
	"errors"
	"os"
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

// ForeignCheckpoints leaves all checkpoints of the write-ahead log to another process, such as
// Litestream. Without such a process the log grows without bound.
func ForeignCheckpoints() Option {
	return func(o *sqliteOptions) { o.options = append(o.options, sqlite.ForeignCheckpoints()) }
}

// FileAccess says which other users may use the files of the database: the file itself and those
// that SQLite makes next to it.
type FileAccess struct {
	// Mode is 0600 (the owner alone), 0640 (the group may read) or 0660 (the group may write).
	Mode os.FileMode
	// Group is the name or the number of a group of which the user of the process is a member;
	// empty: the group of the process, or that of the folder if it has the set-group-ID bit.
	Group string
}

// Access gives the files of the database a mode and a group, each time that it is opened.
func Access(files FileAccess) Option {
	return func(o *sqliteOptions) { o.options = append(o.options, sqlite.Access(sqlite.FileAccess(files))) }
}

// CopyBeforeUpgrade copies a file with rows before clerksync.New or clerksync.Migrate upgrades the
// schema of an older version, and keeps the last copies, 1 or more. A copy is next to the file, and
// its name is that of the file with .schema-N.TIME.backup. If no copy can be made, nothing is
// upgraded.
func CopyBeforeUpgrade(keep int) Option {
	return func(o *sqliteOptions) { o.options = append(o.options, sqlite.CopyBeforeUpgrade(keep)) }
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
