package store

import (
	"context"
	"database/sql"
)

// snapshotKey is the key of a context's snapshot.
type snapshotKey struct{}

type snapshot struct {
	db *DB
	tx *sql.Tx
}

// Snapshot runs fn with a context under which all reads of this database see one state of it, in one
// read-only transaction. Facts that are compared with each other are read under one.
func (db *DB) Snapshot(ctx context.Context, fn func(context.Context) error) error {
	if db.snapshotOf(ctx) != nil {
		return fn(ctx)
	}
	options := &sql.TxOptions{ReadOnly: true}
	if db.engine == Postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	tx, err := db.read.BeginTx(db.engine.detach(ctx), options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return fn(context.WithValue(ctx, snapshotKey{}, snapshot{db, tx}))
}

// snapshotOf returns the transaction of a context's snapshot, nil where it has none of this database.
func (db *DB) snapshotOf(ctx context.Context) *sql.Tx {
	if s, ok := ctx.Value(snapshotKey{}).(snapshot); ok && s.db == db {
		return s.tx
	}
	return nil
}
