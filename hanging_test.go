package clerksync_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

// hangingDatabase is a database in memory whose connections stop answering when told to.
type hangingDatabase struct {
	open func() (driver.Conn, error)

	mu   sync.Mutex
	hang func() // nil: it answers
}

func (d *hangingDatabase) stop(hang func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hang = hang
}

func (d *hangingDatabase) Driver() driver.Driver { return nil }

func (d *hangingDatabase) Connect(context.Context) (driver.Conn, error) {
	conn, err := d.open()
	if err != nil {
		return nil, err
	}
	return &hangingConn{conn.(sqliteConn), d}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.QueryerContext
	driver.ExecerContext
	driver.ConnPrepareContext
	driver.ConnBeginTx
}

type hangingConn struct {
	sqliteConn
	of *hangingDatabase
}

// ResetSession runs before each use of a connection.
func (c *hangingConn) ResetSession(context.Context) error {
	c.of.mu.Lock()
	hang := c.of.hang
	c.of.mu.Unlock()
	if hang != nil {
		hang()
	}
	return nil
}

// pass lets time pass in a bubble of testing/synctest.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // its clock is a fake

func openHanging(t *testing.T) (*hangingDatabase, *store.DB) {
	t.Helper()
	pool, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	d := &hangingDatabase{open: func() (driver.Conn, error) { return pool.Driver().Open("file::memory:?_txlock=immediate") }}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(d)
	db.SetMaxOpenConns(1)
	return d, store.Open(store.SQLite, db, db)
}
