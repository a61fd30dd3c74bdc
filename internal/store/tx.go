package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// Tx is a transaction that writes mirrored rows. It holds the lock of the head row.
type Tx struct {
	db    *DB
	ctx   context.Context      //nolint:containedctx // ends with the transaction, and bounds each statement of it
	tx    *sql.Tx              // of SQLite, or of a view
	stmts map[string]*sql.Stmt // of this transaction's connection
	rows  int64                // written so far

	unprepared []string // texts that the pool has not prepared yet

	Head Head

	conn      *sql.Conn   // of a transaction on Postgres that writes; nil for all others
	waiting   []Statement // for the next send
	begun     bool        // something was sent
	failed    error       // of a send
	committed bool

	settings        *Settings
	changedSettings bool // by this transaction
	readOnly        bool
	audits          bool // it has appended entries of the audit

	changes []mirror.Change // appended so far, for the function of the application

	stored map[row.Key][]string // of SQLite: the indexed values of rows that were loaded and not saved
}

// Head is the one row that every writer locks first.
type Head struct {
	Seq            int64      // of the last change: a commit order without gaps
	Writes         int64      // the write counter: the number of this transaction
	HighWater      clerk.Time // the greatest source time applied
	LastReceivedAt clerk.Time // when an event was last stored, by our clock
	Settings       int64      // the revision of the settings that are in force
}

const (
	selectHead = "SELECT seq, writes, high_water, last_received_at, settings FROM clerk_head WHERE one = 1"
	updateHead = "UPDATE clerk_head SET seq = $1, writes = $2, high_water = $3, last_received_at = $4, settings = $5 WHERE one = 1"
)

// updateTimeout limits a transaction on Postgres. While it runs, every other writer waits for it.
const updateTimeout = 10 * time.Second

// idleTimeout limits how long Postgres waits for the next statement of a transaction that writes.
// The application's OnChange may take as long as the transaction.
const idleTimeout = 3 * time.Second

// Update runs fn in a transaction that holds the lock of the head row, and commits. If fn appended
// changes, the function of the application runs before the commit, see [DB.SetOnChange]. If either
// fails, nothing is written. If the commit itself fails, the outcome is unknown, so fn must be safe
// to run again. A transaction may take ten seconds: all statements of fn end then, whatever context
// they are given.
//
// On Postgres, writes of fn wait for its next question or for the commit, and are sent with it. So
// the error of a write may be returned by a later call of the transaction, or by Update.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.UpdateWithin(ctx, db.updateTimeout, fn)
}

// UpdateWithin is Update with another limit, for rare work such as deriving the roles of all users
// by another ladder.
func (db *DB) UpdateWithin(ctx context.Context, limit time.Duration, fn func(*Tx) error) error {
	return db.update(ctx, limit, Wanted{}, func(tx *Tx, _ Found) error { return fn(tx) })
}

// UpdateWith is Update of what is known to be needed before it begins. On Postgres this is looked
// up in the same round trip in which the transaction begins.
func (db *DB) UpdateWith(ctx context.Context, wanted Wanted, fn func(*Tx, Found) error) error {
	return db.update(ctx, db.updateTimeout, wanted, fn)
}

func (db *DB) update(ctx context.Context, limit time.Duration, wanted Wanted, fn func(*Tx, Found) error) error {
	if db.readOnly {
		return ErrReadOnly
	}
	err := db.commitUpdate(ctx, limit, wanted, fn)
	db.writes.note(db, err)
	return err
}

func (db *DB) commitUpdate(ctx context.Context, limit time.Duration, wanted Wanted, fn func(*Tx, Found) error) error {
	if db.engine == Postgres { // SQLite waits for a lock no longer than busy_timeout, and for no network
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	tx, err := db.openTx(db.engine.detach(ctx))
	if err != nil {
		return err
	}
	defer tx.close()
	idle := idleTimeout
	if db.hook != nil {
		idle = limit
	}
	found, err := tx.begin(db.engine.lockHead(idle), wanted)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	if err := fn(tx, found); err != nil {
		return err
	}
	h := tx.Head
	if err := tx.exec(ctx, updateHead, h.Seq, h.Writes, int64(h.HighWater), int64(h.LastReceivedAt), h.Settings); err != nil {
		return err
	}
	if err := tx.runOnChange(ctx, limit); err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	if tx.changedSettings {
		db.settings.Store(tx.settings)
	}
	if tx.audits && db.replica != nil {
		raise(&db.replica.audited, tx.Head.Writes)
	}
	db.checkpointWhenDue(tx.rows)
	db.keepPrepared(tx.ctx, tx.unprepared)
	return nil
}

// beginWrite begins a transaction that may write. The application's OnChange, for which it would
// wait for the transaction in which OnChange runs, gets an error.
func (db *DB) beginWrite(ctx context.Context) (*sql.Tx, error) {
	if err := CheckOutside(ctx); err != nil {
		return nil, err
	}
	return db.write.BeginTx(ctx, nil)
}

// View runs fn in a transaction that only reads and sees one moment of the database, for dry runs.
// The head is that of a writing transaction, so that fn can compute what it would write.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	ctx = db.engine.detach(ctx)
	sqlTx, err := db.beginRead(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = sqlTx.Rollback() }()
	tx := &Tx{db: db, ctx: ctx, tx: sqlTx, stmts: map[string]*sql.Stmt{}, readOnly: true}
	if _, err := tx.begin(selectHead, Wanted{}); err != nil {
		return fmt.Errorf("begin a view: %w", err)
	}
	return fn(tx)
}

