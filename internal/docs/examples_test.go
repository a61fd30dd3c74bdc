package docs

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// examples/deals is a module of its own, whose tests run on SQLite (make test). Here they run on
// Postgres, too.
func TestDealsExampleOnPostgres(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-C", filepath.Join("examples", "deals"), "./...")
	cmd.Dir = testenv.Root(t)
	cmd.Env = append(os.Environ(), "DEALS_TEST_POSTGRES="+testenv.Postgres(t))
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// The line that its README shows works: it builds the demo, which says what to try, and ends in
// order.
func TestDealsExampleRuns(t *testing.T) {
	t.Parallel()
	const line = "go run -C examples/deals ."
	if readme := string(testenv.Fixture(t, "examples/deals/README.md")); !strings.Contains(readme, "\n    "+line+"\n") {
		t.Errorf("the README does not show %s", line)
	}
	binary := filepath.Join(t.TempDir(), "deals") // go run would not pass the signal on
	goTool(t, "build", "-C", "examples/deals", "-o", binary, ".")
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), "PORT=0", "CLERK_SECRET_KEY=", "DATABASE_URL=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(first, "Deals runs with an emulated Clerk (http://127.0.0.1:") {
		t.Errorf("the first line is %q, %v", first, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
