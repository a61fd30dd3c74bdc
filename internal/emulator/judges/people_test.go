package judges

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/browsertest"
)

const password = "correct horse battery"

// person is someone who signs in.
type person struct{ ID, Name, Email string }

// newPerson creates a user with a password.
func (w *world) newPerson(t *testing.T, name string) person {
	t.Helper()
	p := person{Name: name, Email: strings.ToLower(name) + "@example.com"}
	w.call(t, "POST", "/v1/users", map[string]any{"email_address": []string{p.Email}, "password": password, "first_name": name}, &p)
	return p
}

// newOrganization creates an organization whose admin is a person.
func (w *world) newOrganization(t *testing.T, name string, admin person) string {
	t.Helper()
	var organization struct{ ID string }
	w.call(t, "POST", "/v1/organizations", map[string]any{"name": name, "created_by": admin.ID}, &organization)
	return organization.ID
}

// call makes a request of the Backend API or the control API.
func (w *world) call(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := w.Call(t.Context(), method, path, in, out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// code returns the newest code that was sent to an address. It waits for it.
func (w *world) code(t *testing.T, to string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		for _, m := range w.Inbox() {
			if m.To == to && m.Code != "" {
				return m.Code
			}
		}
	}
	t.Fatalf("no code was sent to %s: %+v", to, w.Inbox())
	return ""
}

// picture writes a picture of a page in a theme, if pictures are wanted.
func picture(p *browsertest.Tab, name string) {
	p.Helper()
	if *screenshots == "" {
		return
	}
	if err := os.MkdirAll(*screenshots, 0o750); err != nil {
		p.Fatal(err)
	}
	p.Screenshot(filepath.Join(*screenshots, name+".png"))
}

// pictures writes a picture of a page in each theme, if pictures are wanted. The page is loaded
// again for each, and shows what a selector finds.
func pictures(p *browsertest.Tab, path, shows, name string) {
	p.Helper()
	if *screenshots == "" {
		return
	}
	for _, theme := range []string{"dark", "light"} {
		p.PreferTheme(theme)
		p.Open(path)
		p.Wait(shows)
		picture(p, name+"-"+theme)
	}
}

// tab opens a tab for pages of an app.
func (w *world) tab(t *testing.T, app string) *browsertest.Tab {
	t.Helper()
	p := w.browser.Tab(t, app)
	p.Size(1100, 760)
	p.PreferTheme("light")
	return p
}

// click clicks an element that a selector finds, when it is visible. It does not use the mouse: the
// components move while they load.
func click(p *browsertest.Tab, selector string) {
	p.Helper()
	p.Wait(selector)
	run[bool](p, `document.querySelector(%s).click(); return true`, quoted(selector))
}

// run evaluates statements of JavaScript and returns what they return. They may await.
func run[T any](p *browsertest.Tab, format string, values ...any) T {
	p.Helper()
	return browsertest.Evaluate[T](p, "(async () => {"+fmt.Sprintf(format, values...)+"})()")
}

// quoted returns a text as JavaScript and JSON write it.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// containsAll reports whether a text has all parts in it.
func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
