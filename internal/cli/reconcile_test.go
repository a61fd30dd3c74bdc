package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// bench is an emulated Clerk, and an environment for commands that mirror it.
type bench struct {
	*testing.T
	e        *emulator.Emulator
	database string
	environ  []string
}

func newBench(t *testing.T, options emulator.Options) *bench {
	t.Helper()
	e, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	database := filepath.Join(t.TempDir(), "clerk.db")
	return &bench{t, e, database, []string{
		"DATABASE_URL=sqlite:" + database, "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL,
		"CLERK_ISSUER=" + keys.Issuer, "CLERKSYNC_LOG_LEVEL=error", "CLERKSYNC_API_BUDGET=100%",
	}}
}

func (b *bench) call(method, path string, in, out any) {
	b.Helper()
	if err := b.e.Call(b.Context(), method, path, in, out); err != nil {
		b.Fatal(err)
	}
}

// expect runs a command, and fails unless it ends with the exit code and says that on stdout.
func (b *bench) expect(code int, says string, args ...string) (out, told string) {
	b.Helper()
	var stdout, stderr bytes.Buffer
	if got := Main(args, b.environ, &stdout, &stderr); got != code || !strings.Contains(stdout.String(), says) {
		b.Errorf("%v: exit code %d, %s%s", args, got, &stdout, &stderr)
	}
	return stdout.String(), stderr.String()
}

// The exit codes of the contract, and what goes where.
func TestBackfillAndReconcileCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{Users: 30, Organizations: 3, Memberships: 30})
	change := func() string {
		var list []struct{ ID string }
		b.call("GET", "/v1/users?limit=1", nil, &list)
		b.call("PATCH", "/v1/users/"+list[0].ID, map[string]any{"first_name": time.Now().String()}, nil)
		return list[0].ID
	}
	if _, told := b.expect(0, "", "backfill"); !strings.Contains(told, "user: 30 of 30 rows") {
		t.Errorf("backfill: %s", told)
	}
	b.expect(0, "organization_membership", "reconcile")
	change()
	b.expect(4, `"dry_run":true`, "reconcile", "--dry-run", "--json", "--kind", "user")
	b.expect(3, "first_name", "reconcile")
	b.expect(0, "", "reconcile")
	b.expect(0, "session", "reconcile", "--kind", "session")
	b.expect(1, "", "reconcile", "--kind", "subscription")
	b.expect(2, "", "reconcile", "--no-such-flag")
	b.expect(2, "", "reconcile", "--since", "yesterday")
	id := change()
	b.expect(0, `"since":"2100-01-01T00:00:00.000Z"`, "reconcile", "--kind", "user", "--json", "--since", "2100-01-01T00:00:00Z")
	b.expect(3, id, "reconcile", "--kind", "user", "--since", "1h")
	b.expect(1, "", "reconcile", "--kind", "user", "--accept-regression", id)

	var list struct{ Data []mirror.Drift }
	out, _ := b.expect(0, "", "drift", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Data) != 2 || list.Data[0].ID != id || !list.Data[0].Repaired {
		t.Errorf("drift: %s, %v", out, err)
	}
	b.expect(0, id+"  not_subscribed  repaired", "drift", "--limit", "1", "--since", "1h")
	b.expect(0, `{"data":[],"next_cursor":null}`, "drift", "--kind", "role", "--json")
	b.expect(2, "", "drift", "--kind", "rolle")
}

// Two runs, ten minutes apart, have to miss a domain. The only one of its kind wants a person's
// word besides.
func TestReconcileDomains(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{Users: 3, Organizations: 1})
	var organizations struct{ Data []struct{ ID string } }
	b.call("GET", "/v1/organizations", nil, &organizations)
	domains := "/v1/organizations/" + organizations.Data[0].ID + "/domains"
	var ids []string
	for _, name := range []string{"one.example", "two.example"} {
		var d struct{ ID string }
		b.call("POST", domains, map[string]any{"name": name}, &d)
		ids = append(ids, d.ID)
	}
	b.expect(0, "", "backfill")
	only := []string{"reconcile", "--kind", "organization_domain"}
	b.call("DELETE", domains+"/"+ids[0], nil, nil)
	b.expect(4, ids[0], only...)
	b.expect(4, ids[0], only...) // too early
	b.tenMinutesLater()
	b.expect(3, ids[0], only...)
	b.expect(0, "", only...)
	b.call("DELETE", domains+"/"+ids[1], nil, nil)
	for range 2 {
		if _, told := b.expect(4, ids[1], only...); !strings.Contains(told, "--allow-mass-delete") {
			t.Errorf("the last one: %s", told)
		}
		b.tenMinutesLater()
	}
	only = append(only, "--allow-mass-delete")
	b.expect(4, ids[1], only...)
	b.tenMinutesLater()
	b.expect(3, ids[1], only...)
}

// tenMinutesLater makes everything that must be confirmed ten minutes older.
func (b *bench) tenMinutesLater() {
	b.Helper()
	db, err := sqlite.Open(b.database)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(b.Context(), func(tx *store.Tx) error {
		all, err := db.Suspects(b.Context(), clerk.TimeOf(time.Now()))
		for _, s := range all {
			s.DueAt -= clerk.Time((10 * time.Minute).Milliseconds())
			err = errors.Join(err, tx.SaveSuspects(b.Context(), s))
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// More missing users than are believed end the command at once: it deletes nothing, and waits for
// nothing.
func TestReconcileRefusesMassDeletion(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{Users: 40})
	b.expect(0, "", "backfill")
	var list []struct{ ID string }
	b.call("GET", "/v1/users?limit=12", nil, &list)
	for _, user := range list {
		b.call("DELETE", "/v1/users/"+user.ID, nil, nil)
	}
	began := time.Now()
	if _, told := b.expect(4, `"drift_repaired":0`, "reconcile", "--json"); !strings.Contains(told, "12 of 40") || time.Since(began) > 50*time.Second {
		t.Errorf("after %s: %s", time.Since(began), told)
	}
}

// Run fills an empty mirror itself, unless that is disabled.
func TestServeBackfills(t *testing.T) {
	t.Parallel()
	cfg, _, err := config.Load(config.Options{Environ: newBench(t, emulator.Options{Users: 30}).environ})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, mirrorConfig(cfg, slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) { //nolint:forbidigo // no signal tells it, and its Clerk is asked by HTTP
		status, err := m.Sync().Status(t.Context())
		if err != nil || time.Now().After(end) {
			t.Fatal(errors.Join(err, errors.New("no backfill")))
		}
		if status.Backfilled && status.Kinds[0].Rows == 30 && !status.Kinds[0].OldestVerifiedAt.IsZero() && status.Kinds[0].Walk.Complete {
			return
		}
	}
}
