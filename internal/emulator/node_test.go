package emulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
)

// nodeJudges is how many judges each file of testdata/node has at least. Clerk's own SDK for Node
// makes the calls; a file has an emulator of its own.
func nodeJudges() map[string]int {
	return map[string]int{
		"handshake.test.mjs": 2, "machines.test.mjs": 8, "mcp.test.mjs": 5, "organizations.test.mjs": 11, "others.test.mjs": 9, "policies.test.mjs": 3, "sessions.test.mjs": 10,
		"tokens.test.mjs": 16, "users.test.mjs": 15, "webhooks.test.mjs": 9,
	}
}

// Generous: all judges of a file take a second or two.
const nodeTimeout = 2 * time.Minute

func TestNodeSDK(t *testing.T) {
	t.Parallel()
	node := testenv.Node(t)
	folder := filepath.Join("testdata", "node")
	requirePackages(t, folder)
	files, err := filepath.Glob(filepath.Join(folder, "*.test.mjs"))
	if err != nil || len(files) != len(nodeJudges()) {
		t.Fatalf("%d files of judges, want %d: %v", len(files), len(nodeJudges()), err)
	}
	for file, least := range nodeJudges() {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			verdicts, failure := judge(t, node, folder, file)
			for _, v := range verdicts {
				t.Run(v.name, func(t *testing.T) {
					if v.complaint != "" {
						t.Error(v.complaint)
					}
				})
			}
			if failure != nil {
				t.Error(failure)
			}
			if len(verdicts) < least {
				t.Errorf("%d judges ran, want %d", len(verdicts), least)
			}
		})
	}
}

// judge runs one file of judges against a new emulator. The error tells of what no judge has told.
func judge(t *testing.T, node, folder, file string) ([]verdict, error) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	options := emulator.Options{}
	if file == "mcp.test.mjs" { // whose clients compare the issuer with the address
		options.Issuer = "http://" + server.Listener.Addr().String()
	}
	e, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server.Config.Handler = e
	server.Start()
	t.Cleanup(server.Close)
	receiver, url := socket(t) // Node listens on it, as file 3
	if _, err := e.AddEndpoint(emulator.Target{URL: url}, ""); err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(e.Keys(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), nodeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--test-reporter=tap", file)
	cmd.Dir = folder
	cmd.Env = append(cmd.Environ(), "EMULATOR="+string(keys), "CLERK_TELEMETRY_DISABLED=1", "NODE_NO_WARNINGS=1", "NODE_OPTIONS=")
	cmd.ExtraFiles = []*os.File{receiver}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	verdicts := parseTAP(out.String())
	failed := slices.ContainsFunc(verdicts, func(v verdict) bool { return v.complaint != "" })
	if ctx.Err() != nil || err != nil && !failed {
		return verdicts, fmt.Errorf("node %s: %w\n%s", file, errors.Join(err, ctx.Err()), &out)
	}
	return verdicts, nil
}

// socket is a listening socket, as a file for another process, and its address.
func socket(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, "http://" + l.Addr().String() + "/webhooks"
}

// verdict is what a judge said; an empty complaint is a pass.
type verdict struct{ name, complaint string }

var tapLine = regexp.MustCompile(`^(not )?ok \d+ - (.*?)( # (?:SKIP|TODO).*)?$`)

// parseTAP reads the judges' own lines; what is indented beneath them belongs to a complaint.
func parseTAP(out string) []verdict {
	var all []verdict
	open := false
	for line := range strings.SplitSeq(out, "\n") {
		if m := tapLine.FindStringSubmatch(line); m != nil {
			v := verdict{name: m[2]}
			if open = m[1] != "" || m[3] != ""; open {
				v.complaint = line
			}
			all = append(all, v)
		} else if open && strings.HasPrefix(line, "  ") {
			all[len(all)-1].complaint += "\n" + line
		} else {
			open = false
		}
	}
	return all
}

