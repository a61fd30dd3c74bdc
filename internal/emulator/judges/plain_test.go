package judges

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// startPlain serves the page without a framework, from an origin of its own.
func (w *world) startPlain(t *testing.T) {
	t.Helper()
	page, err := template.ParseFiles(filepath.Join(w.folder, "plain", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(rw, w.keys)
	}))
	t.Cleanup(server.Close)
	w.plain = onLocalhost(server.URL)
}

// open opens the page without a framework, and waits for clerk-js.
func openPlain(p *browsertest.Tab) {
	p.Helper()
	p.Open("/")
	p.Until("clerk-js has loaded", "String(window.Clerk && Clerk.loaded)", func(text string) bool { return text == "true" })
}

// Before anybody has signed in.
func (w *world) judgePlain(t *testing.T) {
	t.Parallel()
	p := w.browser.Tab(t, w.plain)
	openPlain(p)
	if got := run[bool](p, `return Clerk.user === null && Clerk.isSignedIn === false`); !got {
		t.Error("somebody is signed in")
	}
}
