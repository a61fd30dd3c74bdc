package console_test

import (
	"strings"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/mirror"
)

// focused describes the element that has the focus, and whether that can be seen.
const focused = `(() => {
	const e = document.activeElement, outlined = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0;
	const seen = e.matches(":focus-visible") && (outlined(getComputedStyle(e)) || outlined(getComputedStyle(e, "::after")));
	return {at: e.outerHTML.slice(0, 200), href: e.getAttribute("href") || "", body: e === document.body, seen};
})()`

type focus struct {
	At   string `json:"at"`
	Href string `json:"href"`
	Body bool   `json:"body"`
	Seen bool   `json:"seen"`
}

// tabTo presses the Tab key until the focus is on an element with a text in its tag. All elements
// on the way must show that they have the focus.
func (w *world) tabTo(p *browsertest.Tab, text string) {
	w.Helper()
	for range 60 {
		p.Press("\t")
		f := browsertest.Evaluate[focus](p, focused)
		if !f.Seen && !f.Body {
			w.Errorf("%s: the focus cannot be seen on %s", p.Path(), f.At)
		}
		if strings.Contains(f.At, text) {
			return
		}
	}
	w.Fatalf("%s: the Tab key does not lead to %s", p.Path(), text)
}

func keysAlone(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	session := w.clerk.SignIn(ada)
	jwt := w.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: session})
	w.user("Grace", "grace@example.com", "")
	p := w.tab()
	p.Open("/console/users")
	p.Wait("#token:focus")
	p.Press(token + "\r")
	w.at(p, "/users")
	p.Press("jj")
	if f := browsertest.Evaluate[focus](p, focused); f.Href != "/console/users/"+ada || !f.Seen {
		w.Errorf("after j and j the focus is on %+v", f)
	}
	p.Press("k")
	if f := browsertest.Evaluate[focus](p, focused); f.Href == "/console/users/"+ada || f.Href == "" {
		w.Errorf("after k the focus is on %+v", f)
	}
	p.Press("j\r")
	w.at(p, "/users/"+ada)
	w.tabTo(p, "/users/"+ada+"/sessions")
	p.Press("\r")
	w.at(p, "/users/"+ada+"/sessions")
	p.Press("j\r")
	w.at(p, "/sessions/"+session)
	w.tabTo(p, "/revoke")
	p.Press("\r")
	p.Wait("dialog form.confirm")
	w.tabTo(p, "danger")
	p.Press("\r")
	p.WaitForText("is revoked")
	if w.allowed(jwt, auth.MinRole("solo")) {
		w.Error("the session was not revoked")
	}
	p.Wait("html.script main")
	p.Press("\x1b")
	w.at(p, "/sessions")
	p.Press("?")
	w.at(p, "/help")
	p.Press("gd")
	w.at(p, "/deliveries")
	p.Press("\t") // the first stop skips the navigation
	if f := browsertest.Evaluate[focus](p, focused); f.Href != "#main" || !f.Seen {
		w.Errorf("the first stop of the Tab key is %+v", f)
	}
}

func withoutScript(w *world) {
	w.start()
	w.run()
	w.failing("Late", 3)
	p := w.tab()
	p.DisableScript()
	p.Open("/console/deliveries?state=dead")
	p.Type("#token", token)
	p.Click("form button.primary")
	p.WaitForPath("/console/deliveries?state=dead")
	p.Click(".filters > button") // the button that a script makes unnecessary
	p.WaitForPath("?q=&")
	p.Click("#results tbody a.row-link")
	p.WaitForPath("/console/deliveries/msg_")
	message := strings.TrimPrefix(p.Path(), "/console/deliveries/")
	p.Click(".page-head form[action$='/replay'] button")
	p.WaitForText("applied")
	if d, err := w.mirror.Deliveries().ByMessageID(w.Context(), message); err != nil || d.State != mirror.DeliveryApplied {
		w.Errorf("the delivery is %s, %v", d.State, err)
	}
	p.Click("details.menu-only summary, .rail a[href$='/deliveries']")
	p.Wait("#results")
	p.Click(".page-head form[action$='/replay'] button")
	p.WaitForPath("/console/jobs/job_")
	job := strings.TrimPrefix(p.Path(), "/console/jobs/")
	p.Click("form[action$='/start'] button")
	p.WaitForText("Started")
	w.mustEnd(job)
	p.Open("/console/jobs/" + job)
	p.WaitForText("100 %")

	ada := w.user("Ada", "ada@example.com", "solo")
	p.Open("/console/users/" + ada)
	p.Click(".page-head details.dropdown > summary")
	p.Click("a[href$='/do/role']")
	p.Wait("form.confirm select[name=role]")
	p.Press("\t")
	p.Click("form.confirm a[data-cancel]")
	p.WaitForPath("/console/users/" + ada)
}

// mustEnd waits until a job has ended well.
func (w *world) mustEnd(job string) {
	w.Helper()
	j, err := w.mirror.Jobs().Run(w.Context(), job, nil)
	if err != nil || j.State != mirror.JobDone {
		w.Fatalf("the job is %s: %v %s", j.State, err, j.Error)
	}
}
