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

// Snapshot runs fn with a context under which all reads of this database see one moment of it.
// Facts that are compared with each other are read under one. [DB.View] is for work that is written
// for a transaction.
func (db *DB) Snapshot(ctx context.Context, fn func(context.Context) error) error {
	if db.snapshotOf(ctx) != nil {
		return fn(ctx)
	}
	tx, err := db.beginRead(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return fn(context.WithValue(ctx, snapshotKey{}, snapshot{db, tx}))
}

// beginRead begins a transaction that sees one moment of the database and takes no lock that a
// writer waits for.
func (db *DB) beginRead(ctx context.Context) (*sql.Tx, error) {
	if err := db.checkReadable(ctx); err != nil {
		return nil, err
	}
	options := &sql.TxOptions{ReadOnly: true}
	if db.engine == Postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	return db.read.BeginTx(db.engine.detach(ctx), options)
}

// snapshotOf returns the transaction of a context's snapshot, nil where it has none of this
// database.
func (db *DB) snapshotOf(ctx context.Context) *sql.Tx {
	if s, ok := ctx.Value(snapshotKey{}).(snapshot); ok && s.db == db {
		return s.tx
	}
	return nil
}
