package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/mirror"
)

// DB is an open database. Package sqlite and package postgres open them; no other type can be one.
type DB interface {
	// Engine returns the database engine.
	Engine() mirror.Engine
	// Migrate brings the schema up to date.
	Migrate(ctx context.Context) error
	// Close closes the database, but no pool of the application.
	Close() error
}