func TestParseTAP(t *testing.T) {
	t.Parallel()
	got := parseTAP("TAP version 13\n# Subtest: a\nok 1 - a\n  ---\n  duration_ms: 1\n  ...\n" +
		"# Subtest: b\nnot ok 2 - b\n  ---\n  error: 'boom'\n  ...\nok 3 - c # SKIP\n1..3\n# pass 1\n")
	want := []verdict{{"a", ""}, {"b", "not ok 2 - b\n  ---\n  error: 'boom'\n  ..."}, {"c", "ok 3 - c # SKIP"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// requirePackages fails where a judge isn't there, or is of another version than package.json
// names.
func requirePackages(t *testing.T, folder string) {
	t.Helper()
	var wanted struct{ Dependencies map[string]string }
	read(t, filepath.Join(folder, "package.json"), &wanted)
	if len(wanted.Dependencies) == 0 {
		t.Fatal("package.json names no judge")
	}
	for name, version := range wanted.Dependencies {
		var installed struct{ Version string }
		read(t, filepath.Join(folder, "node_modules", name, "package.json"), &installed)
		if installed.Version != version {
			t.Fatalf("%s is of version %s, want %s; make setup installs it", name, installed.Version, version)
		}
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make setup installs it", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Programs that start the command.
func TestPrograms(t *testing.T) {
	t.Parallel()
	node, folder := testenv.Node(t), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), nodeTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(folder, "clerksync"), "../../cmd/clerksync").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("documentation", func(t *testing.T) { judgeDocumentation(t, node, folder) })
	t.Run("documentation in a shell", func(t *testing.T) { judgeShell(t, folder) })
	t.Run("npm package", func(t *testing.T) { judgePackage(t, node, folder) })
}

// judgePackage runs the tests of the npm package, by the test runners that its README names.
func judgePackage(t *testing.T, node, folder string) {
	t.Helper()
	tests := filepath.Join("..", "..", "npm", "emulator", "test")
	requirePackages(t, tests)
	_, playwright, _ := strings.Cut(string(testenv.Fixture(t, "npm/emulator/README.md")), "```js\n// deals.spec.js")
	playwright, _, found := strings.Cut(playwright, "```")
	if !found || !strings.Contains(string(testenv.Fixture(t, "docs/emulator.md")), playwright+"```") {
		t.Error("docs/emulator.md does not show the test in Playwright that npm/emulator/README.md shows")
	}
	ctx, cancel := context.WithTimeout(t.Context(), nodeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--test", "--test-reporter=tap", "emulator.test.mjs", "readme.test.mjs")
	cmd.Dir = tests
	cmd.Env = append(cmd.Environ(), "CLERKSYNC_BINARY="+filepath.Join(folder, "clerksync"), "NODE_OPTIONS=")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), " - Playwright") {
		t.Errorf("%v\n%s", err, out)
	}
}

// judgeDocumentation runs what docs/emulator.md shows as it stands, with the command in PATH: the
// first block of each language.
func judgeDocumentation(t *testing.T, node, folder string) {
	t.Helper()
	requirePackages(t, filepath.Join("testdata", "node"))
	packages, err := filepath.Abs(filepath.Join("testdata", "node", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	document := string(testenv.Fixture(t, "docs/emulator.md"))
	for _, c := range []struct {
		language, file, says string
		command              []string
	}{
		{"js", "example.test.mjs", "ok 1 - a user signs in", []string{node, "--test", "--test-reporter=tap", "example.test.mjs"}},
		{"python", "test_example.py", "\nOK\n", []string{"python3", "-W", "error", "-m", "unittest", "test_example"}},
	} {
		_, shown, _ := strings.Cut(document, "```"+c.language+"\n")
		shown, _, found := strings.Cut(shown, "```")
		if !found {
			t.Fatalf("docs/emulator.md shows no test in %s", c.language)
		}
		if err := os.WriteFile(filepath.Join(folder, c.file), []byte(shown), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), nodeTimeout)
		cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
		cmd.Dir = folder
		cmd.Env = append(cmd.Environ(), "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"), "CLERK_TELEMETRY_DISABLED=1", "NODE_OPTIONS=")
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v\n%s", c.language, err, out)
		}
	}
}
