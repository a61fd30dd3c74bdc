package inspector_test

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
)

var screenshots = flag.String("screenshots", "", "a folder for pictures of every page")

// TestInspectorInChromium looks at every page and does what developers do, in one real browser.
func TestInspectorInChromium(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	if *screenshots != "" {
		t.Run("screenshots", func(t *testing.T) {
			w := newWorld(t)
			server := httptest.NewServer(w.handler)
			defer server.Close()
			w.takeScreenshots(browser.Tab(t, server.URL), "empty-")
			w.fill()
			w.takeScreenshots(browser.Tab(t, server.URL), "")
		})
		return
	}
}

// takeScreenshots takes pictures of every page.
func (w *world) takeScreenshots(p *browsertest.Tab, prefix string) {
	w.Helper()
	p.Expect("status of 404")
	for _, page := range w.pages() {
		p.Open(page)
		p.Wait("html.script main")
		for _, theme := range []string{"light", "dark"} {
			p.PreferTheme(theme)
			for _, width := range []int{390, 1024, 1600} {
				p.Size(width, 900)
				p.Screenshot(filepath.Join(*screenshots, fmt.Sprintf("%s%s.%s.%d.png", prefix, w.nameOf(page), theme, width)))
			}
		}
	}
}
