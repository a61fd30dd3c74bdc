package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/mirror"
)

// DB is an open database: a [*sqlite.DB] or a [*postgres.DB]. No other type can be one.
//
// [*sqlite.DB]: https://pkg.go.dev/github.com/clerksync/clerksync/sqlite#DB
// [*postgres.DB]: https://pkg.go.dev/github.com/clerksync/clerksync/postgres#DB
type DB interface {
	// Engine returns the database engine.
	Engine() mirror.Engine
	// Migrate brings the schema up to date.
	Migrate(ctx context.Context) error
	// Close closes the database, but no pool of the application.
	Close() error
}
