package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Engine names a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Errors that callers act on.
var (
	ErrNotFound  = mirror.ErrNotFound
	ErrAmbiguous = mirror.ErrAmbiguous
	ErrReadOnly  = errors.New("the database was opened to be read only")
)

// DefaultLadder returns the role ladder of a database that has no other, lowest first.
func DefaultLadder() []string { return []string{"solo", "growth", "enterprise", "admin"} }

// DB is a mirror's database. The driver packages make it. It is safe for concurrent use, and must
// be closed.
type DB struct {
	engine     Engine
	read       *sql.DB
	write      *sql.DB
	now        func() time.Time
	nonDurable bool
	location   string // for messages; "" if it is not known

	settings   atomic.Pointer[Settings]
	hook       *hook // nil: the application has none
	readOnly   bool
	borrowed   bool // the application closes the pools
	migrations fs.FS
	pooling    func(context.Context) (Pooling, error) // nil: there cannot be a pooler
	sender     Sender                                 // of Postgres
	replica    *replica                               // nil: there is none
	journal    string                                 // SQLite's journal mode, if its pragma cannot read it; see WithJournal

	updateTimeout time.Duration // of a transaction on Postgres
	lookBack      int           // rows that a page looks at for filters without an index
	fewRows       int64         // rows of a filter that are read whole

	writes writeFault

	mu     sync.RWMutex
	stmts  map[stmtKey]*sql.Stmt
	closed bool

	checkpoint     func() error  // nil: the engine checkpoints by itself
	audited        atomic.Uint64 // entries of the audit and attempts of webhooks so far, to order them
	uncheckpointed atomic.Int64  // rows written since the last checkpoint
	checkpointing  atomic.Bool   // a checkpoint is running
	background     sync.WaitGroup
	// foreignCheckpoints means that only another process checkpoints
	foreignCheckpoints bool
	copyUpgrade        func(ctx context.Context, schema int) (string, error) // nil: no copy is made before an upgrade
	upgradeCopy        atomic.Pointer[string]
}

type stmtKey struct {
	pool *sql.DB
	text string
}

// Open wraps the two pools of an engine, one for reads and one for writes. On Postgres they are the
// same. [DB.Close] closes both. Open does not access the database.
func Open(engine Engine, read, write *sql.DB) *DB {
	db := &DB{
		engine: engine, read: read, write: write, now: time.Now, migrations: shipped,
		updateTimeout: updateTimeout, lookBack: lookBack, fewRows: fewRows, stmts: map[stmtKey]*sql.Stmt{},
	}
	db.settings.Store(&Settings{})
	return db
}

// Engine returns the engine.
func (db *DB) Engine() Engine { return db.engine }

// SetNonDurable notes that commits are not durable; see [DB.NonDurable].
func (db *DB) SetNonDurable() *DB {
	db.nonDurable = true
	return db
}

// NonDurable reports whether the operator chose commits that a power cut may take back.
func (db *DB) NonDurable() bool { return db.nonDurable }

// LimitUpdates replaces the limit of ten seconds for transactions: for tests.
func (db *DB) LimitUpdates(d time.Duration) { db.updateTimeout = d }

// SetClock replaces the clock that dates what is written, for tests. It must be called before the
// first transaction.
func (db *DB) SetClock(now func() time.Time) { db.now = now }

// Ping checks that the database answers on the pool that writes.
func (db *DB) Ping(ctx context.Context) error { return db.write.PingContext(ctx) }

// Checkpoint sets a function that moves committed pages from the log to the database. It runs
// concurrently with the writers, so that none of them has to do that work while others wait. It may
// fail: SQLite then checkpoints by itself.
func (db *DB) Checkpoint(fn func() error) *DB {
	db.checkpoint = fn
	return db
}

// SetForeignCheckpoints leaves all checkpoints of SQLite to another process.
func (db *DB) SetForeignCheckpoints() *DB {
	db.checkpoint, db.foreignCheckpoints = nil, true
	return db
}

// checkpointRows is the number of written rows after which a checkpoint begins, about five
// megabytes.
const checkpointRows = 500

// checkpointWhenDue counts committed rows, and begins a checkpoint when there are enough.
func (db *DB) checkpointWhenDue(rows int64) {
	if db.checkpoint == nil || db.uncheckpointed.Add(rows) < checkpointRows || !db.checkpointing.CompareAndSwap(false, true) {
		return
	}
	db.uncheckpointed.Store(0)
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return
	}
	db.background.Go(func() {
		defer db.checkpointing.Store(false)
		_ = db.checkpoint()
	})
}

// Borrowed leaves the pools to the application: [DB.Close] does not close them.
func (db *DB) Borrowed() *DB {
	db.borrowed = true
	return db
}

// closeWait bounds how long Close waits for connections in use, and closePoll is how often it
// looks: database/sql does not report when the last connection of a closed pool ends.
const (
	closeWait = 2 * time.Second
	closePoll = 2 * time.Millisecond
)

// Close closes the pools, unless they are borrowed. Transactions in progress fail. Close returns
// when no connection is in use any more, so that the file can be moved or removed, or after two
// seconds.
func (db *DB) Close() error {
	var err error
	if db.replica != nil {
		err = db.replica.close()
	}
	err = errors.Join(err, db.closePools())
	if db.borrowed {
		return err
	}
	// Without the lock: a transaction under way may need it in order to end.
	for end := time.Now().Add(closeWait); time.Now().Before(end); <-time.After(closePoll) {
		if db.read.Stats().OpenConnections+db.write.Stats().OpenConnections == 0 {
			break
		}
	}
	return err
}

