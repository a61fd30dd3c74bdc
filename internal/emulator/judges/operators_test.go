package judges

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// What operators do reaches a page that is open: its next token is refused, and it signs out.
func (w *world) judgeOperators(t *testing.T) {
	t.Parallel()
	ivy := w.newPerson(t, "Ivy")
	p := w.tab(t, w.vite)
	p.Expect("status of 401")
	p.Open("/sign-in")
	signIn(p, ivy.Email)
	waitForWho(p, func(s seen) bool { return s.UserID == ivy.ID })
	second := p.Second()
	second.Expect("status of 401") // it may ask for something while the other tab signs out
	second.Open("/")
	waitForWho(second, func(s seen) bool { return s.UserID == ivy.ID })
	click(p, ".cl-userButtonTrigger")
	click(p, ".cl-userButtonPopoverActionButton__signOut")
	for _, tab := range []*browsertest.Tab{p, second} { // the tabs tell each other
		waitForWho(tab, func(s seen) bool { return s.UserID == "" })
	}

	for name, refuse := range map[string]func(session string){
		"revoked": func(session string) { w.call(t, "POST", "/v1/sessions/"+session+"/revoke", nil, nil) },
		"banned":  func(string) { w.call(t, "POST", "/v1/users/"+ivy.ID+"/ban", nil, nil) },
	} {
		w.call(t, "POST", "/v1/users/"+ivy.ID+"/unban", nil, nil)
		p.Open("/sign-in")
		signIn(p, ivy.Email)
		waitForWho(p, func(s seen) bool { return s.UserID == ivy.ID })
		refuse(run[string](p, `return Clerk.session.id`))
		if got := run[string](p, `return Clerk.session.getToken({ skipCache: true }).then(String, e => "refused " + e.status)`); !strings.HasPrefix(got, "refused") && got != "null" {
			t.Errorf("%s: the page got the token %s", name, got)
		}
		waitForWho(p, func(s seen) bool { return s.UserID == "" })
	}
	w.call(t, "POST", "/v1/users/"+ivy.ID+"/ban", nil, nil)
	p.Expect("status of 403")
	p.Open("/sign-in")
	p.Fill("input[name=identifier]", ivy.Email)
	click(p, ".cl-signIn-start .cl-formButtonPrimary")
	p.WaitForText("banned")
	picture(p, "vite-banned")
}

// A back end asks for a fresh proof of who asks: step-up. The clock of all judges is moved.
func (w *world) judgeStepUp(t *testing.T) {
	mia := w.newPerson(t, "Mia")
	p := w.tab(t, w.vite)
	p.Open("/sign-in")
	signIn(p, mia.Email)
	waitForWho(p, func(s seen) bool { return s.UserID == mia.ID })
	click(p, "#ask")
	p.WaitForText("the secret") // just signed in

	w.Advance(20 * time.Minute)
	run[bool](p, `await Clerk.session.getToken({ skipCache: true }); return true`)
	p.Open("/")
	p.Expect("status of 403")
	click(p, "#ask")
	p.Wait("input[name=password]")
	picture(p, "vite-step-up")
	if text := p.Text("#secret"); text != "" {
		t.Errorf("the page shows %s before the proof", text)
	}
	p.Fill("input[name=password]", password)
	click(p, ".cl-formButtonPrimary")
	p.WaitForText("the secret")
}
