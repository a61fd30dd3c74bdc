package debian_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
)

// The script works, and runs each line that the documents show.
func TestFromAnEmptyDebianToProduction(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") == "" {
		t.Skip("it makes a Debian in a folder and starts its systemd, which only root can do")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./run.sh")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it cleans up
	cmd.WaitDelay = time.Minute
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
	for _, pattern := range []string{"/sys/fs/cgroup/clerksync-debian-%d", "/sys/fs/cgroup/*/clerksync-debian-%d"} {
		if left, _ := filepath.Glob(fmt.Sprintf(pattern, cmd.Process.Pid)); len(left) > 0 {
			t.Errorf("the Debian still runs: %v", left)
		}
	}
	run := map[string]bool{}
	for line := range strings.Lines(string(output)) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			run[strings.TrimSpace(command)] = true
		}
	}
	documented := documentedLines(t)
	if len(documented) < 8 {
		t.Errorf("the documents show too little: %q", documented)
	}
	for line, where := range documented {
		if !run[line] {
			t.Errorf("%s shows a line that the script does not run: %s", where, line)
		}
	}
}

// documentedLines returns the commands of the sections on Debian, without what differs from person
// to person: sudo, comments, the values of secrets. The script builds the packages in its own way.
func documentedLines(t *testing.T) map[string]string {
	t.Helper()
	lines := map[string]string{}
	for file, bounds := range map[string][2]string{
		"README.md":          {"On Debian, as a service", "To use the library"},
		"docs/operations.md": {"### On Debian with systemd", "### Can another user"},
	} {
		_, section, ok := strings.Cut(string(testenv.Fixture(t, filepath.FromSlash(file))), bounds[0])
		section, _, ended := strings.Cut(section, "\n"+bounds[1])
		if !ok || !ended {
			t.Fatalf("%s has no section %q", file, bounds[0])
		}
		for line := range strings.Lines(section) {
			line, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
			line, _, _ = strings.Cut(line, "    # ")
			line = regexp.MustCompile(`^echo '[a-z]+_.*…' \| `).ReplaceAllString(line, "")
			line = strings.TrimPrefix(line, "sudo ")
			if indented && line != "make packages" {
				lines[line] = file
			}
		}
	}
	return lines
}
