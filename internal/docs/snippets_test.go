package docs

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/internal/testenv"
)

func TestSnippetsParse(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			found[b.language]++
			var err error
			switch b.language {
			case "go":
				err = parseGo(b.text)
			case "json":
				var v any
				err = json.Unmarshal([]byte(b.text), &v)
			case "yaml":
				var v any
				err = yaml.Unmarshal([]byte(b.text), &v)
			}
			if err != nil {
				t.Errorf("%s: %v", d.at(b), err)
			}
		}
	}
	if found["go"] == 0 {
		t.Error("no document has a block of Go: this test looks for the wrong thing")
	}
}

// parseGo parses a file, declarations or statements.
func parseGo(text string) error {
	var first error
	for _, form := range []string{"%s", "package p\n%s", "package p\nfunc _() {\n%s\n}"} {
		_, err := parser.ParseFile(token.NewFileSet(), "snippet.go", fmt.Sprintf(form, text), parser.SkipObjectResolution)
		if err == nil {
			return nil
		}
		if first == nil && strings.HasPrefix(text, "package ") {
			return err
		}
		first = err
	}
	return first
}

// Snippets that begin with a package clause are built as packages of this module, next to this
// test. They are there for the compiler alone, by an overlay. Those that are tests are run.
func TestCompleteSnippetsCompile(t *testing.T) {
	t.Parallel()
	overlay := map[string]string{}
	var programs, tests []string
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language != "go" || !strings.HasPrefix(b.text, "package ") {
				continue
			}
			folder := fmt.Sprintf("internal/docs/snippet%d", len(overlay))
			name := "snippet.go"
			if strings.Contains(b.text, "*testing.T)") {
				name = "snippet_test.go"
				tests = append(tests, "./"+folder)
			} else {
				programs = append(programs, "./"+folder)
			}
			source := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(source, []byte(fmt.Sprintf("//line %s:%d\n%s", d.path, b.line, b.text)), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay[filepath.Join(testenv.Root(t), folder, name)] = source
		}
	}
	if len(programs) == 0 {
		t.Fatal("no document has a complete snippet: this test looks for the wrong thing")
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(list, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	goTool(t, append([]string{"build", "-overlay", list, "-o", t.TempDir() + "/"}, programs...)...)
	for _, folder := range tests {
		binary := filepath.Join(t.TempDir(), "snippet.test")
		goTool(t, "test", "-c", "-vet=off", "-overlay", list, "-o", binary, folder)
		if output, err := exec.CommandContext(t.Context(), binary).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	}
}

// goTool runs the go command in the repository's root.
func goTool(t *testing.T, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", arguments...)
	cmd.Dir = testenv.Root(t)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", arguments[0], err, output)
	}
}
