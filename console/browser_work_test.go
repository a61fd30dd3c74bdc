package console_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/mirror"
)

func searchByKey(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	grace := w.user("Grace", "grace@example.com", "")
	session := w.clerk.SignIn(grace)
	w.clerk.Settle()
	p := w.signedIn("/users", token)
	for _, found := range []struct{ text, page string }{
		{"ada@example.com", "/users/" + ada},
		{grace, "/users/" + grace},
		{session, "/sessions/" + session},
		{"grace", "/users/" + grace},
	} {
		p.Press("/")
		p.Until("the search has the focus", "document.activeElement.dataset.search === undefined ? '' : 'yes'", func(is string) bool { return is == "yes" })
		p.Press(found.text + "\r")
		w.at(p, found.page)
	}
	p.Press("/")
	p.Press("nobody at all\r")
	p.WaitForText("Nothing begins with that")
	p.WaitForText("whole ids")
	p.Open("/console/users")
	p.Type(".filters input[name=q]", "gra")
	p.WaitForPath("?q=gra")
	p.Until("one user is left", "String(document.querySelectorAll('#results tbody tr').length)", func(n string) bool { return n == "1" })
	if at := browsertest.Evaluate[string](p, "document.activeElement.name + document.activeElement.value"); at != "qgra" {
		w.Errorf("searching while typing moves the focus to %q", at)
	}
}

// failing creates users at Clerk whose events OnChange refuses.
func (w *world) failing(name string, n int) {
	w.Helper()
	w.refuse.Store(new("no plan for " + name))
	for i := range n {
		w.clerk.CreateUser(clerktest.User{FirstName: name, Email: fmt.Sprintf("%s-%d@example.com", strings.ToLower(name), i)})
	}
	w.clerk.Settle()
	w.refuse.Store(nil)
}

func (w *world) dead() (n int) {
	w.Helper()
	for _, err := range w.mirror.Deliveries().All(w.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead}) {
		w.must(err)
		n++
	}
	return n
}

func replayFilter(w *world) {
	w.config = func(c *clerksync.Config) { c.SecretKey = "" } // so that nothing else repairs the mirror
	w.start()
	w.run()
	w.failing("Barred", 3)
	w.failing("Late", 9)
	dead := w.dead()
	if dead < 12 {
		w.Fatalf("%d deliveries failed", dead)
	}
	w.barred.Store(true)
	p := w.signedIn("/deliveries?state=dead", token)
	p.WaitForText("refused by your OnChange")
	p.Click(".page-head form[action$='/replay'] button")
	p.WaitForPath("/console/jobs/job_")
	start := fmt.Sprintf("Replay %d deliveries", dead)
	p.WaitForText(start)
	p.WaitForText("Nothing was done yet")
	if n := p.Count("section[aria-labelledby=sample] tbody tr"); n == 0 || n > dead {
		w.Errorf("the plan shows %d deliveries of %d", n, dead)
	}
	if w.dead() != dead {
		w.Error("a plan replays deliveries")
	}
	job := strings.TrimPrefix(p.Path(), "/console/jobs/")
	p.Click("form[action$='/start'] button")
	p.Until("the job is done", jobState, func(s string) bool { return s == "done" })
	p.WaitForText("no plan for Barred")
	if n := p.Count("section[aria-labelledby=failures] tbody tr"); n != 3 || w.dead() != 3 {
		w.Errorf("%d failures are listed, %d deliveries are dead, want 3", n, w.dead())
	}
	if j, err := w.mirror.Jobs().ByID(w.Context(), job); err != nil || j.State != mirror.JobDone || j.Done != int64(dead-3) || j.Failed != 3 {
		w.Errorf("%+v, %v", j, err)
	}
	p.Click("section[aria-labelledby=failures] tbody a")
	p.WaitForPath("/console/deliveries/msg_")
	p.WaitForText("failed")

	w.failing("Slow", 200)
	w.slow.Store(int64(15 * time.Millisecond))
	p.Open("/console/deliveries?state=dead")
	p.Click(".page-head form[action$='/replay'] button")
	p.WaitForPath("/console/jobs/job_")
	job = strings.TrimPrefix(p.Path(), "/console/jobs/")
	p.Click("form[action$='/start'] button")
	p.Until("the job makes progress", "document.querySelector('.tile .value')?.innerText ?? '0'", func(n string) bool { return n != "0" })
	p.Click("form[action$='/cancel'] button")
	p.Until("the job is cancelled", jobState, func(s string) bool { return s == "cancelled" })
	w.slow.Store(0)
	j, err := w.mirror.Jobs().ByID(w.Context(), job)
	if err != nil || j.State != mirror.JobCancelled || j.Done == 0 || j.Done+j.Failed >= j.Plan.Matches {
		w.Errorf("%+v, %v", j, err)
	}
	p.WaitForText("Go on where it ended")
}

