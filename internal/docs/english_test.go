package docs

import (
	"regexp"
	"testing"
)

// unplain are words that docs/style.md replaces.
var unplain = regexp.MustCompile(`(?i)\b(can` + ` not|for ever|anew|lately|whoever|nobody|somebody|beside|unless told)\b`)

func TestDocumentsUsePlainWords(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		if d.historical() || d.path == "docs/style.md" || d.path == "bench/RESULTS.md" {
			continue // style.md lists the words, and the results were written as they were measured
		}
		for _, found := range unplain.FindAllString(d.prose, -1) {
			t.Errorf("%s: %q: docs/style.md has a plainer word", d.path, found)
		}
	}
}
