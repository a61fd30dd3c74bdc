package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// signedIn reports whether the browser gets pages.
func (s *site) signedIn() bool {
	s.Helper()
	a := s.get("/console/users")
	if a.status != http.StatusOK && (a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/console/sign-in")) {
		s.Fatalf("%d %s", a.status, a.body)
	}
	return a.status == http.StatusOK
}

// addOperator adds a named operator and returns the token.
func (s *site) addOperator(name string, readOnly bool) string {
	s.Helper()
	_, token, err := s.m.Operators().Add(s.Context(), clerksync.NewOperator{Name: name, ReadOnly: readOnly})
	if err != nil {
		s.Fatal(err)
	}
	return token
}

func TestSignInWithAToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.addOperator("ada", false)
	for _, wrong := range []string{"", "x", operatorToken + "x", "cso_" + strings.Repeat("A", 43)} {
		a := s.post("/console/sign-in", "/console/sign-in", "token", wrong)
		if a.status != http.StatusUnauthorized && a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `role="alert"`) || s.signedIn() {
			t.Errorf("the token %q is answered %d", wrong, a.status)
		}
	}
	page := s.get("/console/deliveries?state=dead")
	if page.status != http.StatusSeeOther {
		t.Fatalf("a stranger gets %d", page.status)
	}
	back, err := url.Parse(page.location)
	if err != nil {
		t.Fatal(err)
	}
	a := s.post(page.location, "/console/sign-in", "token", " "+ada+"\n", "back", back.Query().Get("back"))
	if a.status != http.StatusSeeOther || a.location != "/console/deliveries?state=dead" {
		t.Fatalf("signing in leads to %d %s", a.status, a.location)
	}
	for _, c := range a.header["Set-Cookie"] {
		if strings.Contains(c, "session") && (!strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || !strings.Contains(c, "Path=/console/")) {
			t.Errorf("the cookie is %s", c)
		}
	}
	if !s.signedIn() {
		t.Fatal("not signed in")
	}
	entries, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditSignIn})
	if err != nil || len(entries.Items) != 1 || entries.Items[0].Actor != "ada" || entries.Items[0].Address != "192.0.2.1" {
		t.Errorf("the audit has %+v, %v", entries.Items, err)
	}
}

// A session is a row: other processes know it, and it ends everywhere at once.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	other := s.open()
	elsewhere := New(other, s.o) // the handler of another process
	for name, end := range map[string]func(){
		"signing out": func() {
			if a := s.post("/console/users", "/console/sign-out"); a.status != http.StatusSeeOther {
				t.Errorf("signing out: %d", a.status)
			}
		},
		"revoking the operator": func() {
			if err := s.m.Operators().Revoke(t.Context(), "ada", mirror.By{}); err != nil {
				t.Error(err)
			}
		},
		"twelve hours": func() { s.ahead.Add(int64(12*time.Hour + time.Minute)) },
	} {
		s.signIn(s.addOperator("ada", false))
		jar := s.jar
		here := s.h
		s.h = elsewhere
		if !s.signedIn() {
			t.Fatalf("%s: the other process does not know the session", name)
		}
		s.h = here
		end()
		s.h, s.jar = elsewhere, jar
		if s.signedIn() {
			t.Errorf("%s: the other process still serves the session", name)
		}
		s.h = here
		s.forget()
		_ = s.m.Operators().Revoke(t.Context(), "ada", mirror.By{}) // unless it is already
	}
	s.signIn(operatorToken)
	rotated := s.o
	rotated.OperatorToken += "-rotated"
	s.h = New(s.m, rotated)
	if s.signedIn() {
		t.Error("the session outlives the configured token")
	}
}

func TestSignInWithALink(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	link := func(name string) string {
		text, err := s.m.Operators().Console().Link(t.Context(), name, mirror.By{Actor: "cli"})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	use := func(text string) answer {
		path := "/console/sign-in?link=" + text
		for range 3 { // a preview in a chat does not use the link
			if a := s.get(path); a.status != http.StatusOK {
				t.Fatalf("%d", a.status)
			}
		}
		return s.post(path, "/console/sign-in", "link", text)
	}
	first := link("")
	if a := use(first); a.status != http.StatusSeeOther || !s.signedIn() {
		t.Fatalf("the link is answered %d", a.status)
	}
	s.forget()
	if a := use(first); a.status != http.StatusUnauthorized || s.signedIn() {
		t.Errorf("the link works twice: %d", a.status)
	}
	if a := use("x"); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong link is answered %d", a.status)
	}
	s.addOperator("reader", true)
	if a := use(link("reader")); a.status != http.StatusSeeOther || !strings.Contains(s.get("/console/").body, "operator, read-only") {
		t.Errorf("a link for a named operator: %d", a.status)
	}
	s.forget()
	late := link("")
	s.ahead.Add(int64(11 * time.Minute))
	if a := use(late); a.status != http.StatusUnauthorized || s.signedIn() {
		t.Errorf("the link works after eleven minutes: %d", a.status)
	}
	if _, err := s.m.Operators().Console().Link(t.Context(), "carol", mirror.By{}); err == nil {
		t.Error("there is a link for an operator who does not exist")
	}
}

// Users get in with their Clerk session if the rule allows them, and change things from pages of
// the console alone.
func TestUsersOfTheApplication(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: auth.Role("admin")})
	user := func(email, role string) (id string, with func(*http.Request)) {
		id = s.clerk.CreateUser(clerktest.User{Email: email, Role: role})
		token := s.clerk.TokenFor(clerktest.TokenOptions{UserID: id, AZP: "https://app.example.com"})
		return id, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__session", Value: token}) }
	}
	admin, asAdmin := user("root@example.com", "admin")
	member, asMember := user("ada@example.com", "solo")
	s.clerk.Settle()
	site := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", value) }
	}
	if a := s.send(http.MethodGet, "/console/users", nil, asMember); a.status != http.StatusForbidden || strings.Contains(a.body, "root@example.com") {
		t.Errorf("a member gets %d", a.status)
	}
	a := s.send(http.MethodGet, "/console/users/"+member+"/do/ban", nil, asAdmin)
	if a.status != http.StatusOK || !strings.Contains(a.body, "signed in with Clerk") {
		t.Fatalf("an admin gets %d %s", a.status, a.body)
	}
	_, rest, _ := strings.Cut(a.body, `name="`+formField+`" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	form := url.Values{formField: {token}}
	if a := s.send(http.MethodPost, "/console/users/"+member+"/do/ban", form, asAdmin, site("cross-site")); a.status != http.StatusForbidden {
		t.Errorf("a form of another site is answered %d", a.status)
	}
	if a := s.send(http.MethodPost, "/console/users/"+member+"/do/ban", form, asMember, site("same-origin")); a.status != http.StatusForbidden {
		t.Errorf("a form of a member is answered %d", a.status)
	}
	if a := s.send(http.MethodPost, "/console/users/"+member+"/do/ban", form, asAdmin, site("same-origin")); a.status != http.StatusSeeOther {
		t.Fatalf("the form of an admin is answered %d %s", a.status, a.body)
	}
	entries, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{ClerkUserID: member})
	if err != nil || len(entries.Items) == 0 || entries.Items[0].Actor != admin {
		t.Errorf("the audit has %+v, %v", entries.Items, err)
	}
}
