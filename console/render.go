package console

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

//go:embed templates/*.html
var templateFiles embed.FS

// page is a parsed template of a page, with the frame around it.
type page struct{ tree *template.Template }

// loadTemplates parses the frame and the components, and each page with them. A page is a file that
// defines "content".
func (h *handler) loadTemplates() map[string]*page {
	shared := template.Must(template.New("").Funcs(functions()).ParseFS(pages.Templates, "templates/*.html"))
	shared = template.Must(shared.ParseFS(templateFiles, "templates/_*.html"))
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // it is embedded
	}
	all := map[string]*page{}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "_") {
			continue
		}
		tree := template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+f.Name()))
		all[strings.TrimSuffix(f.Name(), path.Ext(f.Name()))] = &page{tree}
	}
	return all
}

// view is what a template gets. Page is the struct of the page.
type view struct {
	*visit

	Title string
	Page  any
	Flash *flash
}

// render sends a page.
func (v *visit) render(name, title string, page any) error {
	return v.renderStatus(http.StatusOK, name, title, page)
}

func (v *visit) renderStatus(status int, name, title string, page any) error {
	data := &view{visit: v, Title: title, Page: page, Flash: v.takeFlash()}
	layout := "frame"
	if v.who == nil {
		layout = "bare"
	}
	var out bytes.Buffer
	if err := v.templates[name].tree.ExecuteTemplate(&out, layout, data); err != nil {
		return &fault{Status: http.StatusInternalServerError, Title: "This page cannot be shown", Text: "The log of the server has the cause.", Err: err}
	}
	header := v.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(out.Len()))
	v.w.WriteHeader(status)
	_, _ = v.w.Write(out.Bytes()) // it fails only when the browser is gone
	return nil
}

// To returns the path of a page.
func (v *view) To(parts ...string) string { return v.to(parts...) }

// Link returns the current page with other parameters.
func (v *view) Link(pairs ...string) string { return v.link(pairs...) }

// Who returns the visitor.
func (v *view) Who() *visitor { return v.who }

// CanWrite reports whether the visitor may change something.
func (v *view) CanWrite() bool { return v.who != nil && !v.who.ReadOnly }

// CanManage reports whether the visitor may add and revoke operators.
func (v *view) CanManage() bool { return v.CanWrite() && v.who.User == nil }

// FormToken returns the hidden field that every form needs.
func (v *view) FormToken() template.HTML {
	return template.HTML(`<input type="hidden" name="` + formField + `" value="` + v.formToken() + `">`) //nolint:gosec // base64
}

// Here returns the path and the query of the current page, to come back to.
func (v *view) Here() string { return v.r.URL.RequestURI() }

// Query returns a parameter of the query.
func (v *view) Query(name string) string { return v.query(name) }

// Sections returns the navigation.
func (v *view) Sections() []navGroup { return v.sections }

// Has reports whether the console has the pages of a section.
func (v *view) Has(section string) bool {
	return slices.ContainsFunc(v.sections, func(g navGroup) bool {
		return slices.ContainsFunc(g.Entries, func(e navEntry) bool { return e.Section == section })
	})
}

// Kinds returns the colours of states.
func (v *view) Kinds() map[string]string { return stateKinds }

// Lit reports whether a section is the current one.
func (v *view) Lit(section string) bool { return v.route.section == section }

// Name returns what this mirror is called: the configured name, else the domain or the id of the
// instance. Development instances have a domain of Clerk, whose first word names them.
func (v *view) Name() string {
	instance := v.mirror.Instance()
	domain, _ := strings.CutSuffix(instance.Domain, ".clerk.accounts.dev")
	domain, _ = strings.CutSuffix(domain, ".accounts.dev")
	return cmp.Or(v.options.Name, strings.TrimPrefix(domain, "clerk."), instance.ID, "no instance yet")
}

// Instance returns the Clerk instance.
func (v *view) Instance() mirror.Instance { return v.mirror.Instance() }

// Theme returns the chosen theme: light, dark, or empty for that of the browser.
func (v *view) Theme() string { return v.prefs.Theme }

// Zone returns the name of the time zone in which times are shown.
func (v *view) Zone() string { return v.prefs.ZoneName() }

// ZoneChoice returns the chosen zone: "auto" for the browser's.
func (v *view) ZoneChoice() string { return v.prefs.ZoneChoice() }

// Asset returns the address of an asset, which changes with its content.
func (v *view) Asset(name string) string {
	return v.assets.Address(v.base+"/assets", name)
}

// HealthState returns how the mirror is, for the dot in the frame: ok, warning or error, and how
// many warnings there are.
func (v *view) HealthState() healthState {
	health := v.mirror.Health(v.r.Context())
	s := healthState{Level: "ok", Text: "All well"}
	for _, w := range health.Warnings {
		switch {
		case w.Severity == mirror.SeverityInfo:
			continue
		case w.Severity == mirror.SeverityError || s.Level == "error":
			s.Level = "error"
		default:
			s.Level = "warning"
		}
		s.Count++
	}
	if s.Count > 0 {
		s.Text = pages.Plural(int64(s.Count), "warning", "warnings")
	}
	if !health.Database.OK {
		s.Level, s.Text = "error", "No database"
	}
	return s
}

type healthState struct {
	Level, Text string
	Count       int
}
