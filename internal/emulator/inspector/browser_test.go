package inspector_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/internal/emulator"
)

var screenshots = flag.String("screenshots", "", "a folder for pictures of every page")

// TestInspectorInChromium does in a real browser what developers do. Its subtests share the
// browser. Each has an emulated Clerk for itself.
func TestInspectorInChromium(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for name, test := range map[string]func(w *world, p *browsertest.Tab){
		"pages with data":                  func(w *world, p *browsertest.Tab) { w.fill(); w.checkPages(p, true) },
		"empty pages":                      func(w *world, p *browsertest.Tab) { w.checkPages(p, false) },
		"sign in as":                       signInAs,
		"choose who signs in":              chooseWho,
		"lists fill by themselves":         liveLists,
		"without JavaScript":               withoutScript,
		"keys alone":                       keysAlone,
		"forms of other sites are refused": func(w *world, _ *browsertest.Tab) { otherSites(w, browser) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := browser.Tab(t, w.serve())
			p.Size(1280, 900)
			test(w, p)
		})
	}
	if *screenshots != "" {
		t.Run("screenshots", func(t *testing.T) {
			w := newWorld(t)
			address := w.serve()
			w.takeScreenshots(browser.Tab(t, address), "empty-")
			w.fill()
			w.takeScreenshots(browser.Tab(t, address), "")
		})
	}
}

// serve serves the pages until the test ends, and returns their address.
func (w *world) serve() string {
	w.Helper()
	server := httptest.NewServer(w.handler)
	w.Cleanup(server.Close)
	return server.URL
}

