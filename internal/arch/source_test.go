package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// These bounds keep the root from becoming a god object: life cycle, handlers,
// middleware, and one accessor a concept.
const (
	maxMirrorFields  = 13
	maxMirrorMethods = 32
	maxMethodLines   = 20 // of a method of Mirror: it forwards
)

// parse returns the syntax of a package's files, tests not included, by file name.
func (p *pkg) parse(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = f
	}
	return files
}

func TestMirrorStaysSmall(t *testing.T) {
	t.Parallel()
	root := load(t)[modulePath]
	if root == nil {
		t.Fatal("no package in the root")
	}
	var methods []string
	for path, f := range root.parse(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if receiver(n) != "Mirror" {
					break
				}
				methods = append(methods, n.Name.Name)
				if !n.Name.IsExported() {
					t.Errorf("Mirror has the unexported method %s: work belongs to the parts of the mirror", n.Name.Name)
				}
				if lines := strings.Count(source(t, path, n.Body), "\n"); lines > maxMethodLines {
					t.Errorf("%s has %d lines: methods of Mirror forward", n.Name.Name, lines)
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && n.Name.Name == "Mirror" {
					fields := 0
					for _, field := range s.Fields.List {
						fields += len(field.Names)
						if len(field.Names) == 0 {
							t.Error("Mirror embeds a type, whose methods become its own")
						}
					}
					if fields == 0 || fields > maxMirrorFields {
						t.Errorf("Mirror has %d fields, want 1 to %d", fields, maxMirrorFields)
					}
				}
			}
			return true
		})
	}
	if len(methods) == 0 || len(methods) > maxMirrorMethods {
		t.Errorf("Mirror has %d methods, want 1 to %d: %v", len(methods), maxMirrorMethods, methods)
	}
}

// source returns the text of a node.
func source(t *testing.T, path string, n ast.Node) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[n.Pos()-1 : n.End()-1]) // the only file of its set begins at 1
}

// receiver returns the name of a method's type, "" of a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// Only the store may name a base table: everybody else reads the _live views, which know what is
// deleted.
func TestBaseTablesStayInTheStore(t *testing.T) {
	t.Parallel()
	tables := baseTables(t)
	found := 0
	for _, p := range load(t).own() {
		inStore := matches("internal/store/...", p.name())
		for path, f := range p.parse(t) {
			if strings.HasSuffix(path, "internal/cli/chaos_claims.go") {
				continue // edits a row by hand, as nothing else may, to see that it is found
			}
			for _, text := range literals(t, f) {
				name := tables.FindString(text)
				switch {
				case name == "":
				case inStore:
					found++
				default:
					t.Errorf("%s: %q names the table %s; only internal/store may", path, text, name)
				}
			}
		}
	}
	if found == 0 {
		t.Error("not even the store names a base table: this test looks for the wrong thing")
	}
}

// baseTables matches the names of all tables that the migrations create.
func baseTables(t *testing.T) *regexp.Regexp {
	t.Helper()
	create := regexp.MustCompile(`(?i)\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)`)
	var names []string
	migrations := filepath.Join(testenv.Root(t), "internal", "store", "migrations")
	err := filepath.WalkDir(migrations, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		sql, err := os.ReadFile(path)
		for _, match := range create.FindAllStringSubmatch(string(sql), -1) {
			names = append(names, match[1])
		}
		return err
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("tables %v of %s: %v", names, migrations, err)
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(names, "|") + `)\b`)
}

// literals returns the strings of a file, without import paths and struct tags.
func literals(t *testing.T, f *ast.File) []string {
	t.Helper()
	var texts []string
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				text, err := strconv.Unquote(n.Value)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
		}
		return true
	})
	return texts
}
