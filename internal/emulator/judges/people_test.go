package judges

import (
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

// run evaluates statements of JavaScript and returns what they return. They may await.
func run[T any](p *browsertest.Tab, format string, values ...any) T {
	p.Helper()
	return browsertest.Evaluate[T](p, "(async () => {"+fmt.Sprintf(format, values...)+"})()")
}
