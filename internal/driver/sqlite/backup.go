package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// BackupOptions changes how [Backup] works.
type BackupOptions struct {
	// Overwrite replaces a file that exists.
	Overwrite bool
	// Progress, if set, is called with the bytes copied so far and those of the whole database.
	// When all are copied, the copy is still to be verified.
	Progress func(done, total int64)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Backup copies the database at path into a file, also while other processes write it. They do not
// wait for that. The copy shows one moment of the database, is verified by reading all of it, needs
// no second file, and has the mode 0600. The source is opened to be read and is never written.
//
// The file appears when it is complete, verified and on the disk. Whatever ends Backup before that
// leaves at most a hidden file with .partial at its end, which the next Backup removes.
func Backup(ctx context.Context, path, file string, o BackupOptions) (b mirror.Backup, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	source, err := OpenReadOnly(path)
	if err != nil {
		return b, err
	}
	described, err := source.Describe(ctx)
	if err = errors.Join(err, source.Close()); err != nil {
		return b, source.Explain(err)
	}
	if err := checkTarget(path, file, o.Overwrite); err != nil {
		return b, err
	}
	if err := checkRoom(path, filepath.Dir(file)); err != nil {
		return b, err
	}
	partial, err := newPartial(file)
	if err != nil {
		return b, store.Explain(store.SQLite, file, err)
	}
	defer removeDatabase(partial)
	if b, err = copyVerified(ctx, path, partial, o); err != nil {
		return b, fmt.Errorf("copy %s to %s: %w", path, file, err)
	}
	if b.Upgradable && b.Mirrored() == 0 && described.Mirrored() > 0 {
		return b, fmt.Errorf("%w: the copy lacks the rows of %s", mirror.ErrDamaged, path)
	}
	if err := checkTarget(path, file, o.Overwrite); err != nil { // another process may have been faster
		return b, err
	}
	b.File = file
	return b, publish(partial, file)
}

// CheckBackup reads a whole copy of a database and describes it. It changes nothing. The error is a
// mirror.ErrDamaged if the file is not whole, mirror.ErrNoDatabase if there is none, and a
// *mirror.DatabaseError if it cannot be read.
func CheckBackup(ctx context.Context, file string) (b mirror.Backup, err error) {
	_, noIndex := os.Stat(file + "-shm")
	db, err := OpenReadOnly(file)
	if err != nil {
		return b, damaged(err)
	}
	if err = db.CheckIntegrity(ctx); err == nil {
		b, err = db.Describe(ctx)
	}
	err = errors.Join(db.Explain(damaged(err)), db.Close())
	if errors.Is(noIndex, fs.ErrNotExist) { // SQLite made one if there is a write-ahead log
		_ = os.Remove(file + "-shm")
	}
	b.File, b.Bytes = file, sizeOf(file)
	return b, err
}

// damaged returns a mirror.ErrDamaged for an error that means that a file is not whole, and any
// other error as it is.
func damaged(err error) error {
	var result interface{ Code() int }
	if errors.As(err, &result) && (result.Code()&0xff == 11 || result.Code()&0xff == 26) { // CORRUPT, NOTADB
		return fmt.Errorf("%w: %s", mirror.ErrDamaged, result)
	}
	return err
}

// copyVerified copies a database into an empty file, and verifies the copy.
func copyVerified(ctx context.Context, path, to string, o BackupOptions) (b mirror.Backup, err error) {
	taken := o.Now()
	if err := copyPages(ctx, path, to, o.Progress); err != nil {
		return b, err
	}
	// A file that needs no write-ahead log can be read on its own, and where nothing can be
	// written.
	alone, err := pool(uriOf(to), []string{"busy_timeout(10000)", "journal_mode(DELETE)", "synchronous(OFF)"}, 1)
	if err != nil {
		return b, err
	}
	if err := errors.Join(store.Open(store.SQLite, alone, alone).MarkCopied(ctx, taken), alone.Close()); err != nil {
		return b, err
	}
	if err := syncPath(to); err != nil {
		return b, err
	}
	return CheckBackup(ctx, to)
}

// checkTarget refuses to write where another database is.
func checkTarget(path, file string, overwrite bool) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if sameFile(name, file) {
			return fmt.Errorf("%s is the database itself: choose another file", file)
		}
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if sizeOf(file+suffix) > 0 {
			return fmt.Errorf("%s belongs to a database that may be in use: choose another file, or move both away", file+suffix)
		}
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: choose another one", file)
	case !overwrite:
		return fmt.Errorf("%w: %s", mirror.ErrFileExists, file)
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err == nil {
		if y, err := os.Stat(b); err == nil {
			return os.SameFile(x, y)
		}
	}
	first, errA := filepath.Abs(a)
	second, errB := filepath.Abs(b)
	return errA == nil && errB == nil && first == second
}

// spare is what is left free on a disk for whatever else writes there.
const spare = 16 << 20

// checkRoom refuses a copy for which the disk has no room, where the system says how much it has.
func checkRoom(path, folder string) error {
	free, known := freeBytes(folder)
	needed := sizeOf(path) + sizeOf(path+"-wal") + spare
	if !known || free >= needed {
		return nil
	}
	return fmt.Errorf("%w: %s has %d MB free, and %d MB are needed", mirror.ErrNoRoom, folder, free>>20, needed>>20)
}

// sizeOf returns the size of a file, 0 if there is none.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// abandonedAfter is how long a partial copy may stay unwritten before it counts as left behind. The
// check of a large one takes minutes.
const abandonedAfter = 6 * time.Hour

// newPartial makes the file into which a copy is written, and removes those that were left behind.
func newPartial(file string) (string, error) {
	folder, pattern := filepath.Dir(file), "."+filepath.Base(file)+".*.partial"
	left, _ := filepath.Glob(filepath.Join(escapeGlob(folder), escapeGlob("."+filepath.Base(file))+".*.partial"))
	for _, name := range left {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > abandonedAfter {
			removeDatabase(name)
		}
	}
	f, err := os.CreateTemp(folder, pattern) // with the mode 0600
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// removeDatabase removes a file and what SQLite keeps next to it.
func removeDatabase(path string) {
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		_ = os.Remove(path + suffix)
	}
}

// publish gives a complete file its name, so that a power cut leaves it there.
func publish(partial, file string) error {
	if err := os.Rename(partial, file); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(file))
}
