package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxComment is how wide a comment may be, in columns. A tab counts 4.
const maxComment = 100

// These are the rules for plain English that can be checked mechanically: "cannot" is one word, a
// doc comment says what a function returns or reports, and comments are at most 100 columns wide.
func TestPlainEnglish(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, p := range load(t).own() {
		for _, fault := range p.englishFaults(t) {
			t.Error(fault)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no package was checked")
	}
}

// englishFaults returns what breaks the rules in the Go files of a package, tests included.
func (p *pkg) englishFaults(t *testing.T) (faults []string) {
	t.Helper()
	for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(f) {
			continue
		}
		report := func(at token.Pos, fault string) {
			place := files.Position(at)
			faults = append(faults, strings.TrimPrefix(p.name()+"/", "./")+name+":"+strconv.Itoa(place.Line)+": "+fault)
		}
		checkWords(f, report)
		checkDocs(f, report)
		checkWidth(files, f, report)
	}
	return faults
}

var canNot = regexp.MustCompile(`(?i)\bcan\s` + `+not\b`)

// checkWords reports cannot that is written as two words, in comments and strings.
func checkWords(f *ast.File, report func(token.Pos, string)) {
	for _, group := range f.Comments {
		if canNot.MatchString(group.Text()) {
			report(group.Pos(), "write cannot")
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && canNot.MatchString(text.Value) {
			report(text.Pos(), "write cannot")
		}
		return true
	})
}

var answers = regexp.MustCompile(`^\w+ (answers|tells)\b`)

// checkDocs reports doc comments whose first verb is answers or tells.
func checkDocs(f *ast.File, report func(token.Pos, string)) {
	ast.Inspect(f, func(n ast.Node) bool {
		var doc *ast.CommentGroup
		switch n := n.(type) {
		case *ast.FuncDecl:
			doc = n.Doc
		case *ast.GenDecl:
			doc = n.Doc
		case *ast.TypeSpec:
			doc = n.Doc
		case *ast.ValueSpec:
			doc = n.Doc
		case *ast.Field:
			doc = n.Doc
		}
		if doc != nil && answers.MatchString(doc.Text()) {
			report(doc.Pos(), "say what it returns or reports, not what it answers or tells")
		}
		return true
	})
}

// checkWidth reports comments on lines of their own that are too wide. Directives and the output of
// examples may be wider.
func checkWidth(files *token.FileSet, f *ast.File, report func(token.Pos, string)) {
	code := map[int]bool{} // the lines with code
	ast.Inspect(f, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup:
			return false
		}
		code[files.Position(n.Pos()).Line], code[files.Position(n.End()).Line] = true, true
		return true
	})
	for _, group := range f.Comments {
		for _, c := range group.List {
			text := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), " "))
			if strings.HasPrefix(text, "output:") || strings.HasPrefix(text, "unordered output:") {
				break
			}
			indent := files.Position(c.Pos()).Column - 1 // of tabs, if the comment is on a line of its own
			width := 4*indent + utf8.RuneCountInString(c.Text) + 3*strings.Count(c.Text, "\t")
			if strings.HasPrefix(c.Text, "// ") && width > maxComment && !code[files.Position(c.Pos()).Line] {
				report(c.Pos(), "wrap the comment at 100 columns")
			}
		}
	}
}