func changeRole(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "solo")
	jwt := w.clerk.Token(ada)
	w.clerk.Settle()
	if w.allowed(jwt, auth.Role("admin")) {
		w.Fatal("the user is an admin already")
	}
	p := w.signedIn("/users/"+ada, token)
	w.changeRole(p, "admin")
	p.WaitForText("has the role admin now")
	p.Until("the role is shown", "document.querySelector('.tag').innerText", func(role string) bool { return role == "admin" })
	var atClerk struct {
		Public struct{ Role string } `json:"public_metadata"`
	}
	w.clerk.Call("GET", "/v1/users/"+ada, nil, &atClerk)
	if atClerk.Public.Role != "admin" || !w.allowed(jwt, auth.Role("admin")) {
		w.Errorf("the role at Clerk is %q, the gate lets the user in: %v", atClerk.Public.Role, w.allowed(jwt, auth.Role("admin")))
	}
	p.Open("/console/audit?user=" + ada)
	p.WaitForText("Role changed")
}

// changeRole changes a role on the page of a user.
func (w *world) changeRole(p *browsertest.Tab, role string) {
	w.Helper()
	p.Click(".page-head details.dropdown > summary")
	p.Click("a[href$='/do/role']")
	p.Wait("dialog select[name=role]")
	browsertest.Evaluate[bool](p, "(document.querySelector('dialog select[name=role]').value = '"+role+"') && true")
	p.Click("dialog form.confirm button")
}

func overrideRole(w *world) {
	w.config = func(c *clerksync.Config) { c.SecretKey = "" }
	w.start()
	ada := w.user("Ada", "ada@example.com", "solo")
	jwt := w.clerk.Token(ada)
	w.clerk.Settle()
	p := w.signedIn("/users/"+ada, token)
	w.changeRole(p, "admin")
	p.WaitForText("This holds in this mirror alone")
	p.WaitForText("is overridden here")
	u, err := w.mirror.Users().ByClerkID(w.Context(), ada)
	if err != nil || u.Role != "admin" || len(u.Overrides) != 1 || !w.allowed(jwt, auth.Role("admin")) {
		w.Errorf("%+v, %v", u, err)
	}
}

func liveTail(w *world) {
	w.start()
	w.user("Ada", "ada@example.com", "")
	p := w.signedIn("/changes", token)
	p.WaitForText("Ada Example")
	browsertest.Evaluate[bool](p, "window.sameDocument = true")
	w.user("Grace", "grace@example.com", "")
	p.WaitForText("Grace Example")
	if !browsertest.Evaluate[bool](p, "window.sameDocument === true") {
		w.Error("the page was loaded again")
	}
}

func reconcile(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	w.clerk.SetFaults(clerktest.Faults{Drop: 1})
	w.clerk.UpdateUser(ada, map[string]any{"first_name": "Augusta"})
	w.clerk.SetFaults(clerktest.Faults{Drop: 1, API: clerktest.APIFaults{Slow: 1, SlowFor: 300 * time.Millisecond}})
	p := w.signedIn("/sync", token)
	p.Click(".page-head a[href$='/sync/run']")
	p.Click("dialog form button.primary")
	p.WaitForPath("/console/jobs/job_")
	job := strings.TrimPrefix(p.Path(), "/console/jobs/")
	p.Until("it waits for a process that works on jobs", jobState, func(s string) bool { return s == "waiting" })
	ended := make(chan error, 1)
	go func() {
		_, err := w.mirror.Jobs().Run(w.Context(), job, nil)
		ended <- err
	}()
	p.Until("it shows how far it is", jobState+" + document.querySelectorAll('section[aria-labelledby=progress] tbody tr').length", func(s string) bool {
		return strings.HasPrefix(s, "running") && s != "running0"
	})
	rows := p.Count("section[aria-labelledby=progress] tbody tr")
	p.Open("/console/jobs/" + job)
	if state := browsertest.Evaluate[string](p, jobState); state == "running" && p.Count("section[aria-labelledby=progress] tbody tr") < rows {
		w.Error("the progress is lost when the page is loaded again")
	}
	p.Until("it is done", jobState, func(s string) bool { return s == "done" })
	w.must(<-ended)
	p.Open("/console/sync/drift")
	p.WaitForText("Augusta Example")
	p.WaitForText("first_name")
	p.WaitForText("repaired")
}

// jobState is the state that the page of a job shows.
const jobState = "(document.querySelector('h1 .chip')?.innerText ?? '')"

func revokeSession(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	session := w.clerk.SignIn(ada)
	jwt := w.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: session})
	w.clerk.Settle()
	if !w.allowed(jwt, auth.MinRole("solo")) {
		w.Fatal("the session does not get through")
	}
	p := w.signedIn("/users/"+ada+"/sessions", token)
	p.Click("#main tbody a[href*='/sessions/']")
	w.at(p, "/sessions/"+session)
	p.Click("a[href$='/revoke']")
	p.Wait("dialog form.confirm")
	p.Press("\x1b")
	p.Until("the dialog is closed", "String(document.querySelectorAll('dialog').length)", func(n string) bool { return n == "0" })
	if !w.allowed(jwt, auth.MinRole("solo")) {
		w.Fatal("a dialog that was closed revokes the session")
	}
	p.Click("a[href$='/revoke']")
	p.Click("dialog form.confirm button")
	p.WaitForText("is revoked")
	if w.allowed(jwt, auth.MinRole("solo")) {
		w.Error("the token of a revoked session gets through")
	}
}
