package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *#*$`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	// notInSlug is what GitHub leaves out when it makes an anchor of a heading.
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// anchors returns what a link into the document may name after its number sign.
func (d document) anchors() map[string]bool {
	all, seen := map[string]bool{}, map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(d.prose, -1) {
		text := link.ReplaceAllString(match[1], "]")
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		if n := seen[slug]; n > 0 {
			all[slug+"-"+strconv.Itoa(n)] = true
		} else {
			all[slug] = true
		}
		seen[slug]++
	}
	for _, match := range anchor.FindAllStringSubmatch(d.prose, -1) {
		all[match[1]] = true
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := map[string]document{}
	for _, d := range documents(t) {
		all[d.path] = d
	}
	found := 0
	for _, d := range all {
		for _, match := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(d.prose, "code"), -1) {
			target := match[1] + match[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue // needs a network
			}
			found++
			file, fragment, _ := strings.Cut(target, "#")
			name := d.path
			if file != "" {
				name = path.Join(path.Dir(d.path), file)
			}
			if _, err := os.Stat(filepath.Join(testenv.Root(t), name)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", d.path, target)
			} else if fragment != "" && !all[name].anchors()[fragment] {
				t.Errorf("%s: the link to %s names a heading that is not there", d.path, target)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links were found: this test looks for the wrong thing", found)
	}
}

// Each page of docs can be reached from the index, and the index from the README.
func TestIndexHasEachPage(t *testing.T) {
	t.Parallel()
	linked := map[string]bool{}
	for _, d := range documents(t) {
		if d.path != "README.md" && d.path != "docs/README.md" {
			continue
		}
		for _, match := range link.FindAllStringSubmatch(d.prose, -1) {
			file, _, _ := strings.Cut(match[1], "#")
			linked[path.Join(path.Dir(d.path), file)] = true
		}
	}
	for _, d := range documents(t) {
		if path.Dir(d.path) == "docs" && !linked[d.path] {
			t.Errorf("%s: neither README.md nor docs/README.md links to it", d.path)
		}
	}
}
