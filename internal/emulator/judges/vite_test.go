package judges

import (
	"encoding/json"
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// signUp fills in the component <SignUp/>.
func (w *world) signUp(t *testing.T, p *browsertest.Tab, email string) {
	t.Helper()
	p.Fill("input[name=emailAddress]", email)
	p.Fill("input[name=password]", password)
	click(p, ".cl-formButtonPrimary")
	p.Wait("input[data-input-otp]")
	p.Press(w.code(t, email))
}

// signIn fills in the component <SignIn/>.
func signIn(p *browsertest.Tab, email string) {
	p.Helper()
	identify(p, email)
	p.Fill(".cl-signIn-password input[name=password]", password)
	click(p, ".cl-formButtonPrimary")
}

// identify fills in its first step, which hides a field for passwords.
func identify(p *browsertest.Tab, email string) {
	p.Helper()
	p.Fill("input[name=identifier]", email)
	click(p, ".cl-signIn-start .cl-formButtonPrimary")
	p.Wait(".cl-signIn-password input[name=password]")
}

// seen is what a page, or a back end, knows of who asks.
type seen struct{ UserID, OrgID, OrgRole string }

// judgeVite has somebody sign up, out and in.
func (w *world) judgeVite(t *testing.T) {
	t.Parallel()
	const email = "ada@example.com"
	p := w.tab(t, w.vite)
	p.Open("/sign-up")
	p.Wait("input[name=emailAddress]")
	picture(p, "vite-sign-up")
	w.signUp(t, p, email)
	ada := waitForWho(p, func(s seen) bool { return s.UserID != "" })
	picture(p, "vite-home")
	w.backendsSee(t, p, ada)

	click(p, ".cl-userButtonTrigger")
	p.Wait(".cl-userButtonPopoverActionButton__signOut")
	picture(p, "vite-user-button")
	click(p, ".cl-userButtonPopoverActionButton__signOut")
	waitForWho(p, func(s seen) bool { return s.UserID == "" })
	w.backendsSee(t, p, seen{})

	p.Open("/sign-in")
	p.Wait("input[name=identifier]")
	picture(p, "vite-sign-in")
	signIn(p, email)
	waitForWho(p, func(s seen) bool { return s == ada })
}

// waitForWho waits until the page shows the person whom a test waits for.
func waitForWho(p *browsertest.Tab, holds func(seen) bool) seen {
	p.Helper()
	var s seen
	p.Until("the page shows who is signed in", `document.querySelector("#who")?.innerText ?? ""`, func(text string) bool {
		s = seen{}
		return text != "" && (text == "nobody" || json.Unmarshal([]byte(text), &s) == nil) && holds(s)
	})
	return s
}

// backendsSee checks what each back end reads from the browser's token: in its cookie, and in a
// header.
func (w *world) backendsSee(t *testing.T, p *browsertest.Tab, want seen) {
	t.Helper()
	for _, backend := range []string{"express", "fastify", "hono"} {
		for _, header := range []string{"{}", `{ Authorization: "Bearer " + await Clerk.session?.getToken() }`} {
			if got := run[seen](p, `return (await fetch("/api/%s/me", { headers: %s })).json()`, backend, header); got != want {
				t.Errorf("%s with headers %s sees %+v, want %+v", backend, header, got, want)
			}
		}
	}
}
