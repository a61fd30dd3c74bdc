package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// writeUser is a transaction with a change: it saves a user.
func writeUser(ctx context.Context, db *store.DB, id string) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		r := &row.Row{Key: row.Key{Kind: clerk.KindUser, ID: id}}
		r.SetBody(clerk.Value{}, "")
		return errors.Join(tx.SaveRows(ctx, []*row.Row{r}), tx.AppendChanges(ctx, []row.Change{r.Change(row.OpCreated, nil)}))
	})
}

// withTable makes a table of the application.
func withTable(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Exec(t.Context(), "CREATE TABLE app (cursor TEXT PRIMARY KEY, id TEXT NOT NULL)"); err != nil {
		t.Fatal(err)
	}
}

// appRows returns the rows of the application's table, and the users of the mirror. It replaces the
// OnChange of the database by one that reads and then fails.
func appRows(t *testing.T, db *store.DB) (rows, users []string) {
	t.Helper()
	read := func(ctx context.Context, tx *store.AppTx, text string) (all []string) {
		found, err := tx.Query(ctx, text)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer found.Close()
		for found.Next() {
			var id string
			if err := found.Scan(&id); err != nil {
				t.Error(err)
			}
			all = append(all, id)
		}
		if err := found.Err(); err != nil {
			t.Error(err)
		}
		return all
	}
	done := errors.New("done")
	db.SetOnChange(func(ctx context.Context, tx *store.AppTx, _ []mirror.Change) error {
		rows = read(ctx, tx, "SELECT id FROM app ORDER BY cursor")
		users = read(ctx, tx, "SELECT clerk_user_id FROM clerk_users WHERE clerk_user_id <> 'reader' ORDER BY clerk_user_id")
		return done
	}, nil)
	if err := writeUser(t.Context(), db, "reader"); !errors.Is(err, done) {
		t.Fatal(err)
	}
	return rows, users
}

// copyOnly is an OnChange that copies the feed, without queries.
func copyOnly(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
	for _, c := range changes {
		if _, err := tx.Exec(ctx, "INSERT INTO app (cursor, id) VALUES ($1, $2)", string(c.Cursor), c.ID); err != nil {
			return err
		}
	}
	return nil
}

// copyChanges is an OnChange that copies the feed, and checks that the live view has the new rows.
func copyChanges(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
	for _, c := range changes {
		var found int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM clerk_users_live WHERE clerk_user_id = $1", c.ID).Scan(&found); err != nil || found != 1 {
			return errors.Join(errors.New("the live view lacks the row"), err)
		}
		// $2 before $1, and $1 twice
		if _, err := tx.Exec(ctx, "INSERT INTO app (id, cursor) SELECT $2, $1 WHERE $1 <> ''", string(c.Cursor), c.ID); err != nil {
			return err
		}
	}
	return nil
}

