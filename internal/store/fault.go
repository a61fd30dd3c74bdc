package store

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
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
	problem, remedy := explain(err)
	if problem == "" {
		return err
	}
	return &mirror.DatabaseError{Database: nameOf(engine, location), Problem: problem, Remedy: remedy, Err: err}
}

const (
	remedyReach    = "Start Postgres, check host, port and firewall, or correct DATABASE_URL."
	remedyLogin    = "Correct user and password in DATABASE_URL."
	remedyRights   = "Grant the role of DATABASE_URL what it needs, or use another role."
	remedyRoom     = "Raise max_connections, or end what uses so many connections."
	remedyDisk     = "Make room on the disk."
	remedyPath     = "Correct the path in DATABASE_URL, or create the folder."
	remedyMode     = "Give the user that runs clerksync the right to read and write the file and its folder, or correct DATABASE_URL."
	remedyFile     = "Correct the path in DATABASE_URL, or move the file away: clerksync then makes a new one."
	remedyDamage   = "Restore the file from a backup, or move it away: a new one is filled from Clerk."
	remedyBusy     = "End the process that holds the file locked."
	remedyDatabase = "Create the database, or correct its name in DATABASE_URL."
)

func explainPostgres(err error) (problem, remedy string) {
	var answer interface{ SQLState() string }
	if errors.As(err, &answer) {
		switch state := answer.SQLState(); {
		case strings.HasPrefix(state, "28"):
			return "refuses the user or the password", remedyLogin
		case state == "3D000":
			return "has no database of that name", remedyDatabase
		case state == "42501":
			return "does not let the role do that", remedyRights
		case state == "53300":
			return "has no connection left", remedyRoom
		case state == "53100":
			return "has no room left on its disk", remedyDisk
		case strings.HasPrefix(state, "57P"):
			return "is starting or shutting down", remedyReach
		case strings.HasPrefix(state, "25006"):
			return "is read-only", "Connect to the primary, not to a replica."
		}
		return "", ""
	}
	dns, noName := errors.AsType[*net.DNSError](err)
	network, unreachable := errors.AsType[net.Error](err)
	switch {
	case noName && dns.IsNotFound:
		return "cannot be found: no such host", remedyReach
	case errors.Is(err, syscall.ECONNREFUSED):
		return "cannot be reached: connection refused", remedyReach
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "cannot be reached by its socket: " + cause(err), remedyReach
	case errors.Is(err, context.DeadlineExceeded), unreachable && network.Timeout():
		return "does not answer in time", remedyReach
	case unreachable, strings.Contains(err.Error(), "failed to connect"), strings.Contains(err.Error(), "conn closed"):
		return "cannot be reached", remedyReach
	}
	return "", ""
}

// explainSQLite reads the result codes of https://www.sqlite.org/rescode.html.
func explainSQLite(err error) (problem, remedy string) {
	var result interface{ Code() int }
	if errors.As(err, &result) {
		switch result.Code() & 0xff {
		case 3, 8, 23: // PERM, READONLY, AUTH
			return "cannot be written", remedyMode
		case 5, 6: // BUSY, LOCKED
			return "is locked by another process", remedyBusy
		case 10: // IOERR
			return "cannot be read or written: the disk reports an error", "Check the disk; a local one is needed, not a network share."
		case 11: // CORRUPT
			return "is damaged", remedyDamage
		case 13: // FULL
			return "cannot grow: the disk is full", remedyDisk
		case 14: // CANTOPEN
			return "cannot be opened", remedyMode
		case 26: // NOTADB
			return "is not an SQLite database", remedyFile
		}
		return "", ""
	}
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "cannot be opened: " + cause(err), remedyMode
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return "cannot be opened: " + cause(err), remedyPath
	case errors.Is(err, syscall.ENOSPC):
		return "cannot be made: the disk is full", remedyDisk
	}
	return "", ""
}

// cause returns the operating system's own words for an error.
func cause(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return err.Error()
}
