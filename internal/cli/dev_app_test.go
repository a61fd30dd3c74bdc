package cli

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
)

var screenshots = flag.String("screenshots", "", "a folder for pictures of the app of clerksync dev")

// A person signs in on the page of clerksync dev, an operator revokes the session in the console,
// the page is refused, and someone else signs in: with Clerk's own script, and where it is not
// installed.
func TestDevAppInChromium(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for name, modules := range map[string]string{"script": clerkModules(t), "none": filepath.Join(t.TempDir(), "node_modules")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := started(t, devCommand{
				AppListen: "127.0.0.1:0", Listen: "127.0.0.1:0", OperatorListen: "127.0.0.1:0", EmulateListen: "127.0.0.1:0", NodeModules: modules, Seed: 5,
			})
			app := strings.Fields(line(t, lines))[1]
			var clerk string
			for !strings.HasPrefix(clerk, "Clerk") {
				clerk = line(t, lines)
			}
			go func() { // the demo does not wait for who reads it
				for lines.Scan() {
					continue
				}
			}()
			p := browser.Tab(t, app)
			p.Expect("status of 401") // what the page is about
			p.Open("/")
			p.Wait("#sign-in .primary")
			if shown := p.Count(".notice.info"); shown != map[string]int{"script": 0, "none": 1}[name] {
				t.Errorf("the page says %d times that Clerk's script is missing", shown)
			}
			p.Accessible()
			picture(p, name+"-out")
			p.Click("#sign-in .primary")
			p.WaitForText(`"email": "ada@example.com"`)
			p.Wait("#operator") // the session has arrived, too
			p.Accessible()
			picture(p, name+"-in")
			revoke(browser.Tab(t, app), browsertest.Evaluate[string](p, "document.getElementById('operator').getAttribute('href')"))
			begin := time.Now()
			p.Wait("#refused")
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("the page was refused %s after its session was revoked", took)
			}
			p.WaitForText("the session has ended")
			p.Accessible()
			picture(p, name+"-refused")
			browsertest.Evaluate[bool](p, "window.old = true")
			p.Click("#sign-out")
			if name == "script" { // which loads the page again
				p.Until("the page is loaded again", "String(window.old)", func(old string) bool { return old == "undefined" })
			}
			p.Wait(".people button")
			other := p.Text(".people .person-sub")
			if name == "script" {
				p.Click(".people button")
			} else { // by a link, as Clerk makes them
				p.Open("/?__clerk_ticket=" + browsertest.Evaluate[string](p, `fetch("/ticket", {method: "POST", body: new URLSearchParams({user: `+
					`document.querySelector("[data-user]").dataset.user})}).then(r => r.json()).then(a => a.ticket)`))
			}
			p.WaitForText(`"email": "` + other + `"`)
			if name == "script" {
				askDirectly(t, browser, strings.Fields(clerk)[1], browsertest.Evaluate[string](p, "Clerk.publishableKey"))
			}
			q := browser.Tab(t, strings.Fields(clerk)[1]) // the page of the emulated Clerk opens the app signed in
			q.Open("/sign-in")
			q.Click(`button[name="user"]`)
			q.WaitForText(`"email": "`)
		})
	}
}

// askDirectly has a page ask the emulated Clerk itself, not by a path of the app, with the
// variables that --proxy-url direct prints.
func askDirectly(t *testing.T, browser *browsertest.Browser, clerk, key string) {
	t.Helper()
	variables := map[string]string{}
	for _, v := range (emulator.Keys{PublishableKey: key}).Environment(proxyURL(directly, clerk)) {
		variables[v.Name] = v.Value
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><script crossorigin src=%q data-clerk-publishable-key=%q data-clerk-proxy-url=%q></script>`,
			variables["CLERK_JS_URL"], variables["CLERK_PUBLISHABLE_KEY"], variables["CLERK_PROXY_URL"])
	}))
	defer server.Close()
	origin := proxyURL(directly, server.URL)
	p := browser.Tab(t, origin)
	p.Open("/")
	token := browsertest.Evaluate[string](p, `(async () => {
		await Clerk.load({telemetry: false});
		const attempt = await Clerk.client.signIn.create({strategy: "password", identifier: "`+demoEmail+`", password: "`+demoPassword+`"});
		await Clerk.setActive({session: attempt.createdSessionId});
		return await Clerk.session.getToken();
	})()`)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token+"..", ".")[1])
	if err != nil || !strings.Contains(string(payload), `"azp":"`+origin+`"`) {
		t.Errorf("the token of a page at %s has %s: %v", origin, payload, err)
	}
}

// revoke revokes the session of a person, as an operator does in the console.
func revoke(p *browsertest.Tab, link string) {
	p.Helper()
	p.Open(link)
	p.Click(`.page-head a[data-dialog][href*="revoke"]`)
	p.Click("dialog .danger, dialog .primary")
	p.WaitForText("revoked")
}

// picture takes pictures of a page in both themes, on a phone and on a wide screen.
func picture(p *browsertest.Tab, name string) {
	if *screenshots == "" {
		return
	}
	if err := os.MkdirAll(*screenshots, 0o700); err != nil {
		p.Fatal(err)
	}
	for _, theme := range []string{"light", "dark"} {
		p.PreferTheme(theme)
		for _, width := range []int{390, 820, 1440} {
			p.Size(width, 900)
			p.Screenshot(filepath.Join(*screenshots, fmt.Sprintf("%s.%s.%d.png", name, theme, width)))
		}
	}
}

// clerkModules returns the folder in which npm has installed Clerk's script for the tests.
func clerkModules(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(testenv.Root(t), "internal/emulator/judges/testdata/apps/node_modules")
	if _, err := os.Stat(filepath.Join(folder, "@clerk/clerk-js/dist/clerk.browser.js")); err != nil {
		t.Fatalf("%v; make setup installs it", err)
	}
	return folder
}
