package access

import (
	"crypto/sha256"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/internal/store"
)

// Every digest is compared, whichever matches.
func TestFindComparesWithAll(t *testing.T) {
	t.Parallel()
	var tokens []store.OperatorToken
	for i := range store.MaxOperators {
		tokens = append(tokens, store.OperatorToken{Digest: sha256.Sum256([]byte{byte(i)})})
	}
	for i := range tokens {
		if got := find(tokens, tokens[i].Digest); got != i {
			t.Errorf("%d is found at %d", i, got)
		}
		near := tokens[i].Digest
		near[i%len(near)] ^= 1
		if got := find(tokens, near); got != -1 {
			t.Errorf("what differs in a bit is found at %d", got)
		}
	}
	if got := find(nil, tokens[0].Digest); got != -1 {
		t.Errorf("found at %d of none", got)
	}
}

// The functions that compare secrets have no branch that depends on them: no condition, no early
// exit, and no comparison but that of package subtle.
func TestTokensAreComparedInConstantTime(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, path := range []string{"operator.go", "operators.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !slices.Contains([]string{"find", "sameToken"}, fn.Name.Name) {
				continue
			}
			checked++
			constant := false
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.IfStmt, *ast.SwitchStmt, *ast.BranchStmt:
					t.Errorf("%s has a branch", fn.Name.Name)
				case *ast.BinaryExpr:
					if call, ok := n.X.(*ast.CallExpr); !ok || !isSelector(call.Fun, "subtle", "ConstantTimeCompare") {
						t.Errorf("%s compares by itself", fn.Name.Name)
					}
				case *ast.SelectorExpr:
					constant = constant || isSelector(n, "subtle", "ConstantTimeCompare")
					if isSelector(n, "bytes", "Equal") || isSelector(n, "strings", "EqualFold") {
						t.Errorf("%s uses %s", fn.Name.Name, n.Sel.Name)
					}
				}
				return true
			})
			if last := len(fn.Body.List) - 1; !constant || last < 0 || countReturns(fn.Body) != 1 {
				t.Errorf("%s does not compare in constant time, or returns early", fn.Name.Name)
			}
		}
	}
	if checked != 2 {
		t.Errorf("%d functions were found", checked)
	}
}

func isSelector(e ast.Node, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func countReturns(body *ast.BlockStmt) (n int) {
	ast.Inspect(body, func(node ast.Node) bool {
		if _, ok := node.(*ast.ReturnStmt); ok {
			n++
		}
		return true
	})
	return n
}
