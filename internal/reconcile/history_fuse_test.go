package reconcile_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/clerksync/clerksync/internal/store"
)

// errKilled is the error of all statements of a killed process.
var errKilled = errors.New("killed")

// fuse kills a process at one of its statements: what was not committed is lost, and all later
// statements fail.
type fuse struct {
	mu    sync.Mutex
	left  int  // statements until then; negative means never
	after bool // if that is a COMMIT, it succeeds, but the process does not learn that
	dead  bool
}

func (f *fuse) light(statements int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.after, f.dead = statements, after, false
}

// burn is called before each statement.
func (f *fuse) burn() (err error, after bool) { //nolint:revive // the error is the first that is asked for
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errKilled, false
	}
	if f.left == 0 {
		f.dead = true
		return errKilled, f.after
	}
	if f.left > 0 {
		f.left--
	}
	return nil, false
}

// send sends statements one after another, so that the process can be killed between any two.
func (f *fuse) send(ctx context.Context, conn *sql.Conn, list []store.Statement) error {
	for _, s := range list {
		if s.Text == store.Commit {
			return f.commit(ctx, conn)
		}
		if err := sendOne(ctx, conn, s); err != nil {
			return err
		}
	}
	return nil
}

func sendOne(ctx context.Context, conn *sql.Conn, s store.Statement) error {
	rows, err := conn.QueryContext(ctx, s.Text, s.Args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.Scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// commit of a killed process may succeed: see after.
func (f *fuse) commit(ctx context.Context, conn *sql.Conn) error {
	err, after := f.burn()
	if err != nil && !after {
		return err
	}
	return errors.Join(err, conn.Raw(func(c any) error {
		_, err := c.(*fusedConn).Conn.(driver.ExecerContext).ExecContext(ctx, store.Commit, nil)
		return err
	}))
}

// blown reports whether the process was killed, and resets the fuse.
func (f *fuse) blown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	dead := f.dead
	f.left, f.dead = -1, false
	return dead
}

// openWithFuse opens a database as packages sqlite and postgres do: the URL of a Postgres database,
// or "" for SQLite in memory, which may be a copy of another database. The clock of Postgres is
// synctest's.
func openWithFuse(dsn string, content []byte) (*store.DB, *sql.DB, *fuse, error) {
	f := &fuse{left: -1}
	if dsn != "" {
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, nil, nil, err
		}
		db := sql.OpenDB(fusedConnector{stdlib.GetConnector(*config), f})
		return store.Open(store.Postgres, db, db).WithSender(f.send), db, f, nil
	}
	plain, err := sql.Open("sqlite", "file::memory:?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, nil, nil, err
	}
	defer plain.Close()
	db := sql.OpenDB(fusedConnector{memory{plain.Driver(), content}, f})
	db.SetMaxOpenConns(1)
	return store.Open(store.SQLite, db, db), db, f, nil
}

// memory is an SQLite database that exists as long as its only connection.
type memory struct {
	driver  driver.Driver
	content []byte // nil means empty
}

func (m memory) Connect(context.Context) (driver.Conn, error) {
	c, err := m.driver.Open("file::memory:?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err == nil && m.content != nil {
		err = c.(serializer).Deserialize(m.content)
	}
	return c, err
}
func (m memory) Driver() driver.Driver { return m.driver }

type fusedConnector struct {
	driver.Connector
	fuse *fuse
}

func (c fusedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return &fusedConn{conn, c.fuse}, err
}

// realClock is the expression for the clock of Postgres.
const realClock = "clock_timestamp()"

type fusedConn struct {
	driver.Conn
	fuse *fuse
}

func (c *fusedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err, _ := c.fuse.burn(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
}

func (c *fusedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if err, _ := c.fuse.burn(); err != nil {
		return nil, err
	}
	if strings.Contains(text, realClock) {
		text = strings.ReplaceAll(text, realClock, fmt.Sprintf("to_timestamp(%d / 1000.0)", time.Now().UnixMilli()))
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
}

func (c *fusedConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
	return &fusedStmt{s, c.fuse}, err
}

func (c *fusedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err, _ := c.fuse.burn(); err != nil {
		return nil, err
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return &fusedTx{tx, c.fuse}, err
}

// CheckNamedValue passes arrays on to pgx.
func (c *fusedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type fusedStmt struct {
	driver.Stmt
	fuse *fuse
}

func (s *fusedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err, _ := s.fuse.burn(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *fusedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err, _ := s.fuse.burn(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

type fusedTx struct {
	driver.Tx
	fuse *fuse
}

// Commit of a killed process is a rollback, as if the connection were lost.
func (t *fusedTx) Commit() error {
	err, after := t.fuse.burn()
	switch {
	case err != nil && after:
		return errors.Join(err, t.Tx.Commit())
	case err != nil:
		return errors.Join(err, t.Tx.Rollback())
	}
	return t.Tx.Commit()
}
