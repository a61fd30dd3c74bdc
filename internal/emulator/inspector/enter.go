package inspector

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// doors are links that set the cookies of a signed-in browser, once. Cookies belong to a host name
// and to all its ports, so the link must be opened by the host name of the application, which need
// not be the one by which the visitor opened these pages.
type doors struct {
	mu   sync.Mutex
	open map[string]door // by the secret in the link
}

type door struct {
	cookies []*http.Cookie
	app     *url.URL
	until   time.Time
}

const (
	doorLife = time.Minute
	maxDoors = 100
)

// add returns the secret of a new door.
func (d *doors) add(to door) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for secret, x := range d.open {
		if now.After(x.until) || len(d.open) >= maxDoors {
			delete(d.open, secret)
		}
	}
	if d.open == nil {
		d.open = map[string]door{}
	}
	secret := rand.Text()
	to.until = now.Add(doorLife)
	d.open[secret] = to
	return secret
}

// take returns a door that was not used yet, and closes it.
func (d *doors) take(secret string) (door, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.open[secret]
	delete(d.open, secret)
	return x, ok && time.Now().Before(x.until)
}

// signInData is the form that signs in as a person.
type signInData struct {
	User          emulator.User
	Organizations []emulator.Membership
	Chosen        string // organization
	App           string // the address of the application
	Problem       string
}

const appCookie = "app" // the address that was used last

func (v *visit) askToSignIn() error {
	d, err := v.signInData()
	if err != nil {
		return err
	}
	return v.render("sign-in", "Sign in as "+personName(d.User), d)
}

func (v *visit) signInData() (d signInData, err error) {
	d = signInData{App: v.app()}
	if err = v.get(&d.User, to("v1", "users", v.id())); err == nil {
		d.Organizations, _, err = v.memberships(100)
	}
	return d, err
}

// signInAs signs a person in, and opens the application in the visitor's browser.
func (v *visit) signInAs() error {
	d, err := v.signInData()
	if err != nil {
		return err
	}
	d.App, d.Chosen = v.form("app"), v.form("organization")
	link, err := v.door(d.User.ID, d.Chosen, d.App)
	if err != nil {
		d.Problem = explain(err)
		return v.renderStatus(http.StatusUnprocessableEntity, "sign-in", "Sign in as "+personName(d.User), d)
	}
	v.setCookie(appCookie, url.QueryEscape(d.App), 365*24*60*60)
	return v.redirect(link)
}

// door signs a person in, and returns the address of a link that opens the application so.
func (v *visit) door(user, organization, app string) (link string, err error) {
	target, err := v.appURL(app)
	if err != nil {
		return "", err
	}
	browser, err := v.clerk.SignInBrowser(user, organization, target.Scheme+"://"+target.Host)
	if err != nil {
		return "", err
	}
	secret := v.doors.add(door{cookies: browser.Cookies, app: target})
	here := url.URL{Scheme: "http", Host: target.Hostname(), Path: "/enter", RawQuery: url.Values{"with": {secret}}.Encode()}
	if pages.OverTLS(v.r) {
		here.Scheme = "https"
	}
	if _, port, err := net.SplitHostPort(v.r.Host); err == nil {
		here.Host = net.JoinHostPort(target.Hostname(), port)
	}
	return here.String(), nil
}

// unescape returns the text of a cookie.
func unescape(text string) string {
	text, _ = url.QueryUnescape(text) // of no text it returns an empty one
	return text
}

// appURL reads the address of an application: one of the visitor's machine, or of the machine by
// whose name the visitor reaches this server. Links to other hosts would send them cookies' worth.
func (v *visit) appURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, &problem{Title: "This is no address such as http://localhost:3000."}
	}
	host := strings.ToLower(u.Hostname())
	ip := net.ParseIP(host)
	switch {
	case ip != nil && ip.To4() == nil:
		return nil, &problem{Title: "Browsers allow no link to an address of this form. Use localhost."}
	case host == "localhost", strings.HasSuffix(host, ".localhost"), ip != nil && ip.IsLoopback(), host == hostname(v.r.Host):
		return u, nil
	}
	return nil, &problem{Title: "The application must run on this machine, at localhost or 127.0.0.1: cookies of one host reach all of its ports."}
}

// enter sets the cookies of a door, and sends the browser to the application.
func (v *visit) enter() error {
	d, ok := v.doors.take(v.query("with"))
	if !ok || hostname(v.r.Host) != strings.ToLower(d.app.Hostname()) {
		return &problem{http.StatusGone, "This link was used", "It signs a browser in once, within a minute. Sign in as the person again."}
	}
	for _, c := range d.cookies {
		http.SetCookie(v.w, c)
	}
	return v.redirect(d.app.String())
}
