package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// litestream returns the path of Litestream.
func litestream(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "litestream", "node_modules", "@flydotio", "litestream-linux-x64", "litestream"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("npm has Litestream for amd64 alone")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; make setup installs it", err)
	}
	return path
}

// A server runs below Litestream as docs/operations.md shows. Its file is lost, and what Litestream
// restores has everything.
func TestLitestreamRestoresTheDatabase(t *testing.T) {
	t.Parallel()
	const setting, shown = "CLERKSYNC_SQLITE_CHECKPOINTS=external", `litestream replicate -exec "clerksync serve"`
	if document := string(testenv.Fixture(t, "docs/operations.md")); !strings.Contains(document, setting) || !strings.Contains(document, shown) {
		t.Errorf("docs/operations.md shows Litestream without %q or %q", setting, shown)
	}
	tool, folder := litestream(t), t.TempDir()
	c := newInstance(t, build(t), "sqlite", emulator.Options{Users: 40, Organizations: 4, Memberships: 50, NoChildEvents: true})
	path := strings.TrimPrefix(c.database, "sqlite:")
	configuration := filepath.Join(folder, "litestream.yml")
	c.must(os.WriteFile(configuration, fmt.Appendf(nil, "dbs:\n- path: %s\n  replicas:\n  - {type: file, path: %s, sync-interval: 200ms}\n",
		path, filepath.Join(folder, "replica")), 0o600))
	server := testenv.FreeAddress(t)
	serve, said := c.command()
	cmd := exec.Command(tool, "replicate", "-config", configuration, "-exec", c.binary+" serve --listen "+server+" --operator-listen off")
	cmd.Env, cmd.Stdout, cmd.Stderr = slices.Concat(serve.Env, []string{setting, "CLERKSYNC_API_LIMIT=1000000"}), said, said
	c.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	client := http.Client{Timeout: 5 * time.Second}
	replicating := func() bool {
		snapshots, _ := filepath.Glob(filepath.Join(folder, "replica", "generations", "*", "snapshots", "*"))
		response, err := client.Get("http://" + server + "/readyz") //nolint:noctx // the client has a timeout
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK && len(snapshots) > 0
	}
	for end := time.Now().Add(time.Minute); !replicating(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server is not ready, or Litestream has no snapshot")
		}
	}
	_, err := c.clerk.AddEndpoint(emulator.Target{URL: "http://" + server + "/api/webhooks/clerk"}, secret)
	c.must(err)
	c.change(60)
	c.must(c.clerk.Settle(t.Context()))
	c.must(cmd.Process.Signal(syscall.SIGTERM))
	if err := <-ended; !strings.Contains(said.String(), "litestream shut down") { // its exit code is 1 after a signal
		t.Fatalf("Litestream ends with %v", err)
	}

	restored := filepath.Join(folder, "restored.db")
	var output bytes.Buffer
	restore := exec.Command(tool, "restore", "-config", configuration, "-o", restored, path)
	restore.Stdout, restore.Stderr = &output, &output
	if err := restore.Run(); err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	c.database, c.open = "sqlite:"+restored, func() (*store.DB, error) { return sqlite.Open(restored) }
	if code, log := c.run("restore", "--check", restored); code != 0 {
		t.Errorf("restore --check ends with %d:\n%s", code, log)
	}
	c.equal()
}
