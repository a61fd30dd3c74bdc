package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"modernc.org/sqlite"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// ErrNoDatabase means that there is no file to read, or an empty one.
var ErrNoDatabase = mirror.ErrNoDatabase

// OpenReadOnly opens the file at path to be read, also while another process writes it, by a user
// who may only read it, and in a folder where no file can be made. It changes nothing and makes no
// file. clerksync.New on it makes a mirror that only reads.
//
// There is one exception: a write-ahead log with content and without its index, as a backup may
// bring it along, can be read only after SQLite has made the index (the file with -shm at its end).
func OpenReadOnly(path string) (*store.DB, error) {
	if path == "" {
		return nil, errors.New("sqlite: no path given")
	}
	if path == Memory {
		return nil, fmt.Errorf("sqlite: %w: one in memory belongs to the process that made it", ErrNoDatabase)
	}
	wal, err := walMode(path)
	if err != nil {
		return nil, store.Explain(store.SQLite, path, fmt.Errorf("sqlite: %w", err))
	}
	db := sql.OpenDB(&reader{path: path, wal: wal})
	db.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	db.SetMaxIdleConns(0) // each connection decides for itself how the file is to be opened
	if err := db.Ping(); err != nil {
		return nil, store.Explain(store.SQLite, path, fmt.Errorf("sqlite: open the file: %w", errors.Join(err, db.Close())))
	}
	handle := store.Open(store.SQLite, db, db).Named(path).SetReadOnly()
	if wal {
		handle.WithJournal("wal") // a connection that takes the file for unchanging does not tell
	}
	return handle, nil
}

// noDatabase returns why there is none. It hides the cause: a missing file is no fault of the file
// system here.
type noDatabase struct{ why string }

func (e noDatabase) Error() string        { return ErrNoDatabase.Error() + ": " + e.why }
func (e noDatabase) Is(target error) bool { return target == ErrNoDatabase }

// notADatabase is what SQLite says of a file that is none.
type notADatabase struct{}

func (notADatabase) Error() string { return "file is not a database" }
func (notADatabase) Code() int     { return 26 } // SQLITE_NOTADB

// walMode reads from the header of a database whether it is in WAL mode. While a process has it
// open in that mode, the file is not opened here: this process may be the one, and closing the file
// would end the locks of all its connections.
func walMode(path string) (bool, error) {
	if _, err := os.Stat(path + "-shm"); err == nil && sizeOf(path) > 0 {
		return true, nil
	}
	f, err := os.Open(path) //nolint:gosec // the configured file
	if errors.Is(err, os.ErrNotExist) {
		return false, noDatabase{path + " does not exist"}
	}
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // only read
	header := make([]byte, 100)
	switch _, err := io.ReadFull(f, header); {
	case errors.Is(err, io.EOF) && walHolds(path): // its first pages are still in the write-ahead log
		return true, nil
	case errors.Is(err, io.EOF):
		return false, noDatabase{path + " is empty"}
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, err
	case !bytes.HasPrefix(header, []byte("SQLite format 3\x00")):
		return false, notADatabase{}
	}
	return header[18] == 2, nil // the write version: 2 is WAL
}

func walHolds(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

// reader makes connections that only read.
type reader struct {
	path     string
	wal      bool
	unlocked atomic.Bool // a connection took the file for unchanging, and so took no locks
}

// Driver is that of modernc.org/sqlite.
func (*reader) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect opens the file. Where no process has it open for writing, SQLite would make the files of
// its write-ahead log even for a reader, and leave them behind; then the file is opened as one that
// does not change.
func (r *reader) Connect(context.Context) (driver.Conn, error) {
	c, err := r.open()
	if err != nil { // the server may have ended in between, and taken its files away
		c, err = r.open()
	}
	return c, err
}

func (r *reader) open() (driver.Conn, error) {
	dsn := uriOf(r.path) + "?mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)&_pragma=secure_delete(ON)&_pragma=cache_size(-16000)"
	if r.wal && r.atRest() {
		dsn += "&immutable=1"
		r.unlocked.Store(true)
	}
	return r.Driver().Open(dsn)
}

// atRest reports whether no process has the file open for writing: while one has, the index of the
// write-ahead log is there. One that crashed leaves it behind, with the log that must then be read.
func (r *reader) atRest() bool {
	_, err := os.Stat(r.path + "-shm")
	return errors.Is(err, os.ErrNotExist) && !walHolds(r.path)
}
