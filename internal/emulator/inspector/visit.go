package inspector

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

//go:embed templates/*.html
var templateFiles embed.FS

// loadTemplates returns the parsed pages, each with the frame around it. A page is a file that
// defines "content".
func loadTemplates() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions()).ParseFS(pages.Templates, "templates/*.html"))
	shared = template.Must(shared.ParseFS(templateFiles, "templates/_*.html"))
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // it is embedded
	}
	all := map[string]*template.Template{}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".html"); ok && !strings.HasPrefix(name, "_") {
			all[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+f.Name()))
		}
	}
	return all
}

// visit is one request, and how the visitor wants pages to look.
type visit struct {
	*handler

	w       http.ResponseWriter
	r       *http.Request
	section string
	prefs   pages.Preferences
	now     time.Time // by the instance's clock
}

// page returns the handler of a route.
func (h *handler) page(to route) http.Handler {
	return h.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{handler: h, w: w, r: r, section: to.section, prefs: pages.PreferencesOf(r), now: h.clerk.Now()}
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				v.fail(&problem{http.StatusBadRequest, "This form cannot be read", "Nothing was changed. It is too long, or no form."})
				return
			}
		}
		if err := to.serve(v); err != nil {
			v.fail(err)
		}
	}))
}

// problem is an error that a page shows: what happened, and what to do.
type problem struct {
	Status int
	Title  string
	Text   string
}

// Error returns the title.
func (p *problem) Error() string { return p.Title }

// fail sends the page of an error.
func (v *visit) fail(err error) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{http.StatusInternalServerError, "This did not work", explain(err)}
		if refusal, ok := errors.AsType[*emulator.APIError](err); ok {
			p.Status = refusal.Status
		}
		if p.Status == http.StatusNotFound {
			p.Title, p.Text = "Not found", p.Text+". It may have been deleted, or the emulator was started anew."
		}
	}
	if err := v.renderStatus(p.Status, "error", p.Title, p); err != nil {
		http.Error(v.w, p.Title, p.Status)
	}
}

// explain returns an error in words, as Clerk has it.
func explain(err error) string {
	if refusal, ok := errors.AsType[*emulator.APIError](err); ok && len(refusal.Errors) > 0 {
		return cmp.Or(refusal.Errors[0].LongMessage, refusal.Errors[0].Message)
	}
	return err.Error()
}

// call makes a request of an API of the emulator.
func (v *visit) call(method, path string, in, out any) error {
	return v.clerk.Call(v.r.Context(), method, path, in, out)
}

// get reads an object or a list. The query is pairs of a name and a value.
func (v *visit) get(out any, path string, query ...string) error {
	return v.call(http.MethodGet, path+queryOf(query...), nil, out)
}

// queryOf returns the query of a path: pairs of a name and a value, without empty values.
func queryOf(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Add(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// to returns the path of a page: its parts, each escaped.
func to(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return cmp.Or(b.String(), "/")
}

// id returns the id in the path.
func (v *visit) id() string { return v.r.PathValue("id") }

// query returns a parameter of the query, without spaces around it.
func (v *visit) query(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }

// form returns a field of a posted form, without spaces around it.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// redirect sends the browser to a page.
func (v *visit) redirect(path string) error {
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// done sends the browser back to the page with the form, or to another one, with a text that says
// what was done.
func (v *visit) done(text, otherwise string) error {
	return v.report(pages.Flash{Kind: "ok", Text: text}, otherwise)
}

// refused sends the browser back with the reason why nothing was done.
func (v *visit) refused(err error, otherwise string) error {
	return v.report(pages.Flash{Kind: "bad", Text: explain(err)}, otherwise)
}

func (v *visit) report(f pages.Flash, otherwise string) error {
	v.setCookie("flash", f.Encode(), pages.FlashLife)
	back := otherwise
	if from := v.form("back"); from != "" {
		back = pages.Local("", from)
	}
	return v.redirect(back)
}

// setCookie sends a cookie of this server alone. maxAge is in seconds; -1 deletes it.
func (v *visit) setCookie(name, value string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // secure where the browser uses TLS
		Name: pages.CookieName(v.r, name), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: pages.OverTLS(v.r),
	})
}

func (v *visit) takeFlash() *pages.Flash {
	c, err := v.r.Cookie(pages.CookieName(v.r, "flash"))
	if err != nil {
		return nil
	}
	v.setCookie("flash", "", -1)
	return pages.DecodeFlash(c.Value, "")
}

func (v *visit) savePreferences() error {
	if wrong := pages.SavePreferences(v.w, v.r); wrong != "" {
		return v.report(pages.Flash{Kind: "bad", Text: wrong}, "/")
	}
	return v.redirect(pages.Local("", v.form("back")))
}

// render sends a page.
func (v *visit) render(name, title string, page any) error {
	return v.renderStatus(http.StatusOK, name, title, page)
}

func (v *visit) renderStatus(status int, name, title string, page any) error {
	return v.renderAs("frame", status, name, title, page)
}

// renderAs sends a page within a layout: "frame", or "bare" without navigation.
func (v *visit) renderAs(layout string, status int, name, title string, page any) error {
	data := &view{visit: v, Title: title, Page: page, Flash: v.takeFlash()}
	var out bytes.Buffer
	if err := templates()[name].ExecuteTemplate(&out, layout, data); err != nil {
		return &problem{http.StatusInternalServerError, "This page cannot be shown", err.Error()}
	}
	header := v.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(out.Len()))
	v.w.WriteHeader(status)
	_, _ = v.w.Write(out.Bytes()) // it fails only when the browser is gone
	return nil
}
