package sqlite

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/mirror"
)

// BackupOptions changes how [Backup] works.
type BackupOptions struct {
	// Overwrite replaces a file that exists.
	Overwrite bool
	// Progress, if set, is called with the bytes copied so far and those of the whole database, at
	// most every tenth of a second. When all are copied, the copy is still to be verified.
	Progress func(done, total int64)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// LibraryVersion returns the version of SQLite in this program, such as 3.50.4.
func LibraryVersion() string { return sqlite.LibraryVersion }

// Backup copies the database at path into a file, also while this or another process writes it. No
// writer waits for that; until the end the write-ahead log grows by what is written. The copy shows
// one moment of the database, with the tables of the application in it, and has the mode 0600. It
// is verified by reading all of it.
//
// The file appears when it is complete, verified and on the disk. Whatever ends Backup before that
// leaves at most a hidden file with .partial at its end. The error is mirror.ErrFileExists,
// mirror.ErrNoRoom, mirror.ErrDamaged where the database itself has faults, or [ErrNoDatabase].
func Backup(ctx context.Context, path, file string, options BackupOptions) (mirror.Backup, error) {
	if err := checkPath(path); err != nil {
		return mirror.Backup{}, err
	}
	return sqlite.Backup(ctx, path, file, sqlite.BackupOptions(options))
}

// CheckBackup reads a whole copy of a database and describes it. It changes nothing. The error is
// mirror.ErrDamaged if the file is not whole, and [ErrNoDatabase] if there is none.
func CheckBackup(ctx context.Context, file string) (mirror.Backup, error) {
	return sqlite.CheckBackup(ctx, file)
}

// CompareBackup returns what the database at path holds that a copy of it lacks, and that Clerk
// cannot bring back. It changes nothing.
func CompareBackup(ctx context.Context, path, file string) (mirror.BackupLoss, error) {
	return sqlite.CompareBackup(ctx, path, file)
}

// Restore puts a copy of a database in the place of the database at path. The file of the copy
// stays as it is. A database that is there is kept under another name, which Restore returns;
// without BackupOptions.Overwrite it is a mirror.ErrFileExists. No process may have the database at
// path open, else the error is mirror.ErrDatabaseInUse.
//
// The next process that runs a mirror on the restored file notices that it is a copy, and compares
// everything with Clerk.
func Restore(ctx context.Context, file, path string, options BackupOptions) (restored mirror.Backup, kept string, err error) {
	if err := checkPath(path); err != nil {
		return mirror.Backup{}, "", err
	}
	return sqlite.Restore(ctx, file, path, sqlite.BackupOptions(options))
}