func onChangeAlways(t *testing.T, db *store.DB) {
	withTable(t, db)
	calls, measured := 0, 0
	db.SetOnChange(func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
		calls++
		return copyChanges(ctx, tx, changes)
	}, func(took time.Duration, err error) {
		if measured++; took <= 0 || err != nil {
			t.Errorf("measured %s, %v", took, err)
		}
	})
	ctx := t.Context()
	for _, id := range []string{"user_1", "user_2"} {
		if err := writeUser(ctx, db, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Update(ctx, func(tx *store.Tx) error { return tx.SetMeta(ctx, "x", "y") }); err != nil { // no change
		t.Fatal(err)
	}
	if err := db.View(ctx, func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if calls != 2 || measured != 2 {
		t.Errorf("%d calls, %d measured, for two transactions with changes", calls, measured)
	}
	if rows, users := appRows(t, db); !cmp.Equal(rows, []string{"user_1", "user_2"}) || !cmp.Equal(rows, users) {
		t.Errorf("the application has %v, the mirror %v", rows, users)
	}
	feed, err := db.ChangesFrom(ctx, 1, 10)
	if err != nil || len(feed) != 2 || feed[1].Seq != 2 {
		t.Errorf("the feed is %+v, %v", feed, err)
	}
}

func onChangeFails(t *testing.T, db *store.DB) {
	withTable(t, db)
	ctx, boom := t.Context(), errors.New("boom\nsecond line")
	for name, c := range map[string]struct {
		run     func(context.Context, *store.AppTx) error
		problem string
		engine  store.Engine // "" for both
	}{
		"an error": {func(context.Context, *store.AppTx) error { return boom }, "boom", ""},
		"a panic":  {func(context.Context, *store.AppTx) error { panic("in OnChange") }, "panic: in OnChange", ""},
		"a Goexit": {func(context.Context, *store.AppTx) error { runtime.Goexit(); return nil }, "it ended its goroutine", ""},
		"a long error": {func(context.Context, *store.AppTx) error {
			return fmt.Errorf("%s%w", strings.Repeat("long ", 200_000), boom)
		}, "long ", ""},
		"an error that is nil": {func(context.Context, *store.AppTx) error { return (*noError)(nil) }, "an error of the type *storetest.noError", ""},
		"an end of its own":    {func(context.Context, *store.AppTx) error { return fmt.Errorf("read the plans: %w", io.EOF) }, "read the plans: EOF", ""},
		"a network of its own": {func(context.Context, *store.AppTx) error { return &net.OpError{Op: "dial", Err: errors.New("refused")} }, "dial: refused", ""},
		"an ignored error": {func(ctx context.Context, tx *store.AppTx) error {
			_, _ = tx.Exec(ctx, "INSERT INTO nowhere VALUES (1)")
			_, _ = tx.Exec(ctx, "SELECT 1")
			return nil
		}, "it ignored the error of a statement: ", store.Postgres},
		"an ignored error of a row": {func(ctx context.Context, tx *store.AppTx) error {
			const text = "INSERT INTO app VALUES ('x', 'x'), ('x', 'x') RETURNING id"
			_ = tx.QueryRow(ctx, text).Scan(new(string))
			return nil
		}, "", store.Postgres},
		"a rolled back transaction": {func(ctx context.Context, tx *store.AppTx) error {
			if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE strict (x INTEGER UNIQUE ON CONFLICT ROLLBACK)"); err != nil {
				return err
			}
			_, _ = tx.Exec(ctx, "INSERT INTO strict VALUES (1), (1)")
			return nil
		}, "a statement of it ended the transaction", store.SQLite},
	} {
		if c.engine != "" && c.engine != db.Engine() {
			continue
		}
		db.SetOnChange(func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
			if err := copyOnly(ctx, tx, changes); err != nil {
				return err
			}
			return c.run(ctx, tx)
		}, nil)
		err := writeUser(ctx, db, "user_1")
		if n := len(fmt.Sprint(err)); n > 20_000 || name == "a long error" && !errors.Is(err, boom) {
			t.Errorf("%s: the text has %d bytes", name, n)
		}
		failed, ok := errors.AsType[*mirror.OnChangeError](err)
		if !ok || !strings.HasPrefix(failed.Problem(), c.problem) || store.IsTransient(err) {
			t.Errorf("%s: %v", name, err)
		}
		if rows, users := appRows(t, db); len(rows)+len(users) > 0 {
			t.Errorf("%s left %v and %v", name, rows, users)
		}
	}
	db.SetOnChange(copyChanges, nil)
	if err := writeUser(ctx, db, "user_1"); err != nil {
		t.Fatal(err)
	}
	if head, err := db.Head(ctx); err != nil || head.Seq != 1 {
		t.Errorf("the head is %+v, %v: a failed transaction took a number", head, err)
	}
}

// noError is a type whose nil pointer is an error by mistake.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

