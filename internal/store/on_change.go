package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// OnChange is the function of the application that runs in each transaction that appends changes,
// before the commit (Config.OnChange).
type OnChange func(ctx context.Context, tx *AppTx, changes []mirror.Change) error

// hook is the function and what is known of its calls.
type hook struct {
	run     OnChange
	measure func(took time.Duration, err error)
	running atomic.Bool // a call has not returned; true at the next call means that it hangs
}

// SetOnChange makes every transaction with changes call a function before its commit. An error of
// it rolls the transaction back and is a [*mirror.OnChangeError]. measure is called after each
// call; nil is fine. Call SetOnChange before the handle is used.
func (db *DB) SetOnChange(run OnChange, measure func(took time.Duration, err error)) {
	if run == nil {
		db.hook = nil
		return
	}
	if measure == nil {
		measure = func(time.Duration, error) {}
	}
	db.hook = &hook{run: run, measure: measure}
}

// hookGrace is how long a call that has used up its time may take to return.
const hookGrace = 100 * time.Millisecond

type insideOnChange struct{}

// inside reports whether the caller is the function of the application.
func inside(ctx context.Context) bool { return ctx.Value(insideOnChange{}) != nil }

// CheckOutside returns [mirror.ErrInsideOnChange] for the context of the function of the
// application. A transaction that the function began would wait for the one that it runs in.
func CheckOutside(ctx context.Context) error {
	if inside(ctx) {
		return mirror.ErrInsideOnChange
	}
	return nil
}

// noteChanges keeps changes for the function of the application.
func (tx *Tx) noteChanges(changes []row.Change) {
	if tx.db.hook == nil {
		return
	}
	for i := range changes {
		tx.changes = append(tx.changes, FeedEntry(&changes[i]))
	}
}

// runOnChange calls the function of the application, if the transaction has changes. The head row
// must be saved already: by it, runOnChange recognizes that the transaction goes on.
func (tx *Tx) runOnChange(ctx context.Context, limit time.Duration) error {
	h := tx.db.hook
	if h == nil || len(tx.changes) == 0 {
		return nil
	}
	if err := tx.send(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx = context.WithValue(ctx, insideOnChange{}, true)
	app := newAppTx(ctx, tx)
	began := time.Now()
	err := h.call(ctx, app, tx.changes)
	switch doubtful := app.end(); {
	case err == nil && doubtful:
		err = tx.checkUnended(app)
	case err != nil && ctx.Err() == nil && mayBeOfOthers(err) && tx.checkUnended(app) == nil:
		err = ownFault{err}
	}
	h.measure(time.Since(began), err)
	if err != nil {
		return &mirror.OnChangeError{Err: err}
	}
	return nil
}

// ownFault is an error of the application that looks like one of the connection to the database,
// although the transaction goes on.
type ownFault struct{ error }

// Unwrap returns the application's error.
func (e ownFault) Unwrap() error { return e.error }

// mayBeOfOthers reports whether a transient error need not come from the database: the end of a
// text, or another network.
func mayBeOfOthers(err error) bool {
	var postgres interface{ SQLState() string }
	var sqlite interface{ Code() int }
	return IsTransient(err) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) &&
		!errors.As(err, &postgres) && !errors.As(err, &sqlite)
}

// ErrorText returns the text of an error of the application, also of one whose Error panics, such
// as a nil pointer that was returned as an error by mistake.
func ErrorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("an error of the type %T that has no text", err)
		}
	}()
	return err.Error()
}

// maxErrorText bounds what is logged of an error of the application.
const maxErrorText = 16 << 10

// withText returns an error whose Error does not panic, and is not longer than the log bears.
func withText(err error) (readable error) {
	defer func() {
		if recover() != nil {
			readable = errors.New(ErrorText(err))
		}
	}()
	if err == nil {
		return nil
	}
	if text := err.Error(); len(text) > maxErrorText {
		return shortError{err, strings.ToValidUTF8(text[:maxErrorText], "") + "…"}
	}
	return err
}

// shortError is an error with the beginning of its text.
type shortError struct {
	error

	text string
}

// Error returns the beginning of the text.
func (e shortError) Error() string { return e.text }

// Unwrap returns the error.
func (e shortError) Unwrap() error { return e.error }

// call runs the function in a goroutine of its own, so that one that waits forever holds up the
// mirror no longer than its time. While it has not returned, it is not called again.
func (h *hook) call(ctx context.Context, app *AppTx, changes []mirror.Change) error {
	if !h.running.CompareAndSwap(false, true) {
		return fmt.Errorf("an earlier call has not returned yet: %w", context.DeadlineExceeded)
	}
	ended := make(chan error, 1)
	go func() {
		err := errors.New("it ended its goroutine")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			h.running.Store(false)
			ended <- err
		}()
		err = withText(h.run(ctx, app, changes))
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		if err != nil {
			err = errors.Join(err, ctx.Err())
		}
		return err
	case <-time.After(hookGrace):
		return fmt.Errorf("it did not return in time: %w", ctx.Err())
	}
}

// checkUnended makes sure that the function has left the transaction as it must: neither ended nor,
// on Postgres, failed by a statement whose error it ignored.
func (tx *Tx) checkUnended(app *AppTx) error {
	rows, err := tx.query(tx.ctx, selectHead)
	heads, err := scanAll(rows, err, scanHead)
	head, err := exactlyOne(heads, err)
	switch {
	case err != nil && app.failed != nil:
		return fmt.Errorf("it ignored the error of a statement: %w", app.failed)
	case err != nil:
		return err
	case head.Writes != tx.Head.Writes:
		return errors.New("a statement of it ended the transaction")
	}
	return nil
}

// errTxEnded is the error of an AppTx after its call.
var errTxEnded = fmt.Errorf("the Tx of OnChange cannot be used after the function has returned: %w", sql.ErrTxDone)