// application serves an application at localhost, which shows its cookies, and returns its address.
// It has a form that another site would have.
func (w *world) application(victim string) string {
	w.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><p>The application at %s</p><p>%s</p>
<form method="post" action="%s/clock"><button name="advance" value="1h">Win a prize</button></form>`,
			r.URL.Path, strings.ReplaceAll(r.Header.Get("Cookie"), ";", "<br>"), victim)
	}))
	w.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// look is how a page is looked at.
type look struct {
	theme string
	width int
	judge func(p *browsertest.Tab) // of its accessibility
}

// maxWeight is how many bytes a page may have, with all its assets and without compression.
const maxWeight = 100_000

// checkPages looks at every page: with data in both themes, wide and narrow.
func (w *world) checkPages(p *browsertest.Tab, full bool) {
	w.Helper()
	all := func(p *browsertest.Tab) { p.Accessible() }
	colours := func(p *browsertest.Tab) { p.Accessible("color-contrast", "link-in-text-block") } // the themes differ in these alone
	looks := []look{{"light", 1024, all}, {"dark", 1600, colours}, {"light", 390, func(*browsertest.Tab) {}}}
	if !full {
		looks = []look{{"dark", 390, all}}
	}
	p.Expect("status of 404")
	for _, page := range w.some(1) {
		p.Size(looks[0].width, 800)
		p.Open(page)
		p.Wait("html.script main")
		if load := browsertest.Evaluate[pageWeight](p, weight); load.Bytes > maxWeight || load.Bytes < 1000 || len(load.Elsewhere) > 0 {
			w.Errorf("%s has %d bytes, and loads %q", page, load.Bytes, load.Elsewhere)
		}
		for _, l := range looks {
			p.PreferTheme(l.theme)
			p.Size(l.width, 800)
			if cut := browsertest.Evaluate[[]string](p, cutOff); len(cut) > 0 {
				w.Errorf("%s cuts off at %d pixels: %q", page, l.width, cut)
			}
			if wide := browsertest.Evaluate[int](p, "document.documentElement.scrollWidth"); wide > l.width {
				w.Errorf("%s is %d pixels wide in a window of %d", page, wide, l.width)
			}
			l.judge(p)
		}
	}
}

type pageWeight struct {
	Bytes     int
	Elsewhere []string
}

// weight adds up what a page loads, and names what it loads from elsewhere.
const weight = `(() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter(e => e.initiatorType !== "fetch");
  return {bytes: all.reduce((n, e) => n + e.decodedBodySize, 0), elsewhere: all.map(e => e.name).filter(n => !n.startsWith(location.origin))};
})()`

// cutOff names the tables that show a part of their columns alone.
const cutOff = `[...document.querySelectorAll(".table-wrap")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.scrollWidth + " in " + e.clientWidth + ": " + e.innerText.slice(0, 300))`

// signInAs creates a person, opens the application as that person, and revokes the session.
func signInAs(w *world, p *browsertest.Tab) {
	app := w.application("")
	p.Open("/")
	p.Click("main a[href='/people/new']")
	p.Type("#first", "Ada")
	p.Type("#email", "ada@example.com")
	p.Type("#role", "admin")
	p.Click("main form .primary")
	p.WaitForText("Ada was created")
	person := p.Path()
	p.Click("main a[href$='/sign-in']")
	p.Wait("dialog[open]")
	p.Fill("dialog #app", "https://evil.example")
	p.Expect("status of 422")
	p.Click("dialog .primary")
	p.WaitForPath("/sign-in") // the dialog has the same words as the page with the error
	p.WaitForText("cookies of one host reach all of its ports")
	p.Fill("main form:not(dialog form) #app", app+"/dashboard")
	p.Click("main .primary")
	p.WaitForText("The application at /dashboard")
	p.WaitForText("__session=")
	p.WaitForText("__clerk_db_jwt=")

	p.Open("/sessions")
	p.WaitForText("active")
	p.Click("main td button")
	p.WaitForText("The session is revoked")
	p.WaitForText("revoked")
	p.Open(person)
	p.Click("form[action$='/ban'] button")
	p.WaitForText("Ada is banned")
	if p.Count("main a[href$='/sign-in']") > 0 {
		w.Error("a banned person can be signed in as")
	}
	p.Open("/people/new") // the application that was opened last is offered again
	p.Open(strings.Replace(person, "/people/", "/search?q=", 1))
	p.WaitForPath(person)
}

// chooseWho signs up and in by the pages for applications that have none of their own.
func chooseWho(w *world, p *browsertest.Tab) {
	app := w.application("")
	query := "?redirect_url=" + url.QueryEscape(app+"/welcome")
	p.Open("/sign-in" + query)
	p.WaitForText("No one is here yet")
	p.Click("a[href^='/sign-up']")
	p.Type("#first", "Grace")
	p.Type("#email", "grace@example.com")
	p.Click(".primary")
	p.WaitForText("The application at /welcome")
	p.WaitForText("__session=")
	p.Open("/sign-in" + query)
	p.Click("button.choice")
	p.WaitForText("The application at /welcome")
	if _, sessions := w.clerk.SessionPage("active", 0, 10); sessions != 2 {
		w.Errorf("there are %d sessions, want 2", sessions)
	}
}

// liveLists waits for what happens while pages are open.
func liveLists(w *world, p *browsertest.Tab) {
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok") }))
	w.Cleanup(receiver.Close)
	p.Open("/deliveries/endpoints")
	p.Type("#url", receiver.URL)
	p.Click("main .primary")
	p.WaitForText("Every event from now on")
	p.Open("/inbox")
	p.WaitForText("Nothing has arrived")
	w.signUp("email_address", "ada@example.com")
	p.Wait(".code-big")
	if code := p.Text(".code-big"); code != w.clerk.Inbox()[0].Code {
		w.Errorf("the page shows the code %s", code)
	}
	p.Open("/deliveries")
	p.WaitForText("email.created")
	p.Click("main .row-link")
	p.WaitForText(receiver.URL)
	p.Click("main .primary")
	p.WaitForText("sent again")
	p.Until("a second attempt", "String(document.querySelectorAll('#attempts tbody tr').length)", func(n string) bool { return n == "2" })
}

// withoutScript changes the faults and the clock in a browser without JavaScript.
func withoutScript(w *world, p *browsertest.Tab) {
	w.fill()
	p.DisableScript()
	p.Open("/faults")
	p.Click("button[value=unreliable]")
	p.WaitForText("Faults: Unreliable webhooks")
	p.Fill("[name='api.slow']", "50")
	p.Fill("[name='api.slow_for']", "2s")
	p.Click("form#each .primary")
	p.WaitForText("in force from now on")
	if f := w.clerk.Faults(); f.API.Slow != 0.5 || f.Duplicate != 0.1 {
		w.Errorf("the faults are %+v", f)
	}
	p.Open("/clock")
	p.Click("button[value='168h']")
	p.WaitForText("+7 d")
	p.Type("input[name=advance]", "36h\r")
	p.WaitForText("+8 d 12 h")
	p.Open("/sessions")
	p.WaitForText("expired")
	p.Open("/reset")
	p.Click("main .danger")
	p.WaitForText("as at the start")
	if w.clerk.Ahead() != 0 || w.clerk.Faults() != (emulator.Faults{}) {
		w.Error("a reset keeps faults or the clock")
	}
}

// keysAlone finds its way without a mouse, and always sees where the focus is.
func keysAlone(w *world, p *browsertest.Tab) {
	w.fill()
	p.Open("/")
	p.Wait("html.script main")
	p.Press("gp")
	p.WaitForPath("/people")
	p.Wait("html.script main")
	for range 12 {
		p.Press("\t")
		if hidden := browsertest.Evaluate[string](p, focusHidden); hidden != "" {
			w.Errorf("the focus is not seen: %s", hidden)
		}
	}
	p.Open("/people")
	p.Wait("html.script main")
	p.Press("/")
	p.Press("margaret\r")
	p.WaitForPath("/people?q=margaret")
	p.Wait("html.script main")
	p.Press("j\r")
	p.WaitForText("Margaret Hamilton")
	p.Press("\x1b")
	p.WaitForPath("/people")
}

// focusHidden describes the element that has the focus, if nothing shows it.
const focusHidden = `(() => {
  const e = document.activeElement, seen = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0;
  return e === document.body || seen(getComputedStyle(e)) || seen(getComputedStyle(e, "::after")) ? "" : e.outerHTML.slice(0, 200);
})()`

// otherSites sends a form of an application to the emulator.
func otherSites(w *world, b *browsertest.Browser) {
	address := w.serve()
	for _, victim := range []string{address, strings.Replace(address, "127.0.0.1", "localhost", 1)} {
		other := b.Tab(w.T, w.application(victim))
		other.Expect("status of 403")
		other.Expect("favicon.ico")
		other.Open("/")
		other.Click("button")
		other.WaitForText("Requests of other sites are refused")
	}
	if w.clerk.Ahead() != 0 {
		w.Error("the form moved the clock")
	}
}

// takeScreenshots takes pictures of every page.
func (w *world) takeScreenshots(p *browsertest.Tab, prefix string) {
	w.Helper()
	p.Expect("status of 404")
	for _, page := range w.pages() {
		p.Open(page)
		p.Wait("html.script main")
		for _, theme := range []string{"light", "dark"} {
			p.PreferTheme(theme)
			for _, width := range []int{390, 1024, 1600} {
				p.Size(width, 900)
				p.Screenshot(filepath.Join(*screenshots, fmt.Sprintf("%s%s.%s.%d.png", prefix, w.nameOf(page), theme, width)))
			}
		}
	}
}