func (db *DB) closePools() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	db.background.Wait()
	for _, s := range db.stmts {
		_ = s.Close()
	}
	clear(db.stmts)
	if db.borrowed {
		return nil
	}
	err := db.read.Close()
	if db.write != db.read {
		err = errors.Join(err, db.write.Close())
	}
	return err
}

// SetReadOnly makes a handle that only reads: [DB.Update] and [DB.Migrate] return [ErrReadOnly].
// Call it before the handle is used.
func (db *DB) SetReadOnly() *DB {
	db.readOnly = true
	return db
}

// ReadOnly reports whether the handle only reads.
func (db *DB) ReadOnly() bool { return db.readOnly }

// WithJournal sets the journal mode of an SQLite file, for handles whose connections cannot read
// it.
func (db *DB) WithJournal(mode string) *DB {
	db.journal = mode
	return db
}

// prepared returns a statement of the pool that is compiled once. Only SQLite needs it: pgx caches
// statements on each connection.
func (db *DB) prepared(ctx context.Context, pool *sql.DB, text string) (*sql.Stmt, error) {
	key := stmtKey{pool, text}
	db.mu.RLock()
	s := db.stmts[key]
	db.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	s, err := pool.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if other := db.stmts[key]; other != nil {
		_ = s.Close()
		return other, nil
	}
	db.stmts[key] = s
	return s, nil
}

// query runs a read, in the context's snapshot if it has one. It does not begin after the context
// has ended, which an SQLite statement does not notice by itself.
func (db *DB) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.checkReadable(ctx); err != nil {
		return nil, err
	}
	args = asStored(args)
	if tx := db.snapshotOf(ctx); tx != nil {
		return tx.QueryContext(db.engine.detach(ctx), text, args...)
	}
	if db.engine == Postgres {
		return db.read.QueryContext(ctx, text, args...)
	}
	ctx = db.engine.detach(ctx)
	s, err := db.prepared(ctx, db.read, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// checkReadable returns [mirror.ErrInsideOnChange] where a read would wait for the transaction of
// the function of the application: in memory, there is one connection.
func (db *DB) checkReadable(ctx context.Context) error {
	if db.engine == SQLite && db.read == db.write && inside(ctx) {
		return mirror.ErrInsideOnChange
	}
	return nil
}

// storable reports whether both engines can store a text. Postgres refuses NUL and invalid UTF-8.
func storable(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }

// asStored returns the arguments of a query, with their texts as they would be stored.
// [clerk.Parse] replaces what Postgres refuses.
func asStored(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok && !storable(text) {
			args = slices.Clone(args)
			args[i] = clerk.Text(text).String()
		}
	}
	return args
}

// scanEach calls scan for each row.
func scanEach(rows *sql.Rows, err error, scan func(Row) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanAll reads all rows with one function.
func scanAll[T any](rows *sql.Rows, err error, scan func(Row) (T, error)) (all []T, _ error) {
	err = scanEach(rows, err, func(r Row) error {
		one, err := scan(r)
		if err == nil {
			all = append(all, one)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// scanOne reads rows of one column.
func scanOne[T any](r Row) (v T, err error) { return v, r.Scan(&v) }

// scanMap reads all rows into a map. scan returns the key and the value of a row.
func scanMap[K comparable, V any](rows *sql.Rows, err error, scan func(Row) (K, V, error)) (map[K]V, error) {
	all := map[K]V{}
	err = scanEach(rows, err, func(r Row) error {
		key, value, err := scan(r)
		all[key] = value
		return err
	})
	return all, err
}

// number reads a result of one number.
func (db *DB) number(ctx context.Context, text string, args ...any) (int64, error) {
	rows, err := db.query(ctx, text, args...)
	return exactlyOne(scanAll(rows, err, scanOne[int64]))
}

// exactlyOne turns a list into its only element.
func exactlyOne[T any](all []T, err error) (one T, _ error) {
	switch {
	case err != nil:
		return one, err
	case len(all) == 0:
		return one, ErrNotFound
	case len(all) > 1:
		return one, ErrAmbiguous
	}
	return all[0], nil
}

// only is [exactlyOne] for what a caller looked for; its error names that.
func only[T any](all []T, err error, what, id string) (T, error) {
	one, err := exactlyOne(all, err)
	switch {
	case errors.Is(err, ErrNotFound):
		err = fmt.Errorf("%s %s %w", what, id, ErrNotFound)
	case errors.Is(err, ErrAmbiguous):
		err = fmt.Errorf("%s %s is %w", what, id, ErrAmbiguous)
	}
	return one, err
}

// params returns "$from, …, $to".
func params(from, to int) string {
	list := make([]string, 0, to-from+1)
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprintf("$%d", i))
	}
	return strings.Join(list, ", ")
}

// where collects conditions and their arguments for the list queries.
type where struct {
	conditions []string
	args       []any
}

// add appends a condition in which each ? stands for one of the arguments.
func (w *where) add(condition string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(w.args)), 1)
	}
	w.conditions = append(w.conditions, condition)
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// likeEscape escapes a text so that it matches only itself.
func likeEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// CheckLadder returns an error for a role ladder that cannot be used.
func CheckLadder(roles []string) error {
	if len(roles) == 0 {
		return errors.New("no roles configured: at least one is needed")
	}
	for i, r := range roles {
		if r == "" || slices.Contains(roles[:i], r) {
			return fmt.Errorf("role %d of the ladder is empty or named twice", i+1)
		}
	}
	return nil
}

func splitFields(joined string) []string {
	if joined == "" {
		return nil
	}
	return strings.Split(joined, ",")
}
