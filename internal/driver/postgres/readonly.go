package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

// OpenReadOnly opens a database to be read, as Open does, also by a role that may only SELECT. The
// server is told to refuse every write of its connections. clerksync.New on it makes a mirror that
// only reads.
func OpenReadOnly(dsn string) (*store.DB, error) {
	plain, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	guarded := plain.Copy()
	guarded.RuntimeParams["default_transaction_read_only"] = "on"
	db := sql.OpenDB(readers{newConnector(dsn, guarded), newConnector(dsn, plain)})
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(time.Minute)
	return open(db).Named(location(plain)).SetReadOnly(), nil
}

// readers makes connections that only read.
type readers struct{ guarded, plain driver.Connector }

// Driver is pgx's.
func (r readers) Driver() driver.Driver { return r.guarded.Driver() }

// Connect asks the server to refuse writes. A pooler may not let that through (PgBouncer answers
// 08P01); this process writes nothing all the same.
func (r readers) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.guarded.Connect(ctx)
	if refusesStartupParameters(err) {
		return r.plain.Connect(ctx)
	}
	return c, err
}