// begin reads the head row, what is wanted and the settings in force, and takes the next write
// counter.
func (tx *Tx) begin(readHead string, wanted Wanted) (found Found, err error) {
	heads := 0
	err = tx.ask(func(r Row) (err error) {
		heads++
		tx.Head, err = scanHead(r)
		return err
	}, readHead)
	if err != nil {
		return found, err
	}
	if found, err = tx.Find(wanted); err != nil {
		return found, err
	}
	if heads == 0 {
		return found, ErrNotFound
	}
	tx.Head.Writes++
	return found, tx.learnSettings(tx.ctx)
}

// ReadOnly reports whether the transaction can only read.
func (tx *Tx) ReadOnly() bool { return tx.readOnly }

func scanHead(r Row) (h Head, err error) {
	return h, r.Scan(&h.Seq, &h.Writes, &h.HighWater, &h.LastReceivedAt, &h.Settings)
}

// Head returns the head row as last committed.
func (db *DB) Head(ctx context.Context) (Head, error) {
	rows, err := db.query(ctx, selectHead)
	heads, err := scanAll(rows, err, scanHead)
	return exactlyOne(heads, err)
}

// exec runs a statement that returns nothing. On Postgres it waits for the next send.
func (tx *Tx) exec(ctx context.Context, text string, args ...any) error {
	if tx.conn != nil {
		return tx.later(Statement{Text: text, Args: args})
	}
	if tx.db.engine == Postgres {
		_, err := tx.tx.ExecContext(tx.ctx, text, args...)
		return err
	}
	ctx = tx.db.engine.detach(ctx)
	s, err := tx.prepared(ctx, text)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx, args...)
	return err
}

// query runs a query now, after what waits.
func (tx *Tx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if tx.db.engine == Postgres {
		if err := tx.send(); err != nil {
			return nil, err
		}
		return tx.connection().QueryContext(tx.ctx, text, args...)
	}
	ctx = tx.db.engine.detach(ctx)
	s, err := tx.prepared(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// execOnce runs a statement now, without preparing it, and returns how many rows it changed.
func (tx *Tx) execOnce(text string, args ...any) (int64, error) {
	if err := tx.send(); err != nil {
		return 0, err
	}
	result, err := tx.connection().ExecContext(tx.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// prepared prepares a statement on the transaction's connection, which is the only one of SQLite's
// write pool: preparing it on the pool would wait for this transaction.
func (tx *Tx) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := tx.stmts[text]; s != nil {
		return s, nil
	}
	pool := tx.db.write
	if tx.readOnly {
		pool = tx.db.read
	}
	tx.db.mu.RLock()
	ready := tx.db.stmts[stmtKey{pool, text}]
	tx.db.mu.RUnlock()
	if ready != nil {
		tx.stmts[text] = tx.tx.StmtContext(ctx, ready)
		return tx.stmts[text], nil
	}
	s, err := tx.tx.PrepareContext(ctx, text)
	if err == nil {
		tx.stmts[text] = s
		tx.unprepared = append(tx.unprepared, text)
	}
	return s, err
}

// keepPrepared prepares on the pool what transactions had to prepare for themselves, so that later
// ones find it. Each of these texts is one of few; the others run by execOnce.
func (db *DB) keepPrepared(ctx context.Context, texts []string) {
	for _, text := range texts {
		_, _ = db.prepared(ctx, db.write, text) // without it, the next transaction prepares it again
	}
}

// Rows loads the rows with the keys, those that exist.
func (tx *Tx) Rows(_ context.Context, keys []row.Key) (map[row.Key]*row.Row, error) {
	found, err := tx.Find(Wanted{Rows: keys})
	return found.Rows, err
}

// SaveRows writes rows, and sets their write counter to that of this transaction.
func (tx *Tx) SaveRows(ctx context.Context, rows []*row.Row) error {
	byKind := map[clerk.Kind][]*row.Row{}
	for _, r := range rows {
		r.Written = tx.Head.Writes
		byKind[r.Kind] = append(byKind[r.Kind], r)
	}
	ladder := tx.settings.Roles()
	for kind, list := range byKind {
		t := tables[kind]
		args := make([]any, len(t.columns))
		values := func(i int) []any {
			for c := range t.columns {
				args[c] = t.columns[c].value(list[i], ladder)
			}
			sum := t.checksum(args)
			if list[i].Altered && !list[i].Hidden() {
				sum ^= 1 // so that a walk still finds it
			}
			args[len(args)-1] = sum
			return args
		}
		if err := tx.saveTable(ctx, t, list, values); err != nil {
			return fmt.Errorf("save %s: %w", t.name, err)
		}
	}
	return nil
}

// SessionsCreatedAt lists the sessions of a user that are not terminal and were created in the
// given millisecond.
func (tx *Tx) SessionsCreatedAt(ctx context.Context, userID string, at clerk.Time) ([]string, error) {
	const text = "SELECT clerk_session_id FROM clerk_sessions WHERE clerk_user_id = $1 AND created_at = $2 AND sync_terminal = 0"
	rows, err := tx.query(ctx, text, userID, int64(at))
	return scanAll(rows, err, scanOne[string])
}

// RememberInstances stores the instances whose events were received.
func (tx *Tx) RememberInstances(ctx context.Context, ids []string) error {
	for _, id := range ids {
		const text = "INSERT INTO clerk_instances (instance_id, first_seen_at) VALUES ($1, $2) ON CONFLICT (instance_id) DO NOTHING"
		if err := tx.exec(ctx, text, id, tx.db.now().UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}
