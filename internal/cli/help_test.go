package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// leaves returns the words of all commands that do something.
func leaves(node *kong.Node, before ...string) (all [][]string) {
	for _, child := range node.Children {
		words := slices.Concat(before, []string{child.Name})
		if child.Hidden {
			continue
		}
		if child.Leaf() {
			all = append(all, words)
		}
		all = append(all, leaves(child, words...)...)
	}
	return all
}

// The help of each command has an example, fits into 80 columns, and names what it is about.
func TestHelp(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	all := leaves(parser.Model.Node)
	if len(all) < 40 {
		t.Errorf("there are %d commands only: this test looks for the wrong thing", len(all))
	}
	for _, words := range all {
		var out, messages bytes.Buffer
		name := "clerksync " + strings.Join(words, " ")
		if code := Main(append(words, "--help"), nil, &out, &messages); code != 0 || messages.Len() > 0 {
			t.Errorf("%s --help: exit code %d, %s", name, code, &messages)
		}
		if !strings.Contains(out.String(), "\n    "+name) && name != "clerksync version" && name != "clerksync completion" {
			t.Errorf("%s --help has no example", name)
		}
		for line := range strings.Lines(out.String()) {
			if visible(strings.TrimSuffix(line, "\n")) > 80 && !strings.HasPrefix(line, "    ") { // but for examples
				t.Errorf("%s --help has a line of more than 80 columns: %s", name, line)
			}
		}
	}
}
