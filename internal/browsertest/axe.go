package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// axe returns the text of axe-core, which setup.sh installs from npm.
var axe = sync.OnceValues(func() (string, error) {
	_, source, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(source), "testdata/node/node_modules/axe-core/axe.min.js"))
	return string(text), err
})

// violation is a rule of axe-core that a page breaks, and where.
type violation struct {
	ID     string `json:"id"`
	Help   string `json:"help"`
	Impact string `json:"impact"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Accessible fails the test with each rule of axe-core that the page breaks: WCAG 2.2 A and AA, and
// best practices. If rules are named, it checks these alone.
func (p *Tab) Accessible(rules ...string) {
	p.Helper()
	text, err := axe()
	if err != nil {
		p.Fatalf("%v\nmake setup installs axe-core", err)
	}
	if !Evaluate[bool](p, "window.axe !== undefined") {
		Evaluate[bool](p, text+";true")
	}
	options := map[string]any{"resultTypes": []string{"violations"}}
	if len(rules) > 0 {
		options["runOnly"] = rules
	}
	quoted, err := json.Marshal(options)
	if err != nil {
		p.Fatal(err)
	}
	result := Evaluate[struct {
		Violations []violation `json:"violations"`
		Passes     int         `json:"passes"`
	}](p, "axe.run(document, "+string(quoted)+").then(r => ({violations: r.violations, passes: r.passes.length}))")
	if result.Passes == 0 {
		p.Errorf("%s: axe-core checked nothing", p.Path())
	}
	for _, v := range result.Violations {
		var nodes strings.Builder
		for i, n := range v.Nodes {
			if i == 3 {
				fmt.Fprintf(&nodes, "\n  and %d more", len(v.Nodes)-i)
				break
			}
			fmt.Fprintf(&nodes, "\n  %.300s\n    %s", n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n    "))
		}
		p.Errorf("%s breaks the rule %s (%s): %s%s", p.Path(), v.ID, v.Impact, v.Help, nodes.String())
	}
}
