package yamlfile

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is something that is wrong in a file.
type Problem struct {
	File   string // as it was named
	Line   int    // from 1; 0 if it is not known
	Path   string // of the value, such as users[2].password; empty for the whole file
	What   string // is wrong, worded so that it follows the path
	Remedy string // what to write instead; may be empty
}

// Error returns the problem in one line, with the position as compilers write it.
func (p Problem) Error() string {
	text := p.File + ":"
	if p.Line > 0 {
		text += strconv.Itoa(p.Line) + ":"
	}
	if p.Path != "" {
		text += " " + p.Path
	}
	text += " " + p.What
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}

// Problems is everything that is wrong in a file, by line.
type Problems []Problem

// Error returns one problem a line.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, x := range p {
		lines = append(lines, x.Error())
	}
	return strings.Join(lines, "\n")
}

// Document is a file that was read. It knows the lines of all values, so that what reading does not
// notice, such as a name that nothing has, can be reported in the same way.
type Document struct {
	name     string
	lines    map[string]int
	problems Problems
	nodes    int
}

// The limits of a file. Values that aliases repeat count each time.
const (
	maxBytes    = 64 << 20
	maxNodes    = 2_000_000
	maxDepth    = 64
	maxProblems = 50
)

// Read reads a file of a name into a pointer. A name that ends in .json is read as JSON, any other
// as YAML, or as JSON if it is that. Struct fields go by their json tags. What is wrong is in
// [Document.Err].
func Read(name string, body []byte, into any) *Document {
	d := &Document{name: name, lines: map[string]int{}}
	root, err := parse(name, body)
	if err != nil {
		d.syntax(err)
		return d
	}
	if root == nil { // an empty file
		return d
	}
	d.into(root, into)
	return d
}

// Wrong reports a problem of the value at a path.
func (d *Document) Wrong(path, what, remedy string) {
	d.report(d.line(path), path, what, remedy)
}

// Reported reports whether a value, or one inside it, already has a problem. Then what follows from
// that need not be reported.
func (d *Document) Reported(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		rest, inside := strings.CutPrefix(p.Path, path)
		return inside && (path == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// Err returns [Problems] if there are any, sorted by line.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	shown := d.problems
	if len(shown) > maxProblems {
		rest := Problem{File: d.name, What: fmt.Sprintf("and %d more", len(shown)-maxProblems)}
		shown = append(slices.Clone(shown[:maxProblems]), rest)
	}
	return shown
}

func (d *Document) report(line int, path, what, remedy string) {
	d.problems = append(d.problems, Problem{d.name, line, path, what, remedy})
}

// line returns the line of a path, or of the nearest value around it that the file has.
func (d *Document) line(path string) int {
	for {
		if line, known := d.lines[path]; known || path == "" {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// yamlLine finds the line in an error of the YAML library.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func (d *Document) syntax(err error) {
	if at, ok := errors.AsType[syntaxError](err); ok {
		d.report(at.line, "", at.what, "")
		return
	}
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	d.report(line, "", "is not YAML: "+strings.TrimPrefix(text, "yaml: "), "")
}

// parse returns the root, or nil for an empty file.
func parse(name string, body []byte) (*yaml.Node, error) {
	if len(body) > maxBytes {
		return nil, syntaxError{0, fmt.Sprintf("has more than %d MiB", maxBytes>>20)}
	}
	body = []byte(strings.TrimPrefix(string(body), "\ufeff"))
	asJSON := strings.HasSuffix(strings.ToLower(name), ".json")
	if asJSON || strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
		root, err := parseJSON(body)
		if asJSON || err == nil {
			return root, err
		}
	}
	var document yaml.Node
	if err := yaml.Unmarshal(body, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	return document.Content[0], nil
}
