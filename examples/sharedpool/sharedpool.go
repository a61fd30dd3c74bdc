// Package sharedpool shows an application and a mirror on one pool of Postgres connections.
package sharedpool

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/postgres"
)

// App is an application. Its queries and those of the mirror share the pool, so that together they
// have no more connections than the pool allows (the parameter pool_max_conns of the connection
// string).
type App struct {
	Pool   *pgxpool.Pool
	Mirror *clerksync.Mirror
}

// Open opens the pool and a mirror on it.
func Open(ctx context.Context, dsn string, config clerksync.Config) (*App, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, err
	}
	m, err := clerksync.New(ctx, postgres.FromPool(pool), config)
	if err != nil {
		pool.Close() // what the application opened, the application closes
		return nil, err
	}
	return &App{Pool: pool, Mirror: m}, nil
}

// Close ends the mirror first, which writes what it has received, and then the pool.
func (a *App) Close() error {
	err := a.Mirror.Close()
	a.Pool.Close()
	return err
}

// CountUsers is a query of the application on the same pool.
func (a *App) CountUsers(ctx context.Context) (count int, err error) {
	err = a.Pool.QueryRow(ctx, "SELECT count(*) FROM clerk_users_typed WHERE is_active").Scan(&count)
	return count, err
}
