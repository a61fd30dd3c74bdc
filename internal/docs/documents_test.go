package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// document is one Markdown file.
type document struct {
	path   string  // relative to the repository's root, with slashes
	prose  string  // without blocks of code
	blocks []block // of code
}

// block is a block of code in a document.
type block struct {
	language string // "" where the document does not name one
	text     string
	line     int // of the document, where the text begins
}

// historical reports whether a document tells what was so at its time.
func (d document) historical() bool {
	return d.path == "CHANGELOG.md" || strings.HasPrefix(d.path, "docs/adr/")
}

// code returns the blocks and the code spans in prose, which hold commands, settings and names of
// files.
func (d document) code() []string {
	var all []string
	for _, b := range d.blocks {
		all = append(all, b.text)
	}
	for _, span := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
		all = append(all, strings.ReplaceAll(span[1], "\n", " "))
	}
	return all
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// files returns the paths of all files of the repository, relative to its root.
func files(t *testing.T) []string {
	t.Helper()
	root := testenv.Root(t)
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "bin"}, d.Name()):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		relative, err := filepath.Rel(root, path)
		all = append(all, filepath.ToSlash(relative))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// documents returns all documents of the repository.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, path := range files(t) {
		if filepath.Ext(path) != ".md" || strings.Contains(path, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(testenv.Root(t), path))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseDocument(path, string(text)))
	}
	if len(all) < 10 {
		t.Fatalf("only %d documents were found", len(all))
	}
	return all
}

// parseDocument separates prose from blocks of code, fenced ones and those that are indented by
// four spaces.
func parseDocument(path, text string) document {
	d := document{path: path}
	var prose, code strings.Builder
	fence, language, start := "", "", 0
	end := func() {
		if code.Len() > 0 {
			d.blocks = append(d.blocks, block{language, code.String(), start})
		}
		code.Reset()
		fence, language = "", ""
	}
	blank := true // a block that is indented begins after an empty line
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		indented := strings.HasPrefix(line, "    ") && fence == "" && (blank || code.Len() > 0) && !inList(prose.String())
		switch {
		case fence == "" && strings.HasPrefix(trimmed, "```"):
			end()
			fence, language, start = "```", strings.TrimPrefix(trimmed, "```"), i+2
		case fence != "" && trimmed == fence:
			end()
		case fence != "":
			code.WriteString(line + "\n")
		case indented:
			if code.Len() == 0 {
				start = i + 1
			}
			code.WriteString(strings.TrimPrefix(line, "    ") + "\n")
		default:
			end()
			prose.WriteString(line + "\n")
		}
		blank = trimmed == ""
	}
	end()
	d.prose = prose.String()
	return d
}

// inList reports whether the last lines of prose are an item of a list, whose continuation is
// indented, too.
func inList(prose string) bool {
	paragraphs := strings.Split(strings.TrimSpace(prose), "\n\n")
	return listItem.MatchString(paragraphs[len(paragraphs)-1])
}

var listItem = regexp.MustCompile(`^\s*([-*]|\d+\.) `)

// at names a place in a document.
func (d document) at(b block) string { return d.path + ":" + strconv.Itoa(b.line) }
