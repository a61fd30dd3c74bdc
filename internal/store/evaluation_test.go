package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// Go does not say whether f(w.page(), w.args...) reads w.args before or after the call of w.page,
// which may append to it.
func TestNoCallDependsOnTheOrderOfEvaluation(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !call.Ellipsis.IsValid() {
				return true
			}
			spread, _ := call.Args[len(call.Args)-1].(*ast.SelectorExpr)
			for _, arg := range call.Args[:len(call.Args)-1] {
				if spread != nil && callsMethodOf(arg, spread.X) {
					t.Errorf("%s: an argument is made by a method of the value whose field is spread", set.Position(call.Pos()))
				}
			}
			return true
		})
	}
}

// callsMethodOf reports whether an argument calls a method of a variable, but for String, which
// changes nothing.
func callsMethodOf(arg, variable ast.Expr) (calls bool) {
	of, ok := variable.(*ast.Ident)
	if !ok {
		return false
	}
	ast.Inspect(arg, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if method, ok := call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name != "String" {
				x, ok := method.X.(*ast.Ident)
				calls = calls || ok && x.Name == of.Name
			}
		}
		return true
	})
	return calls
}
