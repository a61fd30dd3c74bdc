package inspector

import (
	"cmp"
	"net/http"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// The pages /sign-in and /sign-up are for applications that have none of their own, as Clerk's
// account portal is. They ask for no password: a visitor chooses who signs in.

// portalData is what the pages show. Back is where the application wants the browser afterwards.
type portalData struct {
	Back    string
	Rows    []emulator.User
	Query   string
	More    bool
	Problem string
	Form    personForm
}

// maxChoices is how many people the page offers without a search.
const maxChoices = 10

func (v *visit) chooseWho() error {
	return v.portal(http.StatusOK, portalData{Back: v.query("redirect_url")})
}

// portal sends the page on which a visitor chooses who signs in.
func (v *visit) portal(status int, d portalData) error {
	d.Query = v.query("q")
	if err := v.get(&d.Rows, "/v1/users", "query", d.Query, "banned", "false", "limit", number(maxChoices+1)); err != nil {
		return err
	}
	if d.More = len(d.Rows) > maxChoices; d.More {
		d.Rows = d.Rows[:maxChoices]
	}
	return v.renderAs("bare", status, "choose", "Sign in", d)
}

func (v *visit) signInChosen() error {
	back := v.form("redirect_url")
	link, err := v.door(v.form("user"), "", cmp.Or(back, v.app()))
	if err != nil {
		return v.portal(http.StatusUnprocessableEntity, portalData{Back: back, Problem: explain(err)})
	}
	return v.redirect(link)
}

func (v *visit) newSignUp() error {
	return v.renderAs("bare", http.StatusOK, "sign-up", "Sign up", portalData{Back: v.query("redirect_url")})
}

// signUp creates a person, who is signed in.
func (v *visit) signUp() error {
	d := portalData{Back: v.form("redirect_url"), Form: v.personForm()}
	app := cmp.Or(d.Back, v.app())
	_, err := v.appURL(app) // before the person is created
	var user emulator.User
	if err == nil {
		user, err = v.create(d.Form)
	}
	var link string
	if err == nil {
		link, err = v.door(user.ID, "", app)
	}
	if err != nil {
		d.Problem = explain(err)
		return v.renderAs("bare", http.StatusUnprocessableEntity, "sign-up", "Sign up", d)
	}
	return v.redirect(link)
}

// app returns the address of the application that was opened last.
func (v *visit) app() string {
	if c, err := v.r.Cookie(pages.CookieName(v.r, appCookie)); err == nil {
		return cmp.Or(unescape(c.Value), v.options.AppURL)
	}
	return v.options.AppURL
}
