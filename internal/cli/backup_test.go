package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/sqlite"
)

// ran runs a command line and returns its exit code and both outputs.
func ran(database, arguments string) (code int, stdout, stderr string) {
	var out, messages bytes.Buffer
	code = Main(strings.Fields(arguments), []string{"DATABASE_URL=" + database}, &out, &messages)
	return code, out.String(), messages.String()
}

func TestBackupAndRestoreCommands(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	url, copied := "sqlite:"+at("clerk.db"), at("copy.db")
	if err := os.WriteFile(at("other"), []byte("no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		database, arguments string
		code                int
		says                []string
	}{
		{url, "backup " + copied, 1, []string{"does not exist", "Check DATABASE_URL"}},
		{url, "migrate", 0, []string{"is up to date"}},
		{url, "backup " + copied, 0, []string{"copy.db: ", "verified", "schema        1", "personal data", "restore --check"}},
		{url, "backup " + copied, 1, []string{"the file exists", "--force"}},
		{url, "backup --force " + copied, 0, []string{"verified"}},
		{url, "backup --force " + at("clerk.db"), 1, []string{"the database itself"}},
		{url, "restore --check " + copied, 0, []string{"whole", "A restore loses for good: 0 deliveries", "clerksync restore --force " + copied}},
		{url, "restore --check " + at("other"), 1, []string{"damaged", "must not be restored"}},
		{url, "restore --check " + at("none"), 1, []string{"does not exist", "Check the path"}},
		{url, "restore " + copied, 1, []string{"the file exists", "--force"}},
		{url, "restore --force " + copied, 0, []string{"restored from", "is kept as", "before-restore-", "clerksync serve"}},
		{"sqlite:" + at("fresh.db"), "restore --check " + copied, 0, []string{"There is no mirror at", "clerksync restore " + copied}},
		{"sqlite:" + at("fresh.db"), "restore " + copied, 0, []string{"restored from"}},
		{"sqlite::memory:", "backup " + at("x"), 1, []string{"in memory"}},
		{"sqlite::memory:", "restore " + copied, 1, []string{"in memory"}},
		{"postgres://db/clerk", "backup " + at("x"), 1, []string{"pg_dump --format=custom", "pg_restore", "No backup was made"}},
		{"postgres://db/clerk", "restore " + copied, 1, []string{"pg_restore", "Nothing was restored"}},
		{url, "backup", 2, []string{"<file>"}},
	} {
		code, stdout, stderr := ran(c.database, c.arguments)
		for _, text := range c.says {
			if code != c.code || !strings.Contains(stdout+stderr, text) {
				t.Errorf("%s: exit code %d, want %d and %q\n%s%s", c.arguments, code, c.code, text, stdout, stderr)
			}
		}
	}
	var b struct {
		File   string `json:"file"`
		Schema int    `json:"schema"`
	}
	if code, stdout, _ := ran(url, "backup --json "+at("json.db")); code != 0 || json.Unmarshal([]byte(stdout), &b) != nil || b.Schema != 1 || b.File != at("json.db") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	server, err := sqlite.Open(at("clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if code, _, stderr := ran(url, "restore --force "+copied); code != 1 || !strings.Contains(stderr, "Stop the server") {
		t.Errorf("under a server: exit code %d, %s", code, stderr)
	}
}

// What the command prints for Postgres copies the database and restores it.
func TestPostgresBackupAsItIsPrinted(t *testing.T) {
	t.Parallel()
	from, to := testenv.Postgres(t), testenv.Postgres(t)
	if code, stdout, stderr := ran(from, "migrate"); code != 0 {
		t.Fatal(stdout, stderr)
	}
	if code, stdout, stderr := ran(from, "operators add ada"); code != 0 {
		t.Fatal(stdout, stderr)
	}
	_, _, printed := ran(from, "backup clerksync.dump")
	folder, run := t.TempDir(), 0
	for line := range strings.Lines(printed) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "pg_") {
			continue
		}
		run++
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "DATABASE_URL="+map[bool]string{true: from, false: to}[strings.HasPrefix(line, "pg_dump")])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if code, stdout, stderr := ran(to, "operators list"); run != 2 || code != 0 || !strings.Contains(stdout, "ada") {
		t.Errorf("after %d commands: %s%s", run, stdout, stderr)
	}
}
