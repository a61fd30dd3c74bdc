package clerksync_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

const (
	killDatabase = "CLERKSYNC_TEST_KILL_DATABASE" // makes this binary the server of TestOnChangeUnderKill
	killFirst    = "CLERKSYNC_TEST_KILL_FIRST"    // the number of its first event
	killSecret   = "whsec_plJ3nmyCDGBKInavdOK15jsl"
)

func TestMain(m *testing.M) {
	if database := os.Getenv(killDatabase); database != "" {
		fmt.Fprintln(os.Stdout, serveUntilKilled(database, os.Getenv(killFirst)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serveUntilKilled applies events with an OnChange, from several senders, until the process is
// killed. It prints a line for each event that was answered.
func serveUntilKilled(database, first string) error {
	var db clerksync.DB
	var err error
	if path, file := strings.CutPrefix(database, "sqlite:"); file {
		db, err = sqlite.Open(path)
	} else {
		db, err = postgres.Open(database)
	}
	if err != nil {
		return err
	}
	m, err := clerksync.New(context.Background(), db, clerksync.Config{
		WebhookSecrets: []string{killSecret},
		OnChange: func(ctx context.Context, tx *clerksync.Tx, changes []mirror.Change) error {
			for _, c := range changes {
				if _, err := tx.Exec(ctx, "INSERT INTO app (cursor, id) VALUES ($1, $2)", string(c.Cursor), c.ID); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	signer, err := webhook.NewSigner(killSecret)
	if err != nil {
		return err
	}
	var next atomic.Int64
	start, err := strconv.ParseInt(first, 10, 64)
	next.Store(start)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				if err := sendEvent(m, signer, next.Add(1)); err != nil {
					failed <- err
				}
				fmt.Fprintln(os.Stdout, "answered")
			}
		}()
	}
	return <-failed
}

// sendEvent delivers an event about one of a hundred users.
func sendEvent(m *clerksync.Mirror, signer *webhook.Signer, n int64) error {
	body := fmt.Appendf(nil, `{"type":"user.updated","timestamp":%d,"data":{"id":"user_%d","first_name":"N%[1]d","updated_at":%[1]d}}`, 1780000000000+n, n%100)
	r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", bytes.NewReader(body))
	r.Header = signer.Sign("msg_"+strconv.FormatInt(n, 10), time.Now(), body)
	w := httptest.NewRecorder()
	m.WebhookHandler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Errorf("event %d: %d %s", n, w.Code, w.Body)
	}
	return nil
}

// A process that is killed under load again and again leaves the application's table equal to the
// change feed: no change is lost, and none is there twice.
func TestOnChangeUnderKill(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		d.Open(t)
		raw := d.SQL(t)
		if _, err := raw.ExecContext(t.Context(), "CREATE TABLE app (cursor TEXT NOT NULL, id TEXT NOT NULL)"); err != nil {
			t.Fatal(err)
		}
		const kills = 8
		answered := 0
		for i := range kills {
			answered += liveAndDie(t, d, i)
		}
		var changes, copies, equal int
		const text = `SELECT (SELECT count(*) FROM clerk_changes), (SELECT count(*) FROM app),
			(SELECT count(*) FROM clerk_changes c JOIN app a ON a.cursor = CAST(c.seq AS TEXT) || '-' || c.tag AND a.id = c.id)`
		if err := raw.QueryRowContext(t.Context(), text).Scan(&changes, &copies, &equal); err != nil {
			t.Fatal(err)
		}
		if changes != copies || changes != equal {
			t.Errorf("%d changes, %d rows of the application, %d of them equal", changes, copies, equal)
		}
		if changes < 20*kills || answered < 10*kills {
			t.Errorf("only %d changes and %d answers in %d lives: nothing was tested", changes, answered, kills)
		}
	})
}

// liveAndDie runs the server until it has answered some events, and kills it in the midst of
// others.
func liveAndDie(t *testing.T, d *testkit.Database, life int) (answered int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), killDatabase+"="+d.URL(), killFirst+"="+strconv.Itoa(life*1_000_000))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for want := 10 + life*5; answered < want && lines.Scan(); answered++ {
		if lines.Text() != "answered" {
			t.Fatalf("the server says: %s", lines.Text())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	return answered
}
