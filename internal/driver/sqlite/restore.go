package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// CompareBackup returns what the database at path holds that a copy of it lacks. It changes
// nothing.
func CompareBackup(ctx context.Context, path, file string) (l mirror.BackupLoss, err error) {
	copied, err := OpenReadOnly(file)
	if err != nil {
		return l, err
	}
	extent, err := copied.Extent(ctx)
	if err = errors.Join(err, copied.Close()); err != nil {
		return l, err
	}
	db, err := OpenReadOnly(path)
	if err != nil {
		return l, err
	}
	defer db.Close()
	if err := db.CheckSchema(ctx); err != nil && !errors.Is(err, store.ErrOlderSchema) {
		return l, err
	}
	return db.Since(ctx, extent)
}

// Restore puts a copy of a database in the place of the database at path. The copy stays as it is.
// A database that is there is kept under another name, which Restore returns; with
// BackupOptions.Overwrite unset it is a mirror.ErrFileExists.
//
// No process may have the database at path open: that is a mirror.ErrDatabaseInUse. The restored
// file notes that it is a copy, so that the process that starts next compares everything with
// Clerk.
func Restore(ctx context.Context, file, path string, o BackupOptions) (b mirror.Backup, kept string, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if b, err = describeFile(ctx, file); err != nil {
		return b, "", err
	}
	if !b.Upgradable {
		return b, "", errors.New(b.SchemaProblem)
	}
	if sameFile(file, path) {
		return b, "", fmt.Errorf("%s is the database itself: choose another file", file)
	}
	if exists(path) && !o.Overwrite {
		return b, "", fmt.Errorf("%w: %s", mirror.ErrFileExists, path)
	}
	if err := closeAlone(path); err != nil {
		return b, "", err
	}
	if err := checkRoom(file, filepath.Dir(path)); err != nil {
		return b, "", err
	}
	partial, err := newPartial(path)
	if err != nil {
		return b, "", store.Explain(store.SQLite, path, err)
	}
	defer removeDatabase(partial)
	taken := b.TakenAt
	if taken.IsZero() { // the last time that it knows of
		taken = time.UnixMilli(max(b.AliveAt.UnixMilli(), b.ReceivedAt.UnixMilli(), b.ChangedAt.UnixMilli(), 1))
	}
	marked := o
	marked.Now = func() time.Time { return taken }
	if b, err = copyVerified(ctx, file, partial, marked); err != nil {
		return b, "", fmt.Errorf("copy %s: %w", file, err)
	}
	b.File = path
	if err := giveAway(partial, path); err != nil {
		return b, "", err
	}
	if err := closeAlone(path); err != nil { // a server may have started meanwhile
		return b, "", err
	}
	if kept, err = moveAside(path, o.Now()); err != nil {
		return b, kept, err
	}
	return b, kept, publish(partial, path)
}

// describeFile describes a file without reading all of it.
func describeFile(ctx context.Context, file string) (b mirror.Backup, err error) {
	db, err := OpenReadOnly(file)
	if err != nil {
		return b, err
	}
	b, err = db.Describe(ctx)
	return b, errors.Join(db.Explain(err), db.Close())
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// closeAlone makes sure that no process has a database open, and writes its write-ahead log into
// it. SQLite holds a lock for as long as a connection in WAL mode is open, which ends with the
// process. A file that SQLite cannot read is left as it is: no server can have it open and work.
func closeAlone(path string) (err error) {
	if !exists(path) {
		return nil
	}
	db, err := sql.Open("sqlite", uriOf(path)+"?_pragma=busy_timeout(500)&_pragma=locking_mode(EXCLUSIVE)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("BEGIN EXCLUSIVE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
	err = errors.Join(err, db.Close())
	var result interface{ Code() int }
	if !errors.As(err, &result) {
		return err
	}
	switch result.Code() & 0xff {
	case 5, 6: // BUSY, LOCKED
		return fmt.Errorf("%w: %s", mirror.ErrDatabaseInUse, path)
	case 11, 26: // CORRUPT, NOTADB
		return nil
	}
	return store.Explain(store.SQLite, path, err)
}

// moveAside gives a database that is in the way another name, with all its files, and returns it.
func moveAside(path string, now time.Time) (kept string, err error) {
	kept = path + ".before-restore-" + now.UTC().Format(stampForm)
	moved := false
	for _, suffix := range []string{"-shm", "-wal", "-journal", ""} {
		if !exists(path + suffix) {
			continue
		}
		if err := os.Rename(path+suffix, kept+suffix); err != nil {
			return kept, err
		}
		moved = true
	}
	if !moved {
		return "", nil
	}
	return kept, syncFolder(filepath.Dir(path))
}
