package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/clerksync/clerksync/internal/store"
)

// Memory is the path of a database that lives in memory and ends with its DB.
const Memory = ":memory:"

// Option changes how a file is opened.
type Option func(*options)

type options struct {
	synchronous string
	checkpoints bool // by this process
	files       FileAccess
	keep        int // copies before upgrades; 0: none are made
}

// ForeignCheckpoints leaves all checkpoints to another process, such as one that replicates the
// write-ahead log. Without such a process the log grows without bound.
func ForeignCheckpoints() Option { return func(o *options) { o.checkpoints = false } }

// Access gives the files of the database a mode and a group.
func Access(files FileAccess) Option { return func(o *options) { o.files = files } }

// CopyBeforeUpgrade copies the file before the schema of an older version is upgraded, and keeps
// the last copies of that kind.
func CopyBeforeUpgrade(keep int) Option { return func(o *options) { o.keep = keep } }

// DangerouslySynchronousNormal lets webhooks be acknowledged before their events are on the disk.
// This is much faster. A power cut can lose what was acknowledged in the last moments; a crash of
// the process cannot. It is right for tests, and for mirrors that are reconciled anyway.
func DangerouslySynchronousNormal() Option { return func(o *options) { o.synchronous = "NORMAL" } }

// Open opens or creates the file at path (mode 0600: it holds personal data), or a
// database in memory. The schema is not touched: clerksync.New migrates it. A file that cannot
// be used is a *mirror.DatabaseError.
func Open(path string, opts ...Option) (*store.DB, error) {
	o := options{synchronous: "FULL", checkpoints: true}
	for _, opt := range opts {
		opt(&o)
	}
	if path == "" {
		return nil, errors.New("sqlite: no path given")
	}
	if path == Memory {
		db, err := pool("file::memory:", o.pragmas(), 1)
		if err != nil {
			return nil, err
		}
		db.SetConnMaxLifetime(0) // the database lives as long as its only connection
		return store.Open(store.SQLite, db, db), nil
	}
	err := create(path)
	if err == nil { // SQLite makes the other files like this one
		err = o.files.apply(path)
	}
	if err != nil {
		return nil, store.Explain(store.SQLite, path, fmt.Errorf("sqlite: %w", err))
	}
	file := uriOf(path)
	write, err := pool(file, o.pragmas(), 1)
	if err != nil {
		return nil, store.Explain(store.SQLite, path, err)
	}
	read, err := pool(file, append(o.pragmas(), "query_only(1)"), max(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	if err := o.files.applyAll(path, write); err != nil {
		return nil, store.Explain(store.SQLite, path, errors.Join(err, read.Close(), write.Close()))
	}
	db := store.Open(store.SQLite, read, write).Named(path)
	if o.checkpoints {
		db.Checkpoint(func() error {
			_, err := read.Exec("PRAGMA wal_checkpoint(PASSIVE)")
			return err
		})
	} else {
		db.SetForeignCheckpoints()
	}
	if o.keep > 0 {
		db.CopyBeforeUpgrade(func(ctx context.Context, schema int) (string, error) {
			return copyBeforeUpgrade(ctx, path, schema, o.keep)
		})
	}
	if o.synchronous != "FULL" {
		db.SetNonDurable()
	}
	return db, nil
}

// autoCheckpoint is the number of pages in the write-ahead log, 8 MB, at which the connection that
// writes finishes what checkpoints in the background have left, so that the log begins again. A
// larger log is copied in fewer and longer pauses: the slowest answers take longer, and the rate
// hardly rises (bench/RESULTS.md).
//
// maxLog is the size in bytes to which SQLite cuts the file of the log when it begins again. The
// log grows beyond both while a reader keeps an old snapshot, and in large transactions.
const (
	autoCheckpoint = "2000"
	maxLog         = "67108864"
)

// pragmas in the order in which they must run: the time-out first, since switching to WAL
// may already meet a lock. secure_delete keeps what is erased from lingering in the file.
func (o options) pragmas() []string {
	checkpoint := autoCheckpoint
	if !o.checkpoints {
		checkpoint = "0"
	}
	return []string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + o.synchronous + ")",
		"secure_delete(ON)", "cache_size(-16000)", "wal_autocheckpoint(" + checkpoint + ")", "journal_size_limit(" + maxLog + ")",
	}
}

func pool(file string, pragmas []string, connections int) (*sql.DB, error) {
	dsn := file + "?_txlock=immediate&_pragma=" + strings.Join(pragmas, "&_pragma=")
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.Ping(); err != nil {
		return nil, fmt.Errorf("sqlite: open the file: %w", errors.Join(err, db.Close()))
	}
	return db, nil
}

// create makes the file if there is none. One that exists is not opened: closing it would end the
// locks of other connections of this process.
func create(path string) error {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the configured file
	if err != nil {
		return err
	}
	return f.Close()
}
