package clerksync

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Tx runs SQL of the application in the transaction in which Config.OnChange is called. Statements
// that begin or end a transaction are refused, and on Postgres those that change the session, such
// as SET without LOCAL. Savepoints are allowed. Parameters are $1, $2, … on both engines.
//
// A Tx is safe for concurrent use. It can be used until OnChange returns: what is left open is
// closed then, and every later call fails.
type Tx struct{ tx *store.AppTx }

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.Exec(ctx, query, args...)
}

// Query runs a query. Close the rows before the next statement: Postgres has one result open at a
// time.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.Query(ctx, query, args...)
}

// QueryRow runs a query of which the first row counts. Errors are returned by the row's Scan.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRow(ctx, query, args...)
}

// onChange returns Config.OnChange as package store calls it.
func (c *Config) onChange() store.OnChange {
	return func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
		return c.OnChange(ctx, &Tx{tx}, changes)
	}
}

// outcomeOf returns the label of a call of OnChange.
func outcomeOf(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}

// ForgetOnChange makes a database forget that an application with Config.OnChange uses it. The
// database remembers that since the first [New] with an OnChange, so that processes without one
// warn (hook_bypassed). Call it after OnChange was removed from the application for good.
// ForgetOnChange does not close the database.
func ForgetOnChange(ctx context.Context, database DB) error {
	db, err := driver.Of(database)
	if err == nil {
		err = db.Migrate(ctx) // which loads the settings
	}
	if err == nil {
		err = db.RememberOnChange(ctx, false)
	}
	if err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

func logWarnings(ctx context.Context, log *slog.Logger, warnings []mirror.Warning) {
	for _, w := range warnings {
		log.Log(ctx, slog.LevelWarn, w.Message, "code", w.Code, "remedy", w.Remedy) //nolint:sloglint // one of few texts
	}
}
