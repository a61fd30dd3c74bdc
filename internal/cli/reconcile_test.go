package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/emulator"
)

// The exit codes of the contract, and what goes where.
func TestBackfillAndReconcileCommands(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Users: 30, Organizations: 3, Memberships: 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	environ := []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL,
		"CLERK_ISSUER=" + keys.Issuer, "CLERKSYNC_LOG_LEVEL=error", "CLERKSYNC_API_BUDGET=100%",
	}
	run := func(args ...string) (code int, out, told string) {
		var stdout, stderr bytes.Buffer
		code = Main(args, environ, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	change := func() {
		var list []struct{ ID string }
		err := e.Call(t.Context(), "GET", "/v1/users?limit=1", nil, &list)
		if err == nil {
			err = e.Call(t.Context(), "PATCH", "/v1/users/"+list[0].ID, map[string]any{"first_name": time.Now().String()}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want int, says string, args ...string) {
		t.Helper()
		if code, out, told := run(args...); code != want || !strings.Contains(out, says) {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, told)
		}
	}
	if code, _, told := run("backfill"); code != 0 || !strings.Contains(told, "user: 30 of 30 rows") {
		t.Errorf("backfill: exit code %d, %s", code, told)
	}
	expect(0, "organization_membership", "reconcile")
	change()
	expect(4, `"dry_run":true`, "reconcile", "--dry-run", "--json", "--kind", "user")
	expect(3, "first_name", "reconcile")
	expect(0, "", "reconcile")
	expect(1, "", "reconcile", "--kind", "session")
	expect(2, "", "reconcile", "--no-such-flag")
}

// Run fills an empty mirror by itself, unless told not to.
func TestServeBackfills(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Users: 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	config, _, err := Load(LoadOptions{Environ: []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL,
		"CLERK_ISSUER=" + keys.Issuer,
	}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, mirrorConfig(config, slog.New(slog.NewTextHandler(io.Discard, nil))))
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
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status, err := m.Sync().Status(t.Context())
		if err != nil || time.Now().After(end) {
			t.Fatal(errors.Join(err, errors.New("no backfill")))
		}
		if status.Backfilled && status.Kinds[0].Rows == 30 && status.Kinds[0].OldestVerifiedAt != 0 && status.Kinds[0].Walk.Complete {
			return
		}
	}
}
