package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/clerksync/clerksync/internal/store"
)

// execMode is the setting of the connection string by which an operator decides how statements are
// sent.
const execMode = "default_query_exec_mode"

// connector makes connections that work through a pooler such as PgBouncer, in every mode and
// version. A pooler may give each transaction another connection of the server, which does not know
// the prepared statements of the one before; so behind one nothing is prepared.
type connector struct {
	direct, pooled driver.Connector
	behindPooler   atomic.Bool // it was found once
}

// newConnector returns the connector of a configuration. The connection string decides if it says
// how statements are sent.
func newConnector(dsn string, config *pgx.ConnConfig) driver.Connector {
	direct := stdlib.GetConnector(*config)
	if strings.Contains(dsn, execMode) {
		return direct
	}
	unprepared := config.Copy()
	unprepared.DefaultQueryExecMode = pgx.QueryExecModeExec
	return &connector{direct: direct, pooled: stdlib.GetConnector(*unprepared)}
}

// Driver is pgx's.
func (c *connector) Driver() driver.Driver { return c.direct.Driver() }

// Connect connects, and looks whether there is a pooler.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.behindPooler.Load() {
		return c.pooled.Connect(ctx)
	}
	conn, err := c.direct.Connect(ctx)
	if err != nil {
		return nil, err
	}
	pooled, err := poolerBefore(ctx, conn)
	if err != nil || pooled {
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		return nil, err
	}
	if pooled {
		c.behindPooler.Store(true)
		return c.pooled.Connect(ctx)
	}
	return conn, nil
}

// poolerBefore reports whether something between this process and Postgres took the connection. It
// then gave out a key of its own for cancelling queries, which names another process than the one
// that executes them.
func poolerBefore(ctx context.Context, conn driver.Conn) (bool, error) {
	c, ok := conn.(*stdlib.Conn)
	if !ok {
		return false, fmt.Errorf("postgres: a connection is a %T", conn)
	}
	results, err := c.Conn().PgConn().Exec(ctx, selectProcess).ReadAll()
	if err != nil {
		return false, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return false, errors.New("postgres: the server does not name its process")
	}
	process, err := strconv.ParseUint(string(results[0].Rows[0][0]), 10, 32)
	return uint32(process) != c.Conn().PgConn().PID(), err
}

// pooling finds out what is between this process and Postgres, by two connections of a pool. While
// the second is in a transaction, the first is served by another process than before if
// transactions share the connections of the server.
func pooling(ctx context.Context, db *sql.DB) (store.Pooling, error) {
	first, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = first.Close() }()
	var pooled bool
	err = first.Raw(func(c any) (err error) {
		conn, ok := c.(driver.Conn)
		if !ok {
			return fmt.Errorf("postgres: a connection is a %T", c)
		}
		pooled, err = poolerBefore(ctx, conn)
		return err
	})
	if err != nil || !pooled {
		return store.PoolingNone, err
	}
	var before, meanwhile, after int64
	if err := first.QueryRowContext(ctx, selectProcess).Scan(&before); err != nil {
		return "", err
	}
	second, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = second.Rollback() }()
	if err := second.QueryRowContext(ctx, selectProcess).Scan(&meanwhile); err != nil {
		return "", err
	}
	if err := first.QueryRowContext(ctx, selectProcess).Scan(&after); err != nil {
		return "", err
	}
	if before != after || before == meanwhile {
		return store.PoolingTransaction, nil
	}
	return store.PoolingSession, nil
}

const selectProcess = "SELECT pg_backend_pid()"

// refusesStartupParameters reports whether a pooler refused a connection for a parameter that it
// does not know.
func refusesStartupParameters(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "08P01"
}
