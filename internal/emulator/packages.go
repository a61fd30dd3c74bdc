package emulator

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Clerk's SDKs load scripts of Clerk from the Frontend API, below /npm/@clerk/. The emulator has
// none of its own: it serves those that the app has installed.

// packageName is the name of a package of Clerk without its scope, with a version or without one.
var packageName = regexp.MustCompile(`^([a-z0-9][a-z0-9._-]*)(?:@([0-9A-Za-z.+^~*-]{1,64}))?$`)

// packageTypes are the types of the files that are served, by the end of their names.
func packageTypes() map[string]string {
	return map[string]string{
		".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
		".json": "application/json", ".map": "application/json", ".wasm": "application/wasm", ".svg": "image/svg+xml",
		".png": "image/png", ".woff2": "font/woff2",
	}
}

// servePackage serves GET /npm/@clerk/{name}@{version}/{file}. Whatever version is asked for, it
// serves the one that is installed. A package that is not installed comes from a CDN only if the
// options allow that.
func (e *Emulator) servePackage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*") // pages load the scripts with crossorigin; they are public
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	named, file, _ := strings.Cut(r.PathValue("file"), "/")
	name := packageName.FindStringSubmatch(named)
	kind, known := packageTypes()[path.Ext(file)]
	if r.PathValue("scope") != "@clerk" || name == nil || !known || !fs.ValidPath(file) {
		h.Del("Access-Control-Allow-Origin")
		e.answer(w, nil, fail(http.StatusNotFound, "resource_not_found", "not found",
			"Below /npm there are scripts and styles of the packages @clerk/… only, not "+r.URL.Path+"."))
		return
	}
	p := e.installed(name[1])
	switch {
	case p != nil:
		defer p.root.Close() //nolint:errcheck // it was only read
		p.serve(w, r, file, kind)
	case e.options.AllowCDN:
		cdn := url.URL{Scheme: "https", Host: "cdn.jsdelivr.net", Path: "/npm/@clerk/" + named + "/" + file}
		w.Header().Set("Location", cdn.String())
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		missingPackage(w, r, "@clerk/"+name[1])
	}
}

// installedPackage is a package in a folder node_modules.
type installedPackage struct {
	root    *os.Root // nothing outside of it can be opened, whatever a path or a symbolic link says
	version string
}

// installed returns an installed package of Clerk, or nil. The package's own folder may be a
// symbolic link, as those of pnpm and of workspaces are.
func (e *Emulator) installed(name string) *installedPackage {
	for _, folder := range modulesFolders(e.options.NodeModules) {
		root, err := os.OpenRoot(filepath.Join(folder, "@clerk", name))
		if err != nil {
			continue
		}
		var about struct{ Name, Version string }
		text, err := root.ReadFile("package.json")
		if err == nil && json.Unmarshal(text, &about) == nil && about.Name == "@clerk/"+name {
			return &installedPackage{root, about.Version}
		}
		_ = root.Close()
	}
	return nil
}

// PackageVersion returns the version of an installed package of Clerk, such as clerk-js, and an
// empty text if it is not installed.
func (e *Emulator) PackageVersion(name string) string {
	p := e.installed(name)
	if p == nil {
		return ""
	}
	_ = p.root.Close()
	return p.version
}

// modulesFolders returns the folders in which Node looks for packages: the given one if it is
// called node_modules, else those of a project and of all folders above it. They are looked for
// with each request, because people install packages meanwhile.
func modulesFolders(from string) []string {
	if from == "" {
		return nil
	}
	if filepath.Base(from) == "node_modules" {
		return []string{from}
	}
	var all []string
	for {
		all = append(all, filepath.Join(from, "node_modules"))
		above := filepath.Dir(from)
		if above == from {
			return all
		}
		from = above
	}
}

// serve serves a file of a package. Browsers ask again each time, because another version may be
// installed meanwhile; the answer is then 304 mostly.
func (p *installedPackage) serve(w http.ResponseWriter, r *http.Request, file, kind string) {
	opened, err := p.root.Open(file)
	var about os.FileInfo
	if err == nil {
		defer opened.Close() //nolint:errcheck // it was only read
		about, err = opened.Stat()
	}
	if err != nil || !about.Mode().IsRegular() {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, fmt.Sprintf("Version %s, which is installed, has no file %s.", p.version, file), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", fmt.Sprintf(`"%s-%x-%x"`, p.version, about.Size(), about.ModTime().UnixNano()))
	http.ServeContent(w, r, "", about.ModTime(), opened)
}

var missingPackagePage = template.Must(template.New("missing").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.}} is not installed</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 10vh auto; padding: 0 1rem; }
pre { padding: .75rem 1rem; border: 1px solid; border-radius: 6px; overflow-x: auto; }
</style>
<h1>{{.}} is not installed</h1>
<p>Clerk's SDKs load this package from Clerk when a page opens. The emulator works offline: it serves the package that your app
has installed. Run this in the folder of the app:</p>
<pre>npm install --save-dev {{.}}</pre>
<p>Then load the page again. If the emulator was started in another folder, give it that of the app with
<code>--node-modules</code>; to load the package from a CDN instead, use <code>--allow-cdn</code>.</p>
`))

// missingPackage says how to install a package.
func missingPackage(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Cache-Control", "no-store")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, name+" is not installed where the emulator looks for it. Run npm install --save-dev "+name+
			" in the folder of the app, and start the emulator there or with --node-modules.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(http.StatusNotFound)
	_ = missingPackagePage.Execute(w, name)
}
