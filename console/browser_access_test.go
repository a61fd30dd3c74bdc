package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/mirror"
)

func signInAndOut(w *world) {
	w.start()
	p := w.tab()
	p.Expect("status of 401")
	p.Open("/console/users?role=growth")
	p.WaitForPath("/console/sign-in?back=")
	p.Type("#token", "a-wrong-token-that-no-one-has\r")
	p.WaitForText("No operator has this token")
	if html := browsertest.Evaluate[string](p, "document.documentElement.outerHTML + document.querySelector('#token').value"); strings.Contains(html, "a-wrong-token") {
		w.Error("the page repeats the token")
	}
	p.Type("#token", token+"\r")
	p.WaitForPath("/console/users?role=growth")
	p.WaitForText("No user matches")
	if cookies := browsertest.Evaluate[string](p, "document.cookie"); strings.Contains(cookies, "session") {
		w.Errorf("a script can read the session: %s", cookies)
	}
	p.Click("details.account summary")
	p.Click("details.account form[action$='/sign-out'] button")
	p.WaitForText("You are signed out")
	p.Open("/console/users")
	p.WaitForPath("/console/sign-in")
}

// writes finds enabled controls that change something.
const writes = `form[method=post]:not([action$='/sign-out'], [action$='/preferences'], [action$='/explain'], [action$='/preview']) button:not([disabled])`

func changeNothing(w *world) {
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	session := w.clerk.SignIn(ada)
	w.clerk.Settle()
	w.refuse.Store(new("no plan"))
	w.user("Grace", "grace@example.com", "")
	w.refuse.Store(nil)
	_, readOnly, err := w.mirror.Operators().Add(w.Context(), clerksync.NewOperator{Name: "reader", ReadOnly: true})
	w.must(err)
	dead, err := w.mirror.Deliveries().List(w.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead})
	w.must(err)
	if len(dead.Items) == 0 {
		w.Fatal("no delivery failed")
	}
	message := dead.Items[0].MessageID
	p := w.signedIn("/users", readOnly)
	p.Expect("status of 403")
	for _, page := range []string{
		"/deliveries?state=dead", "/deliveries/" + message + "/dismiss", "/users/" + ada, "/users/" + ada + "/do/ban", "/sessions/" + session,
		"/sessions/" + session + "/revoke", "/deliveries/" + message,
	} {
		p.Open("/console" + page)
		p.Wait("main")
		if n := p.Count(writes); n > 0 {
			w.Errorf("%s has %d enabled controls for an operator who is read-only: %s", page, n,
				browsertest.Evaluate[string](p, "document.querySelector(`"+writes+"`).outerHTML"))
		}
	}
	button := "form[action$='/replay'] button"
	if p.Count(button+"[disabled]") != 1 {
		w.Fatal("the page of a delivery has no disabled button to replay it")
	}
	browsertest.Evaluate[bool](p, "document.querySelector(`"+button+"`).removeAttribute('disabled') || true")
	p.Click(button)
	p.WaitForText("Your token is read-only")
	if d, err := w.mirror.Deliveries().ByMessageID(w.Context(), message); err != nil || d.State != mirror.DeliveryDead {
		w.Errorf("the delivery is %s, %v", d.State, err)
	}
}

func revokedOperator(w *world) {
	w.start()
	_, theirs, err := w.mirror.Operators().Add(w.Context(), clerksync.NewOperator{Name: "grace"})
	w.must(err)
	p := w.signedIn("/users", theirs)
	p.WaitForText("grace")
	w.must(w.mirror.Operators().Revoke(w.Context(), "grace", mirror.By{Actor: "ada"}))
	p.Click("nav a[href='/console/deliveries']")
	p.WaitForPath("/console/sign-in?back=")
}

func linkOnce(w *world) {
	w.start()
	link, err := w.mirror.Operators().Console().Link(w.Context(), "", mirror.By{Actor: "ada"})
	w.must(err)
	for _, want := range []string{"No users yet", "This link has been used or has expired"} {
		p := w.tab()
		p.Expect("status of 401")
		p.Open("/console/sign-in?back=/console/users&link=" + link)
		p.WaitForText(want)
	}
}

func otherSites(w *world) {
	w.hosts = []string{"127.0.0.1"}
	w.start()
	ada := w.user("Ada", "ada@example.com", "")
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, `<!doctype html><title>other</title><link rel="icon" href="data:,"><form method="post" action="`+w.server.URL+`/console/users/`+ada+`/do/ban">
<input name="form_token" value="x"><button>Win a prize</button></form>`)
	}))
	w.Cleanup(other.Close)
	p := w.signedIn("/users", token)
	p.Expect("status of 403")
	p.Expect("favicon.ico") // the text of the refusal has no icon
	// The browser sends the cookie to all ports of a host, and none from another site.
	for _, origin := range []string{other.URL, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)} {
		browsertest.Evaluate[bool](p, "(location.href = '"+origin+"') && true")
		p.Click("button")
		p.WaitForText("Forms of other sites are refused")
		p.Open("/console/users")
		p.WaitForText("ada@example.com")
	}
	if u, err := w.mirror.Users().ByClerkID(w.Context(), ada); err != nil || u.Banned {
		w.Errorf("a page of another site banned a user: %v %v", u.Banned, err)
	}
	rebound := w.browser.Tab(w.T, strings.Replace(w.server.URL, "127.0.0.1", "console.localhost", 1))
	rebound.Expect("status of 421")
	rebound.Expect("favicon.ico")
	rebound.Open("/console/sign-in")
	rebound.WaitForText("This host is not one of the console's")
}
