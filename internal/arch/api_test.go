package arch

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No exported declaration of a public package names a type of an internal one, nor is one an alias
// of it: what go doc shows must be all there is to know. Fields and methods that are not exported
// may have any type.
func TestAPINamesNoInternalType(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range checkedPackages(t) {
		for _, name := range p.Scope().Names() {
			if object := p.Scope().Lookup(name); object.Exported() {
				seen++
				walk := apiWalk{t: t, where: relative(p.Path()) + "." + name, seen: map[types.Type]bool{}}
				walk.object(object)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d exported names: this test looks at the wrong thing", seen)
	}
}

// checkedPackages returns our public packages with their types.
func checkedPackages(t *testing.T) (checked []*types.Package) {
	t.Helper()
	g := load(t)
	exports := map[string]string{} // import path -> file with export data
	text := goCommand(t, nil, "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./...")
	for line := range strings.Lines(string(text)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			exports[path] = file
		}
	}
	fset := token.NewFileSet()
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	for _, p := range g.own() {
		if p.Name == "main" || matchesAny([]string{"internal/...", "examples/..."}, p.name()) {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		typed, err := config.Check(p.ImportPath, fset, files, nil)
		if err != nil {
			t.Fatal(err)
		}
		checked = append(checked, typed)
	}
	return checked
}

// apiWalk visits every type that an exported declaration shows.
type apiWalk struct {
	t     *testing.T
	where string
	seen  map[types.Type]bool
}

func (w *apiWalk) object(o types.Object) {
	name, isType := o.(*types.TypeName)
	if !isType {
		w.visit(o.Type())
		return
	}
	if alias, ok := name.Type().(*types.Alias); ok {
		w.visit(alias.Rhs())
		return
	}
	named := name.Type().(*types.Named)
	w.visit(named.Underlying())
	for m := range named.Methods() {
		if m.Exported() {
			inner := apiWalk{w.t, w.where + "." + m.Name(), w.seen}
			inner.visit(m.Type())
		}
	}
}

//nolint:cyclop // one case for each kind of type
func (w *apiWalk) visit(typ types.Type) {
	if w.seen[typ] {
		return
	}
	w.seen[typ] = true
	switch typ := typ.(type) {
	case *types.Named:
		w.name(typ.Obj())
		for argument := range typ.TypeArgs().Types() {
			w.visit(argument)
		}
	case *types.Alias:
		w.name(typ.Obj())
		w.visit(typ.Rhs())
	case *types.Pointer:
		w.visit(typ.Elem())
	case *types.Slice:
		w.visit(typ.Elem())
	case *types.Array:
		w.visit(typ.Elem())
	case *types.Chan:
		w.visit(typ.Elem())
	case *types.Map:
		w.visit(typ.Key())
		w.visit(typ.Elem())
	case *types.Signature:
		w.visit(typ.Params())
		w.visit(typ.Results())
	case *types.Tuple:
		for v := range typ.Variables() {
			w.visit(v.Type())
		}
	case *types.Struct:
		for f := range typ.Fields() {
			if f.Exported() {
				inner := apiWalk{w.t, w.where + "." + f.Name(), w.seen}
				inner.visit(f.Type())
			}
		}
	case *types.Interface:
		for m := range typ.Methods() {
			if m.Exported() {
				w.visit(m.Type())
			}
		}
	case *types.TypeParam:
		w.visit(typ.Constraint())
	case *types.Union:
		for term := range typ.Terms() {
			w.visit(term.Type())
		}
	case *types.Basic:
	default:
		w.t.Errorf("%s: no rule for %T", w.where, typ)
	}
}

func (w *apiWalk) name(o *types.TypeName) {
	if p := o.Pkg(); p != nil && strings.Contains(p.Path()+"/", "/internal/") && strings.HasPrefix(p.Path(), modulePath) {
		w.t.Errorf("%s names %s.%s", w.where, relative(p.Path()), o.Name())
	}
}
