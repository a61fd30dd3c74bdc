package store

import (
	"context"
	"database/sql"

	"github.com/clerksync/clerksync/clerk"
)

// Backlog counts what waits to be processed.
type Backlog struct {
	Verify       int64      // objects that wait to be read again from Clerk
	VerifyOldest clerk.Time // 0: none
	DeadOldest   clerk.Time // when the oldest dead letter came; 0: none
}

// Backlog reads indexes and the verify queue, which is short.
func (db *DB) Backlog(ctx context.Context) (Backlog, error) {
	rows, err := db.query(ctx, `SELECT count(*), COALESCE(min(queued_at), 0),
		(SELECT COALESCE(min(received_at), 0) FROM clerk_inbox WHERE state <> 'applied' AND state = 'dead') FROM clerk_verify v WHERE `+waits)
	return exactlyOne(scanAll(rows, err, func(r Row) (b Backlog, err error) { return b, r.Scan(&b.Verify, &b.VerifyOldest, &b.DeadOldest) }))
}

// Size returns the size of the database in bytes, as the engine counts it.
func (db *DB) Size(ctx context.Context) (int64, error) {
	if db.engine == Postgres {
		return db.number(ctx, "SELECT pg_database_size(current_database())")
	}
	return db.number(ctx, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
}

// Pools returns the connection pools by name: read and write, and on Postgres one for both.
func (db *DB) Pools() map[string]sql.DBStats {
	if db.read == db.write {
		return map[string]sql.DBStats{"all": db.write.Stats()}
	}
	return map[string]sql.DBStats{"read": db.read.Stats(), "write": db.write.Stats()}
}