func onChangeSQL(t *testing.T, db *store.DB) {
	withTable(t, db)
	ctx := t.Context()
	db.SetOnChange(func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
		for _, text := range []string{
			"COMMIT", " commit ;", "/* x */ END", "-- x\nROLLBACK", "BEGIN", "START TRANSACTION", "ABORT", "ROLLBACK WORK", "PREPARE TRANSACTION 'x'",
			"SELECT 1; COMMIT", ";;COMMIT",
		} {
			if _, err := tx.Exec(ctx, text); err == nil || !strings.Contains(err.Error(), "not allowed inside OnChange") {
				return errors.New(text + " was not refused")
			}
			if err := tx.QueryRow(ctx, text).Scan(new(int)); err == nil || !strings.Contains(err.Error(), "not allowed inside OnChange") {
				return errors.Join(errors.New(text+" was not refused as a query"), err)
			}
		}
		for _, text := range []string{"SAVEPOINT mine", "INSERT INTO app VALUES ('x', 'x')", "ROLLBACK TO SAVEPOINT mine", "RELEASE mine"} {
			if _, err := tx.Exec(ctx, text); err != nil {
				return err
			}
		}
		return copyChanges(ctx, tx, changes)
	}, nil)
	if err := writeUser(ctx, db, "user_1"); err != nil {
		t.Fatal(err)
	}
	if rows, users := appRows(t, db); !cmp.Equal(rows, users) || len(rows) != 1 {
		t.Errorf("the application has %v, the mirror %v", rows, users)
	}
}

func onChangeEnds(t *testing.T, db *store.DB) {
	withTable(t, db)
	var kept *store.AppTx
	var open *sql.Rows
	var inner context.Context
	db.SetOnChange(func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) (err error) {
		kept, inner = tx, ctx
		if err := copyChanges(ctx, tx, changes); err != nil {
			return err
		}
		_ = tx.QueryRow(ctx, "SELECT 1") // never scanned
		if db.Engine() == store.Postgres {
			return nil // one result at a time
		}
		open, err = tx.Query(ctx, "SELECT id FROM app") //nolint:rowserrcheck,sqlclosecheck // it is left open
		return err
	}, nil)
	if err := writeUser(t.Context(), db, "user_1"); err != nil {
		t.Fatal(err)
	}
	if open != nil && open.Next() {
		t.Error("rows can be read after the transaction")
	}
	for _, ctx := range []context.Context{t.Context(), context.WithoutCancel(inner)} {
		_, err := kept.Exec(ctx, "DELETE FROM app")
		_, err2 := kept.Query(ctx, "SELECT 1") //nolint:rowserrcheck,sqlclosecheck // there are none
		err3 := kept.QueryRow(ctx, "SELECT 1").Scan(new(int))
		if !errors.Is(err, sql.ErrTxDone) || !errors.Is(err2, sql.ErrTxDone) || !errors.Is(err3, sql.ErrTxDone) {
			t.Errorf("after OnChange: %v, %v, %v", err, err2, err3)
		}
	}
	if rows, _ := appRows(t, db); len(rows) != 1 {
		t.Errorf("the application has %v", rows)
	}
}

func onChangeHangs(t *testing.T, db *store.DB) {
	withTable(t, db)
	db.LimitUpdates(100 * time.Millisecond)
	release, returned := make(chan struct{}), make(chan error, 1)
	db.SetOnChange(func(ctx context.Context, tx *store.AppTx, _ []mirror.Change) error {
		<-release // it does not look at its context
		_, err := tx.Exec(context.WithoutCancel(ctx), "INSERT INTO app VALUES ('late', 'late')")
		returned <- err
		return err
	}, nil)
	for range 2 { // the second time it is not even called
		if err := writeUser(t.Context(), db, "user_1"); !errors.Is(err, context.DeadlineExceeded) || !store.IsTransient(err) {
			t.Errorf("a call that hangs: %v", err)
		}
	}
	close(release)
	if err := <-returned; !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("a statement after the transaction: %v", err)
	}
	db.SetOnChange(func(ctx context.Context, _ *store.AppTx, _ []mirror.Change) error { <-ctx.Done(); return ctx.Err() }, nil)
	if err := writeUser(t.Context(), db, "user_1"); !errors.Is(err, context.DeadlineExceeded) || !store.IsTransient(err) {
		t.Errorf("a call that waits for its context: %v", err)
	}
	db.LimitUpdates(10 * time.Second)
	db.SetOnChange(copyChanges, nil)
	if err := writeUser(t.Context(), db, "user_1"); err != nil {
		t.Fatal(err)
	}
	if rows, users := appRows(t, db); !cmp.Equal(rows, users) || len(rows) != 1 {
		t.Errorf("the application has %v, the mirror %v", rows, users)
	}
}

