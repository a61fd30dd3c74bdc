package docs

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/cli"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testenv"
)

// help returns what a command prints for --help, and false where there is no such command.
func help(words ...string) (string, bool) {
	var stdout, stderr bytes.Buffer
	code := cli.Main(append(slices.Clone(words), "--help"), nil, &stdout, &stderr)
	return stdout.String(), code == 0
}

var (
	// invocation is a call of the program in a line of a shell: the command's words, and all that
	// follows up to what ends a command.
	invocation = regexp.MustCompile(`(?:^|[\s(/$"])clerksync((?: [^\s|&;<>()]+)+)`)
	flag       = regexp.MustCompile(`^--([a-z-]+)`)
	word       = regexp.MustCompile(`^[a-z]+$`)
	makeTarget = regexp.MustCompile(`(?:^|[\s(])make ([a-z]+)`)
	setting    = regexp.MustCompile(`\bCLERK(?:SYNC)?_[A-Z0-9_]*[A-Z0-9](?:_…)?`)
	filePath   = regexp.MustCompile(`(?:^|[\s(])(?:\./)?([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*\.(?:go|md|sh|sql|yaml|json|conf|js))(?:$|[\s),:;])`)
)

func TestCommandsAndFlagsExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		if d.historical() {
			continue
		}
		for _, code := range d.code() {
			for line := range strings.Lines(strings.ReplaceAll(code, "\\\n", " ")) {
				for _, match := range invocation.FindAllStringSubmatch(line, -1) {
					found++
					checkCommand(t, d, strings.Fields(match[1]))
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found: this test looks for the wrong thing", found)
	}
}

// checkCommand checks the words after the program's name.
func checkCommand(t *testing.T, d document, words []string) {
	t.Helper()
	text, ok := help()
	n := 0
	if word.MatchString(words[0]) {
		n = 1
		if text, ok = help(words[0]); ok && len(words) > 1 && strings.Contains(text, "\n  "+words[0]+" "+words[1]+" ") {
			n = 2 // a command of a group
			text, ok = help(words[0], words[1])
			if group := "\n  " + words[0] + " " + words[1] + " "; ok && len(words) > 2 && word.MatchString(words[2]) && strings.Contains(text, group+words[2]+" ") {
				n = 3 // of a group within the group
				text, ok = help(words[:3]...)
			}
		}
	}
	if !ok {
		t.Errorf("%s: there is no command: clerksync %s", d.path, strings.Join(words, " "))
		return
	}
	for _, w := range words[n:] {
		if match := flag.FindStringSubmatch(w); match != nil && !regexp.MustCompile(`--`+match[1]+`\b`).MatchString(text) {
			t.Errorf("%s: clerksync %s has no flag %s", d.path, strings.Join(words[:n], " "), match[0])
		}
	}
}

func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(testenv.Root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, d := range documents(t) {
		for _, code := range d.code() {
			for _, match := range makeTarget.FindAllStringSubmatch(code, -1) {
				found++
				if !d.historical() && !strings.Contains(string(makefile), "\n"+match[1]+":") {
					t.Errorf("%s: there is no target: make %s", d.path, match[1])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document names a target: this test looks for the wrong thing")
	}
}

func TestSettingsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"CLERK_TELEMETRY_DISABLED": true, "CLERK_FAPI_URL": true, // read by Clerk's own SDKs
	}
	for _, v := range config.Settings() {
		for _, name := range append([]string{v.Name}, v.Aliases...) {
			known[name], known[name+"_FILE"] = true, true
		}
	}
	emulate, _ := help("emulate")
	binary := string(testenv.Fixture(t, "npm/emulator/binary.js"))
	sources := sources(t)
	for _, d := range documents(t) {
		if d.historical() {
			continue
		}
		for _, name := range setting.FindAllString(d.prose+strings.Join(d.code(), "\n"), -1) {
			prefix, isPrefix := strings.CutSuffix(name, "_…")
			switch {
			case known[name], isPrefix && (strings.Contains(emulate, prefix) || hasPrefix(known, prefix)):
			case strings.HasPrefix(name, "CLERKSYNC_EMULATE_") && strings.Contains(emulate, name):
			case strings.HasPrefix(d.path, "npm/") && strings.Contains(binary, "environment."+name):
			case strings.HasPrefix(name, "CLERKSYNC_TEST_") || strings.HasPrefix(name, "CLERKSYNC_BENCH_"):
				if !strings.Contains(sources, name) {
					t.Errorf("%s: no test reads %s", d.path, name)
				}
			default:
				t.Errorf("%s: there is no setting %s", d.path, name)
			}
		}
	}
}

// hasPrefix reports whether a known name begins with a prefix and an underscore.
func hasPrefix(known map[string]bool, prefix string) bool {
	for name := range known {
		if strings.HasPrefix(name, prefix+"_") {
			return true
		}
	}
	return false
}

// sources returns the text of all tests and scripts, which have settings of their own.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range files(t) {
		if strings.HasSuffix(name, "_test.go") || path.Ext(name) == ".sh" || strings.HasPrefix(name, "internal/testenv/") {
			text, err := os.ReadFile(filepath.Join(testenv.Root(t), name))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// A file may be named by its path from the root or from the document, or where it is one of a kind
// by its name alone.
func TestFilesThatAreNamedExist(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	for _, name := range files(t) {
		exists[name], exists[path.Base(name)] = true, true
	}
	made := map[string]bool{ // by the reader
		"main.go": true, "main_test.go": true, "app.go": true, "clerksync.yaml": true, "policy.yaml": true, "middleware.js": true,
	}
	for _, d := range documents(t) {
		if d.historical() {
			continue
		}
		for _, span := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
			for _, match := range filePath.FindAllStringSubmatch(span[1], -1) {
				if name := match[1]; !exists[name] && !exists[path.Join(path.Dir(d.path), name)] && !made[name] {
					t.Errorf("%s: there is no file %s", d.path, name)
				}
			}
		}
	}
}
