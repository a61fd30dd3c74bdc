package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/clerksync/clerksync/internal/store"
)

// send sends statements in one message, and reads the answers: it is the [store.Sender] of
// Postgres. pgx prepares those that are new on the connection before that, in a message of their
// own.
func send(ctx context.Context, conn *sql.Conn, list []store.Statement) error {
	return conn.Raw(func(c any) error {
		pg, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("postgres: a connection is a %T", c)
		}
		var batch pgx.Batch
		for _, s := range list {
			batch.Queue(s.Text, s.Args...)
		}
		results := pg.Conn().SendBatch(ctx, &batch)
		for _, s := range list {
			if err := answer(results, s); err != nil {
				_ = results.Close()
				return name(err, s.Text)
			}
		}
		return results.Close()
	})
}

// answer reads the answer to the next statement.
func answer(results pgx.BatchResults, s store.Statement) error {
	if s.Scan == nil {
		tag, err := results.Exec()
		if err == nil && s.Text == store.Commit && tag.String() == "ROLLBACK" {
			err = pgx.ErrTxCommitRollback
		}
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.Scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// name says in an error which statement failed.
func name(err error, text string) error {
	if unsent, ok := errors.AsType[pgx.ErrPreprocessingBatch](err); ok { // of another statement than the first
		text = unsent.SQL()
	}
	if found := statementName.FindString(text); found != "" {
		text = found
	}
	return fmt.Errorf("%s: %w", strings.Join(strings.Fields(text), " "), err)
}

// statementName finds what a statement does with which table.
var statementName = regexp.MustCompile(`(INSERT INTO|UPDATE|DELETE FROM|\bFROM)\s+\w+`)
