package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite"

	"github.com/clerksync/clerksync/mirror"
)

// stepPages are the pages copied between two looks at the context, about a megabyte.
const stepPages = 256

// copyAttempts bounds how often a copy begins again because a server started meanwhile.
const copyAttempts = 5

// copyPages copies the pages of a database into an empty file.
//
// SQLite's backup API is used within one read transaction: the copy shows one moment, however much
// is written meanwhile, and no writer waits. VACUUM INTO would make a smaller file, but it sorts
// and writes every index anew, which takes many times as long and cannot show progress. Until the
// end of the transaction the write-ahead log grows by what is written.
func copyPages(ctx context.Context, path, to string, progress func(done, total int64)) error {
	for range copyAttempts {
		before, err := os.Stat(path)
		if err != nil {
			return err
		}
		wal, err := walMode(path)
		if err != nil {
			return err
		}
		source := &reader{path: path, wal: wal}
		if err := copyOnce(ctx, source, to, progress); err != nil {
			return err
		}
		after, err := os.Stat(path)
		if err != nil {
			return err
		}
		// Without a server the file is read without locks. If one has started and written
		// meanwhile, the copy may be of two moments.
		if !source.unlocked.Load() || os.SameFile(before, after) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()) {
			return nil
		}
		if err := os.Truncate(to, 0); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: it was opened and written again and again meanwhile; try again", mirror.ErrDatabaseInUse)
}

func copyOnce(ctx context.Context, source *reader, to string, progress func(done, total int64)) (err error) {
	db := sql.OpenDB(source)
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // only read
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // only read
	var tables, pageSize int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*), (SELECT page_size FROM pragma_page_size()) FROM sqlite_schema").Scan(&tables, &pageSize); err != nil {
		return err // from here on the transaction sees one moment
	}
	return conn.Raw(func(c any) error {
		source, ok := c.(interface {
			NewBackup(uri string) (*sqlite.Backup, error)
		})
		if !ok {
			return errors.New("the SQLite driver makes no backups")
		}
		backup, err := source.NewBackup(uriOf(to) + "?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)")
		if err != nil {
			return err
		}
		return errors.Join(stepThrough(ctx, backup, pageSize, progress), backup.Finish())
	})
}

// progressEvery is how often progress is reported at most.
const progressEvery = 100 * time.Millisecond

func stepThrough(ctx context.Context, backup *sqlite.Backup, pageSize int64, progress func(done, total int64)) error {
	var reported time.Time
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if more, err = backup.Step(stepPages); err != nil {
			return err
		}
		if progress != nil && (!more || time.Since(reported) > progressEvery) {
			total := int64(backup.PageCount()) * pageSize
			progress(total-int64(backup.Remaining())*pageSize, total)
			reported = time.Now()
		}
	}
	return nil
}
