package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// This file holds the differences between the engines: the lock of the head row, the number of rows
// in a statement, and the meaning of errors.

// lockHead returns the statement that reads the head row and makes all other writers wait. SQLite
// needs no lock, because its write transactions begin IMMEDIATE. On Postgres the statement also
// makes the commit durable if a role or a database switched that off, and makes the planner use
// indexes: a plan that was made while a table was empty would scan the whole table, and connections
// keep their plans. Where there is no index, that makes a plan look so expensive that Postgres
// would compile it, each time, which takes longer than the whole transaction. It lets Postgres end
// the transaction of a process that was stopped or cut off from the network in the middle of it:
// all other servers wait for its lock.
func (e Engine) lockHead(idle time.Duration) string {
	if e == SQLite {
		return selectHead
	}
	return strings.Replace(selectHead, "SELECT ", `SELECT length(set_config('enable_seqscan', 'off', true) || set_config('jit', 'off', true)) * 0 +
		length(set_config('idle_in_transaction_session_timeout', '`+strconv.FormatInt(idle.Milliseconds(), 10)+`', true)) * 0 +
		CASE WHEN current_setting('synchronous_commit') = 'off'
		THEN length(set_config('synchronous_commit', 'on', true)) * 0 ELSE 0 END + `, 1) + " FOR UPDATE"
}

// rowID returns the column by which the engine finds a row without an index.
func (e Engine) rowID() string {
	if e == SQLite {
		return "rowid"
	}
	return "ctid"
}

// detach returns a context that never ends for SQLite. Its driver starts a goroutine for each
// statement whose context can end, which costs more than the statement. SQLite statements do not
// wait for a network, and wait for a lock no longer than busy_timeout.
func (e Engine) detach(ctx context.Context) context.Context {
	if e == SQLite {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

type columnType uint8

const (
	textColumn columnType = iota
	intColumn
	uuidColumn
)

// bulk is an INSERT of many rows. On SQLite it runs once for each row, because there is no round
// trip to save. On Postgres it runs once, with an array for each column.
type bulk struct {
	types []columnType
	texts map[Engine]string
}

func newBulk(prefix string, types []columnType, suffix string) *bulk {
	arrays := make([]string, len(types))
	for i, t := range types {
		arrays[i] = fmt.Sprintf("$%d::%s", i+1, [...]string{"text[]", "bigint[]", "text[]::uuid[]"}[t])
	}
	return &bulk{types: types, texts: map[Engine]string{
		// not "$1": the driver looks up named parameters one by one
		SQLite:   prefix + " VALUES (?" + strings.Repeat(", ?", len(types)-1) + ")" + suffix,
		Postgres: prefix + " SELECT * FROM unnest(" + strings.Join(arrays, ", ") + ")" + suffix, //nolint:unqueryvet // its columns are the arrays
	}}
}

// save runs a bulk statement for n rows. values returns the values of row i, each nil, a string or
// an int64.
func (tx *Tx) save(ctx context.Context, b *bulk, n int, values func(i int) []any) error {
	if n == 0 {
		return nil
	}
	tx.rows += int64(n)
	text := b.texts[tx.db.engine]
	if tx.db.engine == Postgres {
		return tx.exec(ctx, text, b.arrays(n, values)...)
	}
	for i := range n {
		if err := tx.exec(ctx, text, values(i)...); err != nil {
			return err
		}
	}
	return nil
}

// arrays turns rows into one array for each column.
func (b *bulk) arrays(n int, values func(i int) []any) []any {
	columns := make([]any, len(b.types))
	for c, t := range b.types {
		if t == intColumn {
			columns[c] = make([]*int64, n)
		} else {
			columns[c] = make([]*string, n)
		}
	}
	for i := range n {
		for c, arg := range values(i) {
			switch a := arg.(type) {
			case string:
				columns[c].([]*string)[i] = &a //nolint:forcetypeassert // made above
			case int64:
				columns[c].([]*int64)[i] = &a //nolint:forcetypeassert // made above
			}
		}
	}
	return columns
}

// load runs a SELECT of the rows whose column is one of the keys.
func (tx *Tx) load(text, column string, keys []string, scan func(Row) error) error {
	if err := tx.askOneOf(scan, text, column, keys); err != nil {
		return err
	}
	return tx.send()
}

// oneOf returns the condition that a column is one of the keys, and its only argument.
func (e Engine) oneOf(column string, keys []string) (condition string, arg any) {
	if e == Postgres {
		return column + " = ANY($1)", keys
	}
	if len(keys) == 1 {
		return column + " = $1", keys[0]
	}
	list := make([]clerk.Value, len(keys))
	for i, k := range keys {
		list[i] = clerk.Text(k)
	}
	return column + " IN (SELECT value FROM json_each($1))", clerk.Array(list...).JSON()
}

// IsTransient reports whether an error comes from the state of the database and not from the
// statement: the same work may succeed later, and no event is the cause. Unknown errors are not
// transient.
func IsTransient(err error) bool {
	if _, own := errors.AsType[ownFault](err); own {
		return false
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	var postgres interface{ SQLState() string }
	if errors.As(err, &postgres) {
		// connection, resources, transaction rollback, lock not available, operator intervention
		state := postgres.SQLState()
		return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "40") || strings.HasPrefix(state, "53") ||
			strings.HasPrefix(state, "57") || strings.HasPrefix(state, "58") || state == "55P03" || state == "25006"
	}
	var sqlite interface{ Code() int }
	if errors.As(err, &sqlite) {
		switch sqlite.Code() & 0xff {
		case 5, 6, 7, 8, 10, 13, 14, 15: // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL
			return true
		}
		return false
	}
	return strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "failed to connect")
}

// isAborted reports whether Postgres refused a statement only because an earlier one of the
// transaction had failed.
func isAborted(err error) bool {
	var postgres interface{ SQLState() string }
	return errors.As(err, &postgres) && postgres.SQLState() == "25P02"
}
