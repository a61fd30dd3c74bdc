package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

const modulePath = "github.com/clerksync/clerksync"

// pkg is what the tests need of `go list -json`. Names of our own packages are relative to the
// module, the root is ".".
type pkg struct {
	ImportPath   string
	Name         string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
	Module       *struct{ Path string }
}

func (p *pkg) name() string { return relative(p.ImportPath) }

func relative(importPath string) string {
	switch rest, own := strings.CutPrefix(importPath, modulePath); {
	case own && rest == "":
		return "."
	case own && rest[0] == '/':
		return rest[1:]
	default:
		return importPath
	}
}

// graph is all packages that ours and their tests need, by import path.
type graph map[string]*pkg

func load(t *testing.T) graph {
	t.Helper()
	const fields = "-json=ImportPath,Name,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports,Standard,Module"
	g := graph{}
	dec := json.NewDecoder(bytes.NewReader(goCommand(t, nil, "list", "-deps", "-test", fields, "./...")))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.ImportPath, " [") && !strings.HasSuffix(p.ImportPath, ".test") { // not as compiled for a test
			g[p.ImportPath] = &p
		}
	}
}

func goCommand(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = testenv.Root(t)
	cmd.Env = append(cmd.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// own returns our packages in order.
func (g graph) own() []*pkg {
	var own []*pkg
	for _, p := range g {
		if p.Module != nil && p.Module.Path == modulePath {
			own = append(own, p)
		}
	}
	slices.SortFunc(own, func(a, b *pkg) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	return own
}

// module returns the module of an imported package, "" for ours and the standard library.
func (g graph) module(t *testing.T, importPath string) string {
	t.Helper()
	if importPath == "C" || relative(importPath) != importPath {
		return ""
	}
	p := g[importPath]
	switch {
	case p == nil:
		t.Fatalf("go list does not know %s", importPath)
	case p.Standard:
		return ""
	}
	return p.Module.Path
}

// matches reports whether a package is the pattern or, if the pattern ends in /..., beneath it.
func matches(pattern, name string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == tree || strings.HasPrefix(name, tree+"/")
	}
	return name == pattern
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}

func TestPackageNamesAndDocs(t *testing.T) {
	t.Parallel()
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "models", "model", "types", "shared"}
	for _, p := range load(t).own() {
		if slices.Contains(vague, p.Name) || slices.Contains(vague, path.Base(p.name())) {
			t.Errorf("%s: the name says nothing of what it does", p.name())
		}
		example := matches("examples/...", p.name()) // one file with a comment for its task
		if p.Name != "main" && !example && !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go", p.name())
		}
	}
}
