package access

import (
	"crypto/rand"
	"crypto/sha256"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
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

// A flood of guesses reads the database ten times a second at most, and a flood of one known token
// little more than once. Texts that are no token of an operator never read it.
func TestFloodsReadLittle(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err == nil {
		err = db.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o := newOperators(&Config{DB: db, Now: time.Now})
	t.Cleanup(o.close)
	_, known, err := o.Add(t.Context(), NewOperator{Name: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	const lasts = 450 * time.Millisecond
	for _, c := range []struct {
		name  string
		token func() string
		code  string
		reads int
	}{
		{"other texts", func() string { return "cso_" + rand.Text() }, auth.CodeAuthenticationRequired, 0},
		{"one known token", func() string { return known }, "", 2},
		{"guesses", func() string { return tokenPrefix + tokenEncoding.EncodeToString([]byte(rand.Text()+"......")) }, auth.CodeAuthenticationRequired, 6},
	} {
		before := o.list.at
		seen := map[time.Time]bool{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for end := time.Now().Add(lasts); time.Now().Before(end); {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
					r.Header.Set("Authorization", "Bearer "+c.token())
					_, err := o.Check(r, "configured", false)
					code := ""
					if d, ok := AsDenial(err); ok {
						code = d.Code
					}
					if code != c.code {
						t.Errorf("%s: %v", c.name, err)
						return
					}
					o.mu.Lock()
					at := o.list.at
					o.mu.Unlock()
					mu.Lock()
					if !at.Equal(before) {
						seen[at] = true
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(seen) > c.reads || c.reads > 0 && len(seen) == 0 {
			t.Errorf("%s: %d reads", c.name, len(seen))
		}
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
