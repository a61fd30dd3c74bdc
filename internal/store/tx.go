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
	ctx   context.Context //nolint:containedctx // ends with the transaction, and bounds each statement of it
	tx    *sql.Tx
	stmts map[string]*sql.Stmt // of this transaction's connection
	rows  int64                // written so far

	unprepared []string // texts that the pool has not prepared yet

	Head Head

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
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.UpdateWithin(ctx, db.updateTimeout, fn)
}

// UpdateWithin is Update with another limit, for rare work such as deriving the roles of all users
// by another ladder.
func (db *DB) UpdateWithin(ctx context.Context, limit time.Duration, fn func(*Tx) error) error {
	if db.readOnly {
		return ErrReadOnly
	}
	err := db.update(ctx, limit, fn)
	db.writes.note(db, err)
	return err
}

func (db *DB) update(ctx context.Context, limit time.Duration, fn func(*Tx) error) error {
	if db.engine == Postgres { // SQLite waits for a lock no longer than busy_timeout, and for no network
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	callers := ctx
	ctx = db.engine.detach(ctx)
	sqlTx, err := db.beginWrite(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = sqlTx.Rollback() }()
	tx := &Tx{db: db, ctx: ctx, tx: sqlTx, stmts: map[string]*sql.Stmt{}}
	idle := idleTimeout
	if db.hook != nil {
		idle = limit
	}
	if err := tx.begin(ctx, db.engine.lockHead(idle)); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	if err := fn(tx); err != nil {
		return err
	}
	h := tx.Head
	if err := tx.exec(ctx, updateHead, h.Seq, h.Writes, int64(h.HighWater), int64(h.LastReceivedAt), h.Settings); err != nil {
		return err
	}
	if err := tx.runOnChange(callers, limit); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return err
	}
	if tx.changedSettings {
		db.settings.Store(tx.settings)
	}
	if tx.audits && db.replica != nil {
		raise(&db.replica.audited, tx.Head.Writes)
	}
	db.checkpointWhenDue(tx.rows)
	db.keepPrepared(ctx, tx.unprepared)
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
	if err := tx.begin(ctx, selectHead); err != nil {
		return fmt.Errorf("begin a view: %w", err)
	}
	return fn(tx)
}

// begin reads the head row and the settings in force, and takes the next write counter.
func (tx *Tx) begin(ctx context.Context, readHead string) error {
	rows, err := tx.query(ctx, readHead)
	heads, err := scanAll(rows, err, scanHead)
	if tx.Head, err = exactlyOne(heads, err); err != nil {
		return err
	}
	tx.Head.Writes++
	return tx.learnSettings(ctx)
}

// ReadOnly reports whether the transaction can only read.
func (tx *Tx) ReadOnly() bool { return tx.readOnly }

func scanHead(r *sql.Rows) (h Head, err error) {
	return h, r.Scan(&h.Seq, &h.Writes, &h.HighWater, &h.LastReceivedAt, &h.Settings)
}

// Head returns the head row as last committed.
func (db *DB) Head(ctx context.Context) (Head, error) {
	rows, err := db.query(ctx, selectHead)
	heads, err := scanAll(rows, err, scanHead)
	return exactlyOne(heads, err)
}

func (tx *Tx) exec(ctx context.Context, text string, args ...any) error {
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

func (tx *Tx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if tx.db.engine == Postgres {
		return tx.tx.QueryContext(tx.ctx, text, args...)
	}
	ctx = tx.db.engine.detach(ctx)
	s, err := tx.prepared(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// execOnce runs a statement without preparing it, and returns how many rows it changed.
func (tx *Tx) execOnce(text string, args ...any) (int64, error) {
	result, err := tx.tx.ExecContext(tx.ctx, text, args...)
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
func (tx *Tx) Rows(ctx context.Context, keys []row.Key) (map[row.Key]*row.Row, error) {
	byKind := map[clerk.Kind][]string{}
	for _, k := range keys {
		byKind[k.Kind] = append(byKind[k.Kind], k.ID)
	}
	found := make(map[row.Key]*row.Row, len(keys))
	for kind, ids := range byKind {
		t := tables[kind]
		err := tx.load(ctx, t.selectRows[tx.db.engine], t.key(), ids, func(rows *sql.Rows) error {
			r, text, err := scanRow(kind, rows)
			if err != nil {
				return err
			}
			if tx.db.engine == SQLite {
				tx.noteStored(t, r, text)
			}
			found[r.Key] = r
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", t.name, err)
		}
	}
	return found, nil
}

// scanRow reads a row. text is what its checksum covers, until the next row is read.
func scanRow(kind clerk.Kind, rows *sql.Rows) (r *row.Row, text sql.RawBytes, err error) {
	r = &row.Row{Key: row.Key{Kind: kind}}
	var sum int64
	err = rows.Scan(&r.ID, &r.UserID, &r.OrganizationID, &r.BannedAt, &r.SignedInAt, &r.ActiveAt,
		&r.DeletedAt, &r.Raw, &r.Tombstoned, &r.Terminal, &r.Rank, &r.UpdatedAt, &r.ObservedAt,
		&r.Revision, &r.Digest, &r.Read, &r.SeenAt, &r.GoneAt, &r.HintAt, &r.Written, &r.Erased, &r.ReadAfter,
		&r.Provision.Deprovisioned, &r.Provision.UpdatedAt, &r.Provision.ObservedAt, &r.Overrides, &text, &sum)
	r.Altered = !holds(text, sum)
	if !r.Tombstoned {
		r.DeletedAt = 0
	}
	return r, text, err
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
