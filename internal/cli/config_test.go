package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clerksync/clerksync/internal/config"
)

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte("clerk_secret_key: sk_test_hidden\nclerksync_log_level: debug\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"DATABASE_URL=sqlite:" + filepath.Join(dir, "absent", "clerk.db"), "PORT=3000", "CLERKSYNC_OPERATOR_TOKEN=" + longText,
	}
	run := func(want int, environ []string, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, told bytes.Buffer
		if code := Main(append([]string{"config"}, args...), environ, &out, &told); code != want {
			t.Errorf("%v: exit code %d, want %d\n%s%s", args, code, want, &out, &told)
		}
		if text := out.String() + told.String(); strings.Contains(text, "hidden\"") || strings.Contains(text, "sk_test") || strings.Contains(text, longText) {
			t.Errorf("%v: a secret is shown\n%s", args, text)
		}
		return out.String(), told.String()
	}
	out, told := run(0, environ, "--config", file)
	for _, line := range []string{
		"  CLERK_SECRET_KEY          (hidden)  ← " + file + ":1\n",
		"  CLERKSYNC_LOG_LEVEL       debug  ← " + file + ":2\n",
		"  CLERKSYNC_LISTEN          :3000  ← environment (PORT)\n",
		"  CLERKSYNC_CONFIG          " + file + "  ← flag --config\n",
		"  CLERKSYNC_UNREADY         ask  ← derived from CLERK_SECRET_KEY\n",
		"\nDefaults:\n  CLERKSYNC_DATABASE_WAIT ", "\n  CLERKSYNC_SQLITE_SYNCHRONOUS             FULL\n",
		"\nWithout a value:\n  CLERKSYNC_READ_DATABASE_URL, ",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing:\n%s", line, out)
		}
	}
	if told != "" {
		t.Errorf("stderr: %s", told)
	}

	// Everything that is wrong is listed at once, with what is right.
	wrong := append([]string{"CLERKSYNC_JIT=on", "CLERKSYNC_LISTN=:1", "CLERKSYNC_ADMIN_ROLE=solo", "CLERKSYNC_OPERATOR_LISTEN=on"}, environ...)
	out, told = run(1, wrong, "--config", file)
	if !strings.Contains(out, "  CLERKSYNC_JIT              invalid  ← environment\n") || strings.Count(told, "error: ") != 3 ||
		strings.Count(told, "warning: ") != 1 {
		t.Errorf("%s\n%s", out, told)
	}
	out, told = run(1, wrong, "--config", file, "--json")
	var report config.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || told != "" {
		t.Fatal(err, told)
	}
	if len(report.Faults) != 3 || len(report.Warnings) != 1 || report.File != file || len(report.Settings) != len(config.Settings()) {
		t.Errorf("%+v", report)
	}
	// A file that cannot be read leaves what it may set unknown.
	out, _ = run(1, environ, "--config", filepath.Join(dir, "other.yaml"))
	if !strings.Contains(out, "unknown  ← the YAML file cannot be read\n") {
		t.Error(out)
	}
	if out, _ := run(0, environ, "--example"); out != config.Example() {
		t.Error(out)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("the command wrote something: %v %v", files, err)
	}
}

// On a terminal an origin that does not fit goes below its value.
func TestConfigFitsATerminal(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, config.Options{Environ: []string{
		"CLERKSYNC_UPGRADE_URL=https://example.com/pricing/and/a/path", "CLERKSYNC_JIT=off", "DATABASE_URL=sqlite::memory:", "CLERKSYNC_ROLES=a,b",
	}})
	var out strings.Builder
	printSettings(&out, cfg.Values(), 64)
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > 64 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	pad := strings.Repeat(" ", 2+21+2)
	if !strings.Contains(out.String(), "/a/path\n"+pad+"← environment\n") || !strings.Contains(out.String(), " off  ← environment\n") {
		t.Error(out.String())
	}
}
