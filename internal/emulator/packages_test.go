package emulator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// modules makes a project with a package of Clerk that is a symbolic link, as pnpm makes them, and
// with what must never be served.
func modules(t testing.TB) (project string) {
	t.Helper()
	project = t.TempDir()
	store := filepath.Join(project, "node_modules/.pnpm/clerk-js/node_modules/@clerk/clerk-js")
	for path, text := range map[string]string{
		"secret.js": "hidden", "node_modules/@clerk/secret.js": "hidden", "node_modules/other/package.json": `{"name":"other"}`, "node_modules/other/index.js": "hidden",
		"node_modules/@clerk/fake/package.json": `{"name":"other"}`, "node_modules/@clerk/fake/index.js": "hidden",
		"node_modules/@clerk/ui/package.json": `{"name":"@clerk/ui","version":"1.2.3"}`, "node_modules/@clerk/ui/dist/ui.browser.js": "ui", "node_modules/@clerk/ui/.env": "hidden",
		"app/src/index.js": "hidden",
	} {
		write(t, filepath.Join(project, path), text)
	}
	write(t, filepath.Join(store, "package.json"), `{"name":"@clerk/clerk-js","version":"6.40.0"}`)
	write(t, filepath.Join(store, "dist/clerk.browser.js"), "clerk")
	for name, target := range map[string]string{
		filepath.Join(project, "node_modules/@clerk/clerk-js"):   store,
		filepath.Join(store, "dist/escape.js"):                   "../../../../../../../secret.js",
		filepath.Join(store, "dist/absolute.js"):                 filepath.Join(project, "secret.js"),
		filepath.Join(store, "dist/inside.mjs"):                  "clerk.browser.js",
		filepath.Join(project, "node_modules/@clerk/everything"): project,
	} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	return project
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// get asks an emulator for a file as a browser does, which follows nothing.
func get(t *testing.T, server *httptest.Server, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestPackagesOfClerkAreServed(t *testing.T) {
	t.Parallel()
	project := modules(t)
	server := httptest.NewServer(newClerk(t, emulator.Options{NodeModules: filepath.Join(project, "app")}).Emulator)
	defer server.Close()
	for path, want := range map[string]string{ // "" is 404
		"/npm/@clerk/clerk-js@6/dist/clerk.browser.js":                  "clerk",
		"/npm/@clerk/clerk-js@5.2.0-canary.v1/dist/clerk.browser.js":    "clerk", // whatever version is asked for
		"/npm/@clerk/clerk-js/dist/clerk.browser.js":                    "clerk",
		"/npm/@clerk/clerk-js@6/dist/inside.mjs":                        "clerk",
		"/npm/@clerk/ui@latest/dist/ui.browser.js":                      "ui",
		"/npm/@clerk/clerk-js@6/dist/escape.js":                         "",
		"/npm/@clerk/clerk-js@6/dist/absolute.js":                       "",
		"/npm/@clerk/clerk-js@6/dist/absent.js":                         "",
		"/npm/@clerk/clerk-js@6/dist":                                   "",
		"/npm/@clerk/clerk-js@6/":                                       "",
		"/npm/@clerk/clerk-js@6/dist/%2e%2e/%2e%2e/%2e%2e/secret.js":    "",
		"/npm/@clerk/clerk-js@6/..%2f..%2f..%2f..%2fsecret.js":          "",
		"/npm/@clerk/clerk-js@6/..%5c..%5csecret.js":                    "",
		"/npm/@clerk/clerk-js@6/%2fetc%2fpasswd.js":                     "",
		"/npm/@clerk/clerk-js@6/dist/clerk.browser.js%00.js":            "",
		"/npm/@clerk/..%2fother/index.js":                               "",
		"/npm/@clerk/%2e%2e/secret.js":                                  "",
		"/npm/@clerk/everything@1/secret.js":                            "", // not a package of Clerk, by its name
		"/npm/@clerk/fake@1/index.js":                                   "",
		"/npm/@clerk/ui@1/.env":                                         "",
		"/npm/other/index.js":                                           "",
		"/npm/@evil/clerk-js@6/dist/clerk.browser.js":                   "",
		"/npm/@clerk/secret.js":                                         "",
		"/npm/@clerk/clerk-js@6@7/dist/clerk.browser.js":                "",
		"/npm/@clerk/Clerk-JS@6/dist/clerk.browser.js":                  "",
		"/npm/@clerk/clerk-js@6/" + strings.Repeat("a/", 9000) + "x.js": "",
	} {
		response, body := get(t, server, path)
		if want == "" && (response.StatusCode < 300 || strings.Contains(body, "hidden")) || want != "" && body != want {
			t.Errorf("%.100s: %d %s", path, response.StatusCode, body)
		}
		if h := response.Header; want != "" && (h.Get("Content-Type") != "text/javascript; charset=utf-8" || h.Get("Access-Control-Allow-Origin") != "*" ||
			h.Get("Cache-Control") != "no-cache" || h.Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s: header %v", path, h)
		}
	}

	path := "/npm/@clerk/clerk-js@6/dist/clerk.browser.js"
	first, _ := get(t, server, path)
	if again, _ := get(t, server, path, "If-None-Match", first.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same file again: %d", again.StatusCode)
	}
	write(t, filepath.Join(project, "app/node_modules/@clerk/clerk-js/package.json"), `{"name":"@clerk/clerk-js","version":"6.41.0"}`)
	write(t, filepath.Join(project, "app/node_modules/@clerk/clerk-js/dist/clerk.browser.js"), "newer")
	if again, body := get(t, server, path, "If-None-Match", first.Header.Get("ETag")); again.StatusCode != http.StatusOK || body != "newer" {
		t.Errorf("once a newer version is installed nearer to the app: %d %s", again.StatusCode, body)
	}
}

// A package that is not installed comes from nowhere, unless a CDN is allowed.
func TestPackagesThatAreMissing(t *testing.T) {
	t.Parallel()
	path := "/npm/@clerk/clerk-js@6/dist/clerk.browser.js"
	for _, o := range []emulator.Options{{}, {NodeModules: t.TempDir()}, {NodeModules: filepath.Join(t.TempDir(), "node_modules")}} {
		server := httptest.NewServer(newClerk(t, o).Emulator)
		defer server.Close()
		for accept, kind := range map[string]string{"text/html,*/*": "text/html; charset=utf-8", "*/*": "text/plain; charset=utf-8"} {
			response, body := get(t, server, path, "Accept", accept)
			if response.StatusCode != http.StatusNotFound || response.Header.Get("Content-Type") != kind ||
				!strings.Contains(body, "npm install --save-dev @clerk/clerk-js") || response.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%+v: %d %v\n%s", o, response.StatusCode, response.Header, body)
			}
		}
	}
	server := httptest.NewServer(newClerk(t, emulator.Options{AllowCDN: true, NodeModules: modules(t)}).Emulator)
	defer server.Close()
	if response, _ := get(t, server, "/npm/@clerk/elements@1/dist/x.js"); response.Header.Get("Location") != "https://cdn.jsdelivr.net/npm/@clerk/elements@1/dist/x.js" {
		t.Errorf("to the CDN: %d %v", response.StatusCode, response.Header)
	}
	if _, body := get(t, server, path); body != "clerk" {
		t.Error("what is installed came from the CDN")
	}
	if response, _ := get(t, server, "/npm/@evil/x@1/x.js"); response.StatusCode != http.StatusNotFound {
		t.Error("another package came from the CDN")
	}
}

// Whatever path is asked for, nothing comes that is not of a package of Clerk.
func FuzzPackagePath(f *testing.F) {
	for _, path := range []string{
		"@clerk/clerk-js@6/dist/clerk.browser.js", "@clerk/../secret.js", "@clerk/clerk-js@6/../../../secret.js", "@clerk/ui@1/dist/\x00.js",
		"@clerk/clerk-js@6/dist/escape.js", "@clerk/..@1/x.js", "@clerk/.@1/secret.js", "other/index.js", "@clerk/clerk-js@/dist//x.js", "\\..\\x.js",
	} {
		f.Add(path)
	}
	served, err := emulator.New(emulator.Options{Seed: 1, NodeModules: modules(f)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(served.Close)
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL.Path = "/npm/" + path
		w := httptest.NewRecorder()
		served.ServeHTTP(w, r)
		if w.Code == http.StatusOK && w.Body.String() != "clerk" && w.Body.String() != "ui" && !strings.Contains(w.Body.String(), `"name":"@clerk/`) {
			t.Errorf("%q: %s", path, w.Body)
		}
	})
}
