package webhook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// Time cannot be measured reliably in a test, so this test reads the source. In each function that
// verifies, what is computed under a key (`want`) goes into hmac.Equal and into nothing else.
func TestComparesInConstantTime(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		uses, equals := countWant(file)
		if uses != equals {
			t.Errorf("%s: want is used %d times, %d of them in hmac.Equal", name, uses, equals)
		}
		compared += equals
	}
	if compared != 2 { // one a scheme
		t.Errorf("%d comparisons by hmac.Equal, want 2", compared)
	}
}

// countWant counts the uses of variables named want, and those of them that are arguments of
// hmac.Equal.
func countWant(file *ast.File) (uses, equals int) {
	mentions := func(node ast.Node) (n int) {
		ast.Inspect(node, func(node ast.Node) bool {
			if ident, ok := node.(*ast.Ident); ok && ident.Name == "want" {
				n++
			}
			return true
		})
		return n
	}
	uses = mentions(file)
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.AssignStmt:
			for _, target := range node.Lhs {
				uses -= mentions(target)
			}
		case *ast.CallExpr:
			function, ok := node.Fun.(*ast.SelectorExpr)
			if ok && function.Sel.Name == "Equal" && mentions(node) == 1 {
				if pkg, ok := function.X.(*ast.Ident); ok && pkg.Name == "hmac" {
					equals++
				}
			}
		}
		return true
	})
	return uses, equals
}
