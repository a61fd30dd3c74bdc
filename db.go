package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/mirror"
)

// DB is an open database. Packages sqlite and postgres open databases. Other types cannot be used
// as one.
type DB interface {
	// Engine returns the database engine.
	Engine() mirror.Engine
	// Migrate brings the schema up to date.
	Migrate(ctx context.Context) error
	// Close closes the database. It does not close a pool that belongs to the application.
	Close() error
}
