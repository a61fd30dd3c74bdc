package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// visit is one request, by whom it is made, and how the visitor wants pages to look.
type visit struct {
	*handler

	w     http.ResponseWriter
	r     *http.Request
	route route
	who   *visitor // nil: no one is signed in
	prefs pages.Preferences
	nonce string // of the form token
	bound string // what form tokens are bound to beside the nonce: the session, if there is one
}

// visitor is an operator, or a user whom Options.Rule lets in.
type visitor struct {
	Name     string // for people
	Actor    string // for the audit
	ReadOnly bool
	Operator mirror.Operator
	User     *mirror.User // nil for operators
	Expires  time.Time    // when the browser is signed out
	session  string       // what form tokens are bound to
}

// page returns the handler of a route.
func (h *handler) page(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{handler: h, w: w, r: r, route: route, prefs: pages.PreferencesOf(r)}
		v.nonce = v.formNonce()
		if err := v.run(); err != nil {
			v.fail(err)
		}
	})
}

// run serves the request if the visitor may make it.
func (v *visit) run() error {
	who, err := v.visitor()
	switch {
	case err == nil:
		v.who, v.bound = who, who.session
	case !v.route.open:
		return err
	}
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		if err := v.checkForm(); err != nil {
			return err
		}
		if !v.route.reads && v.who != nil {
			if err := v.who.mayWrite(v.route); err != nil {
				return err
			}
		}
	}
	return v.route.serve(v)
}

// mayWrite returns why a visitor may not change what a route changes.
func (who *visitor) mayWrite(to route) error {
	switch {
	case who.ReadOnly && who.User != nil:
		return &fault{
			Status: http.StatusForbidden, Title: "Someone else is signed in as this user",
			Text: "Nothing was changed. The audit names who changes something, so it must be the user: sign in as yourself.",
		}
	case who.ReadOnly:
		return &fault{
			Status: http.StatusForbidden, Title: "Your token is read-only",
			Text: "You can look at everything here and change nothing. Ask for a token that may change things.",
		}
	case to.operators && who.User != nil:
		return &fault{
			Status: http.StatusForbidden, Title: "Only operators can do this",
			Text: "Nothing was changed. Sign in with the token of an operator: a user who loses the role must not leave a token behind.",
		}
	}
	return nil
}

// to returns the path of a page: the base and the parts, each escaped.
func (h *handler) to(parts ...string) string {
	var b strings.Builder
	b.WriteString(h.base)
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	if len(parts) == 0 {
		b.WriteString("/")
	}
	return b.String()
}

// id returns the id in the path.
func (v *visit) id() string { return v.r.PathValue("id") }

// query returns a parameter of the query, without spaces around it.
func (v *visit) query(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }

// after returns the cursor of the page.
func (v *visit) after() mirror.Cursor { return mirror.Cursor(v.r.URL.Query().Get("after")) }

// form returns a field of a posted form, without spaces around it.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// forms returns all values of a field of a posted form.
func (v *visit) forms(name string) []string { return v.posted()[name] }

// posted returns the fields of a posted form.
func (v *visit) posted() url.Values {
	_ = v.r.PostFormValue(formField) // it reads the form
	return v.r.PostForm              //nolint:forbidigo // a field of the request, not the function of a client
}

// redirect sends the browser to a page of the console. The path is one that [handler.to] returned.
func (v *visit) redirect(path string) error {
	v.w.Header().Set("Cache-Control", "no-store")
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// address returns the address of the client.
func (v *visit) address() string {
	if ip := v.proxies.ClientIP(v.r); ip.IsValid() {
		return ip.String()
	}
	return ""
}

// by says who makes a change, for the audit.
func (v *visit) by() mirror.By {
	by := mirror.By{Address: v.address(), Origin: v.r.Pattern, RequestID: web.RequestID(v.r.Context())}
	if v.who != nil {
		by.Actor = v.who.Actor
	}
	return by
}

// link returns the current page with other parameters: pairs of a name and a value. An empty value
// removes the parameter. The page begins again at its first row.
func (v *visit) link(pairs ...string) string {
	q := v.r.URL.Query()
	q.Del("after")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return v.path()
	}
	return v.path() + "?" + q.Encode()
}

// path returns the path of the current page, as the browser sent it: decoded, it may be of another
// page, or of another host if it begins with "//".
func (v *visit) path() string { return v.r.URL.EscapedPath() }

// visitor returns who makes the request.
func (v *visit) visitor() (*visitor, error) {
	if c, err := v.r.Cookie(v.cookie("session")); err == nil {
		s, err := v.mirror.Operators().Console().BySecret(v.r.Context(), c.Value, v.options.OperatorToken)
		if err == nil {
			who := &visitor{Name: s.Operator.Name, Actor: s.Operator.Name, ReadOnly: s.Operator.ReadOnly, Operator: s.Operator, Expires: s.ExpiresAt, session: c.Value}
			if who.Name == "" {
				who.Name, who.Actor = "operator", "operator"
			}
			return who, nil
		}
		if v.options.Rule == nil || !isSignedOut(err) {
			return nil, err
		}
	}
	if v.options.Rule == nil {
		return nil, errSignedOut
	}
	caller, err := v.mirror.Authorize(v.r, v.options.Rule)
	if err != nil {
		return nil, err
	}
	return userVisitor(caller), nil
}

func userVisitor(c *clerksync.Caller) *visitor {
	user := c.User
	who := &visitor{Name: user.Email, Actor: user.ClerkUserID, User: &user, session: user.ClerkUserID + "\n" + c.Claims.SessionID}
	who.ReadOnly = c.Claims.Actor != nil // impersonated: the audit would name the wrong person
	if who.Name == "" {
		who.Name = user.ClerkUserID
	}
	return who
}
