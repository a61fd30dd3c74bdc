package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// This file holds how the statements of a transaction reach Postgres: together, because while a
// statement is on its way, all other writers wait for the lock of the head row. SQLite is in the
// process, so there each statement runs at once.

// Statement is one of several that are sent to Postgres together.
type Statement struct {
	Text string
	Args []any
	Scan func(Row) error // gets each row of the answer; nil: it has none
}

// The statements that begin and end a transaction on Postgres.
const (
	Begin  = "begin"
	Commit = "commit"
)

// Sender sends statements on a connection in one round trip. Its error is that of the first
// statement that failed, and names it; none after that one was executed. A [Commit] that was a
// rollback has failed.
type Sender func(ctx context.Context, conn *sql.Conn, list []Statement) error

// WithSender sets how statements are sent on Postgres. Transactions that write need it there.
func (db *DB) WithSender(s Sender) *DB {
	db.sender = s
	return db
}

// Row is a row of an answer: a [*sql.Rows], or one of the driver.
type Row interface {
	Scan(dest ...any) error
}

// connection is what both kinds of transactions have.
type connection interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
}

// maxTogether bounds the statements that wait, and so the memory that they need.
const maxTogether = 1000

// openTx begins a transaction that may write. On Postgres nothing is sent yet. The application's
// OnChange, for which it would wait for the transaction in which OnChange runs, gets an error.
func (db *DB) openTx(ctx context.Context) (*Tx, error) {
	tx := &Tx{db: db, ctx: ctx}
	if db.engine == SQLite {
		sqlTx, err := db.beginWrite(ctx)
		tx.tx, tx.stmts = sqlTx, map[string]*sql.Stmt{}
		return tx, err
	}
	if err := CheckOutside(ctx); err != nil {
		return nil, err
	}
	conn, err := db.write.Conn(ctx)
	tx.conn, tx.waiting = conn, []Statement{{Text: Begin}}
	return tx, err
}

// connection returns what runs a statement at once. What waits must have been sent.
func (tx *Tx) connection() connection {
	if tx.conn != nil {
		return tx.conn
	}
	return tx.tx
}

// later adds a statement to those that wait for the next send.
func (tx *Tx) later(s Statement) error {
	tx.waiting = append(tx.waiting, s)
	if len(tx.waiting) < maxTogether {
		return nil
	}
	return tx.send()
}

// send sends what waits. Once it has failed, the transaction can only be rolled back.
func (tx *Tx) send() error {
	if tx.failed == nil && len(tx.waiting) > 0 {
		list := tx.waiting
		tx.waiting, tx.begun = nil, true
		tx.failed = tx.db.sender(tx.ctx, tx.conn, list)
	}
	return tx.failed
}

// ask asks a question. scan gets each row of the answer, which is complete after the next send: so
// several questions share a round trip.
func (tx *Tx) ask(scan func(Row) error, text string, args ...any) error {
	if tx.conn != nil {
		return tx.later(Statement{text, args, scan})
	}
	rows, err := tx.query(tx.ctx, text, args...)
	return scanEach(rows, err, scan)
}

// askOneOf asks for the rows whose column is one of the keys.
func (tx *Tx) askOneOf(scan func(Row) error, text, column string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	condition, arg := tx.db.engine.oneOf(column, keys)
	return tx.ask(scan, text+condition, arg)
}

// commit commits, with what waits. If it fails, the outcome may be unknown.
func (tx *Tx) commit() error {
	if tx.conn == nil {
		return tx.tx.Commit()
	}
	tx.waiting = append(tx.waiting, Statement{Text: Commit})
	err := tx.send()
	tx.committed = err == nil
	return err
}

// close rolls back what was not committed, and returns the connection.
func (tx *Tx) close() {
	if tx.conn == nil {
		_ = tx.tx.Rollback()
		return
	}
	if tx.begun && !tx.committed {
		if _, err := tx.conn.ExecContext(tx.ctx, "rollback"); err != nil {
			_ = tx.conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it, which is a rollback, too
		}
	}
	_ = tx.conn.Close()
}
