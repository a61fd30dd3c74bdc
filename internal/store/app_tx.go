package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxPrepared bounds the statements of one transaction that are compiled once.
const maxPrepared = 32

// AppTx runs statements of the application in a transaction of the mirror. It is safe for
// concurrent use, and refuses everything once the call that it was made for has ended.
type AppTx struct {
	ctx    context.Context //nolint:containedctx // that of the call, to recognize it
	engine Engine
	tx     connection
	pool   *sql.DB // makes a [sql.Row] of a refusal

	mu     sync.Mutex
	ended  bool
	stmts  map[string]*sql.Stmt // by text; nil for one that is not prepared
	rows   []*sql.Rows          // of queries, to be closed at the end
	row    []*sql.Row
	failed error // the last error of a statement that was not refused for an earlier one
}

func newAppTx(ctx context.Context, tx *Tx) *AppTx {
	return &AppTx{ctx: ctx, engine: tx.db.engine, tx: tx.connection(), pool: tx.db.write, stmts: map[string]*sql.Stmt{}}
}

// Exec runs a statement that returns no rows.
func (t *AppTx) Exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, err := t.begin(ctx, text)
	if err != nil {
		return nil, err
	}
	var result sql.Result
	if stmt := t.stmts[text]; stmt != nil {
		result, err = stmt.ExecContext(ctx, args...)
	} else {
		result, err = t.tx.ExecContext(ctx, text, args...)
	}
	return result, t.note(err)
}

// Query runs a query. The rows must be closed before the next statement.
func (t *AppTx) Query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, err := t.begin(ctx, text)
	if err != nil {
		return nil, err
	}
	var rows *sql.Rows
	if stmt := t.stmts[text]; stmt != nil {
		rows, err = stmt.QueryContext(ctx, args...)
	} else {
		rows, err = t.tx.QueryContext(ctx, text, args...)
	}
	if err == nil {
		t.rows = append(t.rows, rows)
	}
	return rows, t.note(err)
}

// QueryRow runs a query of at most one row. Its error is that of Scan.
func (t *AppTx) QueryRow(ctx context.Context, text string, args ...any) *sql.Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, err := t.begin(ctx, text)
	if err != nil {
		return t.pool.QueryRowContext(refused{context.Background(), err}, text)
	}
	var row *sql.Row
	if stmt := t.stmts[text]; stmt != nil {
		row = stmt.QueryRowContext(ctx, args...)
	} else {
		row = t.tx.QueryRowContext(ctx, text, args...)
	}
	t.row = append(t.row, row)
	_ = t.note(row.Err())
	return row
}

// begin checks a statement before it runs. On SQLite it compiles the statement once, because the
// function of the application runs it for each change. Postgres's driver does that by itself.
func (t *AppTx) begin(ctx context.Context, text string) (context.Context, error) {
	if t.ended {
		return ctx, errTxEnded
	}
	if err := ctx.Err(); err != nil {
		return ctx, err
	}
	_, known := t.stmts[text]
	if !known {
		if err := checkAppSQL(t.engine, text); err != nil {
			return ctx, err
		}
	}
	if !inside(ctx) { // a statement must not outlast the call
		ctx = t.ctx
	}
	if ctx.Done() == t.ctx.Done() { // see [Engine.detach]
		ctx = t.engine.detach(ctx)
	}
	if known || t.engine == Postgres || len(t.stmts) >= maxPrepared {
		return ctx, nil
	}
	stmt, err := t.tx.PrepareContext(ctx, text) //nolint:sqlclosecheck // end does
	if err == nil {
		t.stmts[text] = stmt
	}
	return ctx, t.note(err)
}

// note keeps the error of a statement, for the case that the application ignores it.
func (t *AppTx) note(err error) error {
	if err != nil && !isAborted(err) {
		t.failed = err
	}
	return err
}

// end closes what the application left open. From now on every statement is refused. It reports
// whether a statement may have failed: a query can fail while its rows are read.
func (t *AppTx) end() (doubtful bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	doubtful = t.failed != nil || len(t.rows)+len(t.row) > 0
	for _, rows := range t.rows {
		_ = rows.Close()
	}
	for _, row := range t.row {
		_ = row.Scan() // closes one that was not scanned
	}
	for _, stmt := range t.stmts {
		_ = stmt.Close()
	}
	return doubtful
}

// refused is a context that has ended with an error, by which database/sql makes a [sql.Row] with
// that error.
type refused struct {
	context.Context //nolint:containedctx // a context itself
	err             error
}

// Done returns a closed channel.
func (refused) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// Err returns the error.
func (r refused) Err() error { return r.err }
