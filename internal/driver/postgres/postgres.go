package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/clerksync/clerksync/internal/store"
)

// connectWithin is how long connecting may take, unless the connection string says otherwise
// (connect_timeout): a server that hangs must not hold up the commands by which people find out
// why.
const connectWithin = 10 * time.Second

// Open opens the database that a connection string (postgres://… or key=value) names,
// with at most 16 connections. It does not connect yet: a database that is down is seen
// by the first use. The schema is not touched: clerksync.New migrates it.
func Open(dsn string) (*store.DB, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(newConnector(dsn, config))
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return open(db).Named(location(config)), nil
}

func open(db *sql.DB) *store.DB {
	return store.Open(store.Postgres, db, db).WithSender(send).WithPooling(func(ctx context.Context) (store.Pooling, error) { return pooling(ctx, db) })
}

// location is where the database is, without user and password.
func location(c *pgx.ConnConfig) string {
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), Path: "/" + c.Database}
	if strings.HasPrefix(c.Host, "/") { // a folder with a Unix socket
		u.Host, u.RawQuery = "", "host="+c.Host
	}
	return u.String()
}

func parse(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// pgx's own message redacts the password, but not every malformed string lets it find one
		return nil, errors.New("postgres: the connection string is malformed: want postgres://user:password@host:port/database")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectWithin
	}
	return config, nil
}

// FromPool uses a pool of the application. Closing the result leaves the pool open.
func FromPool(pool *pgxpool.Pool) *store.DB {
	db := stdlib.OpenDBFromPool(pool)
	return open(db).Named(location(pool.Config().ConnConfig))
}

// FromDB uses a *sql.DB of the application, which was opened with pgx's driver. Closing the result
// leaves it open.
func FromDB(db *sql.DB) (*store.DB, error) {
	if _, ok := db.Driver().(*stdlib.Driver); !ok {
		return nil, fmt.Errorf("postgres: want a database opened with pgx's stdlib driver, not %T", db.Driver())
	}
	return open(db).Borrowed(), nil
}
