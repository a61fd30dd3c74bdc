package store

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/clerksync/clerksync/mirror"
)

// Named sets where the database is: a path, or a URL without user and password.
func (db *DB) Named(location string) *DB {
	db.location = location
	return db
}

// String returns the engine and the place of the database, if that is known.
func (db *DB) String() string { return nameOf(db.engine, db.location) }

func nameOf(engine Engine, location string) string {
	switch {
	case engine == Postgres && location == "":
		return "Postgres"
	case engine == Postgres:
		return "Postgres at " + location
	case location == "":
		return "The SQLite database"
	default:
		return "The SQLite file " + location
	}
}

// Explain is [Explain] for this database.
func (db *DB) Explain(err error) error { return Explain(db.engine, db.location, err) }

// Explain returns a [*mirror.DatabaseError] for an error that means that the database cannot be
// used, and any other error unchanged.
func Explain(engine Engine, location string, err error) error {
	if err == nil {
		return nil
	}
	if _, already := errors.AsType[*mirror.DatabaseError](err); already {
		return err
	}
	explain := explainSQLite
	if engine == Postgres {
		explain = explainPostgres
	}
	f := explain(err, location)
	if f.problem == "" {
		return err
	}
	return &mirror.DatabaseError{Database: nameOf(engine, location), Problem: f.problem, Remedy: f.remedy, Temporary: f.temporary, Err: err}
}

// fault is what is wrong with a database; the zero value is an error that is none of its faults.
type fault struct {
	problem, remedy string
	temporary       bool // it may pass without anyone doing anything
}

const (
	remedyRoom     = "Make room on the disk. What could not be stored is sent again by Clerk, or read again from it."
	remedyPath     = "Correct the path in DATABASE_URL, or create the folder."
	remedyMode     = "Give the user that runs clerksync the right to read and write the file and its folder, or correct DATABASE_URL."
	remedyReadOnly = "Name a file on a file system that can be written in DATABASE_URL, such as a volume."
	remedyFile     = "Correct the path in DATABASE_URL, or move the file away: clerksync then makes a new one."
	remedyDamage   = "Restore the file from a backup, or move it away: a new one is filled from Clerk."
	remedyBusy     = "End the process that holds the file locked."
	remedyFiles    = "Raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)."
)

// explainSQLite reads the result codes of https://www.sqlite.org/rescode.html.
func explainSQLite(err error, _ string) fault {
	var result interface{ Code() int }
	if errors.As(err, &result) {
		return explainResult(result.Code())
	}
	switch {
	case errors.Is(err, syscall.EROFS):
		return fault{problem: "cannot be written: " + cause(err), remedy: remedyReadOnly}
	case errors.Is(err, fs.ErrPermission):
		return fault{problem: "cannot be opened: " + cause(err), remedy: remedyMode}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return fault{problem: "cannot be opened: " + cause(err), remedy: remedyPath}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault{problem: "cannot be opened: " + cause(err), remedy: remedyFiles}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault{problem: "cannot be made: the disk is full", remedy: remedyRoom}
	}
	return fault{}
}

const sqliteIOErrShmSize = 4874 // the index of the write-ahead log cannot grow

// explainResult explains a result code of SQLite, basic or extended.
func explainResult(code int) fault {
	if code == sqliteIOErrShmSize {
		return fault{problem: "cannot grow: the disk is full", remedy: remedyRoom}
	}
	switch code & 0xff {
	case 3, 8, 23: // PERM, READONLY, AUTH
		return fault{problem: "cannot be written", remedy: remedyMode}
	case 5, 6: // BUSY, LOCKED
		return fault{problem: "is locked by another process", remedy: remedyBusy}
	case 10: // IOERR
		return fault{
			problem: "cannot be read or written: the disk reports an error", remedy: "Check the disk; a local one is needed, not a network share.",
		}
	case 11: // CORRUPT
		return fault{problem: "is damaged", remedy: remedyDamage}
	case 13: // FULL
		return fault{problem: "cannot grow: the disk is full", remedy: remedyRoom}
	case 14: // CANTOPEN
		return fault{problem: "cannot be opened", remedy: remedyMode}
	case 26: // NOTADB
		return fault{problem: "is not an SQLite database", remedy: remedyFile}
	}
	return fault{}
}

// cause returns the operating system's own words for an error.
func cause(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return err.Error()
}