func onChangeInside(t *testing.T, db *store.DB) {
	withTable(t, db)
	db.SetOnChange(func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
		if err := writeUser(ctx, db, "user_2"); !errors.Is(err, mirror.ErrInsideOnChange) {
			return errors.Join(errors.New("a transaction began inside"), err)
		}
		now := clerk.TimeOf(time.Now())
		_, err := db.RetryParked(ctx, "mail", nil, mirror.By{}, now)
		_, err2 := db.DropParked(ctx, "mail", nil, mirror.By{}, now)
		for _, err := range []error{
			err, err2, db.PauseConsumer(ctx, "mail", true, mirror.By{}, now), db.RewindConsumer(ctx, "mail", "", mirror.By{}, now),
			db.DeleteConsumer(ctx, "mail", mirror.By{}, now, nil),
			db.RegisterConsumer(ctx, "mail", "", false, now), db.Migrate(ctx), db.RememberOnChange(ctx, true),
		} {
			if !errors.Is(err, mirror.ErrInsideOnChange) {
				return errors.Join(errors.New("a call would wait for the transaction that it runs in"), err)
			}
		}
		if err := db.ExtendLease(ctx, store.Lease{Name: "x"}, 0, time.Second); !errors.Is(err, mirror.ErrInsideOnChange) {
			return errors.Join(errors.New("a transaction without the head began inside"), err)
		}
		read := func(context.Context) error { _, err := db.Head(ctx); return err }
		if err := db.Snapshot(ctx, read); err != nil && !errors.Is(err, mirror.ErrInsideOnChange) { // one in memory has no other connection
			return err
		}
		return copyChanges(ctx, tx, changes)
	}, nil)
	if err := writeUser(t.Context(), db, "user_1"); err != nil {
		t.Fatal(err)
	}
}

func onChangeRefused(t *testing.T, db *store.DB) {
	ctx := t.Context()
	check := func(want store.Refused) {
		t.Helper()
		got, err := db.Refused(ctx)
		if got.Last.At = 0; err != nil || got != want {
			t.Errorf("refused are %+v, %v; want %+v", got, err, want)
		}
	}
	check(store.Refused{})
	if err := db.NoteRefusedErasures(ctx, 0, ""); err != nil {
		t.Fatal(err)
	}
	err := db.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(
			tx.SaveInbox(ctx, []store.Delivery{
				{MessageID: "msg_1", State: mirror.DeliveryDead, Reason: "hook_failed", Problem: "no plan"},
				{MessageID: "msg_2", State: mirror.DeliveryDead, Reason: "error"},
				{MessageID: "msg_3", State: mirror.DeliveryDismissed, Reason: "hook_failed"},
			}),
			tx.SaveSuspects(ctx, store.Suspect{Key: row.Key{Kind: clerk.KindUser, ID: "user_1"}, Reason: store.SuspectHook}),
			tx.NoteRefusal(ctx, "no plan"))
	})
	if err != nil {
		t.Fatal(err)
	}
	check(store.Refused{DeadLetters: 1, Objects: 1, Last: store.LastRefusal{Problem: "no plan"}})
	for _, users := range []int{2, 0} {
		if err := db.NoteRefusedErasures(ctx, users, "no erasure"); err != nil {
			t.Fatal(err)
		}
		check(store.Refused{DeadLetters: 1, Objects: 1, Last: store.LastRefusal{Problem: "no erasure", Erasures: int64(users)}})
	}
	d, err := db.Delivery(ctx, "msg_1")
	if err != nil || d.Record().Problem != "no plan" {
		t.Errorf("the dead letter is %+v, %v", d, err)
	}
}
