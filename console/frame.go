package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

// frameRoutes are the routes that every page needs.
func (h *handler) frameRoutes() []route {
	return []route{
		{pattern: "GET /sign-in", serve: signInPage, open: true},
		{pattern: "POST /sign-in", serve: signIn, open: true, reads: true},
		{pattern: "POST /sign-out", serve: signOut, open: true, reads: true},
		{pattern: "POST /preferences", serve: savePreferences, open: true, reads: true},
		{pattern: "GET /search", serve: search},
		{pattern: "GET /help", serve: func(v *visit) error { return v.render("help", "Help", v.sections) }},
	}
}

// signInData is the sign-in page.
type signInData struct {
	Back    string
	Link    string // a link to sign in with, instead of a token
	Problem string
	Users   bool // users of the application can get in with their session
	Denied  string
}

// askToSignIn sends a visitor who is not signed in to the sign-in page. What was asked for
// comes after it.
func (v *visit) askToSignIn() {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		_ = v.redirect(v.to("sign-in"))
		return
	}
	back := ""
	if path := v.r.URL.RequestURI(); path != v.to() {
		back = queryOf("back", path)
	}
	_ = v.redirect(v.to("sign-in") + back)
}

func signInPage(v *visit) error {
	back := v.local(v.query("back"))
	if v.who != nil && v.query("link") == "" {
		return v.redirect(back)
	}
	v.who = nil // the page has no frame
	return v.render("sign-in", "Sign in", signInData{Back: back, Link: v.query("link"), Users: v.options.Rule != nil})
}

func signIn(v *visit) error {
	data := signInData{Back: v.local(v.form("back")), Link: v.form("link"), Users: v.options.Rule != nil}
	v.who = nil
	sessions := v.mirror.Operators().Console()
	var secret string
	var err error
	if data.Link != "" {
		_, secret, err = sessions.UseLink(v.r.Context(), data.Link, v.options.OperatorToken, v.by())
	} else {
		token := strings.TrimSpace(strings.TrimPrefix(v.form("token"), "Bearer "))
		if token == "" {
			data.Problem = "Enter the token of an operator."
			return v.renderStatus(http.StatusUnprocessableEntity, "sign-in", "Sign in", data)
		}
		_, secret, err = sessions.SignIn(v.r.Context(), token, v.options.OperatorToken, v.by())
	}
	if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok && denied.Status != http.StatusServiceUnavailable {
		data.Problem, data.Link = denied.Detail, ""
		if denied.Code != clerksync.CodeConsoleSignedOut && denied.Code != clerksync.CodeOperatorTokenExpired {
			data.Problem = "No operator has this token. It may have been revoked, or replaced by another one."
		}
		return v.renderStatus(http.StatusUnauthorized, "sign-in", "Sign in", data)
	}
	if err != nil {
		return err
	}
	if old, err := v.r.Cookie(v.cookie("session")); err == nil { // the browser forgets it: no one else may have kept it
		if err := sessions.SignOut(v.r.Context(), old.Value); err != nil {
			return err
		}
	}
	v.setCookie("session", secret, 0)
	return v.redirect(data.Back)
}

func signOut(v *visit) error {
	if c, err := v.r.Cookie(v.cookie("session")); err == nil {
		if err := v.mirror.Operators().Console().SignOut(v.r.Context(), c.Value); err != nil {
			return err
		}
	}
	v.setCookie("session", "", -1)
	v.setFlash(flash{Kind: "ok", Text: "You are signed out."})
	return v.redirect(v.to("sign-in"))
}

// searchData is the result of a search that is no id.
type searchData struct {
	Query         string
	Users         []mirror.User
	Organizations []mirror.Organization
	MoreUsers     bool
	MoreOrgs      bool
}

// searchLimit is how many results of each kind a search shows.
const searchLimit = 8

// search goes straight to what has an id or an address, and lists what begins with any other text.
func search(v *visit) error {
	q := v.query("q")
	if q == "" {
		return v.redirect(v.to("users"))
	}
	ctx := v.r.Context()
	if path := v.pathOf(q); path != "" {
		return v.redirect(path)
	}
	if strings.Contains(q, "@") {
		if user, err := v.mirror.Users().ByEmail(ctx, q); err == nil {
			return v.redirect(v.to("users", user.ClerkUserID))
		}
	}
	users, err := v.mirror.Users().List(ctx, mirror.UserFilter{Search: q, Limit: searchLimit})
	if err != nil {
		return err
	}
	organizations, err := v.mirror.Organizations().List(ctx, mirror.OrganizationFilter{Search: q, Limit: searchLimit})
	if err != nil {
		return err
	}
	if len(users.Items) == 1 && users.Next == "" && len(organizations.Items) == 0 {
		return v.redirect(v.to("users", users.Items[0].ClerkUserID))
	}
	if len(organizations.Items) == 1 && organizations.Next == "" && len(users.Items) == 0 {
		return v.redirect(v.to("organizations", organizations.Items[0].ClerkOrganizationID))
	}
	return v.render("search", "Search", searchData{q, users.Items, organizations.Items, users.Next != "", organizations.Next != ""})
}

// pathOf returns the page of an id, empty if the text is none. The prefix of the id decides.
func (h *handler) pathOf(id string) string {
	if strings.ContainsAny(id, " @/") {
		return ""
	}
	if strings.HasPrefix(id, "mch_") {
		return h.keysOf(id)
	}
	for _, prefix := range []string{"ak_", "mt_", "oat_"} {
		if strings.HasPrefix(id, prefix) {
			return h.to("keys") + queryOf("q", id)
		}
	}
	for prefix, section := range map[string]string{
		"user_": "users", "org_": "organizations", "sess_": "sessions", "msg_": "deliveries", "job_": "jobs",
	} {
		if rest, ok := strings.CutPrefix(id, prefix); ok && rest != "" {
			return h.to(section, id)
		}
	}
	return ""
}
