package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerktest"
)

// What an address or a form selects is what it says, or nothing: a filter that the list does not
// have, is not understood or is given twice would widen the selection.
func TestBulkSelectionsAreStrict(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "solo"})
	s.clerk.Settle()
	s.signIn(operatorToken)
	for _, query := range []string{
		"erase?active=maybe", "erase?status=active", "erase?rol=solo", "erase?role=solo&role=growth", "erase?user=user_1", "sign-out?all=true",
		"revoke?q=ada", "revoke?role=solo", "change-role?new_role=admin",
	} {
		if a := s.get("/console/bulk/" + query); a.status != http.StatusBadRequest || !strings.Contains(a.body, "Nothing was selected") {
			t.Errorf("GET %s: %d", query, a.status)
		}
		action, pairs, _ := strings.Cut(query, "?")
		form, err := url.ParseQuery(pairs)
		if err != nil {
			t.Fatal(err)
		}
		if form.Has("new_role") {
			continue // a field of the form
		}
		form.Set(formField, s.tokenOf("/console/bulk/erase"))
		if a := s.send(http.MethodPost, "/console/bulk/"+action, form); a.status != http.StatusBadRequest {
			t.Errorf("POST %s: %d", query, a.status)
		}
	}
	s.shows("/console/bulk/erase?q=%20%09", "Delete and erase all users<") // as the list, which shows all
	if strings.Contains(s.shows("/console/sessions?status=revoked"), "/console/bulk/") {
		t.Error("sessions that have ended can be revoked")
	}
	s.shows("/console/jobs", "No jobs yet")
}

// A plan to erase is started by typing how many users it has. It is started once, within an hour,
// and by operators who may change something.
func TestStartOfAPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for _, name := range []string{"Ada", "Adele", "Grace"} {
		s.clerk.CreateUser(clerktest.User{Email: strings.ToLower(name) + "@example.com", FirstName: name, Role: "solo"})
	}
	s.clerk.Settle()
	s.signIn(operatorToken)
	const page = "/console/bulk/erase?q=ad"
	job := s.does(page, "/console/bulk/erase", "q", "ad")
	again := s.does(page, "/console/bulk/erase", "q", "ad") // a second click
	s.shows(job, "Type <code>2</code> to confirm", "Erase 2 users", "cannot be undone")
	for _, typed := range []string{"", "3", "-2", "two"} {
		s.does(job, job+"/start", "confirm", typed)
		s.shows(job, "Type the number of users to start: 2.", "planned")
	}
	if a := s.send(http.MethodPost, job+"/start", url.Values{"confirm": {"2"}}); a.status != http.StatusForbidden {
		t.Errorf("without the token of the form: %d", a.status)
	}
	s.does(job, job+"/start", "confirm", "2")
	s.shows(job, "Started")
	s.does(job, job+"/start", "confirm", "2") // back, and once more
	s.shows(job, "Erase users")
	s.ahead.Add(int64(2 * time.Hour))
	s.does("/console/help", again+"/start", "confirm", "2")
	s.shows(again, "older than an hour")

	reader := s.addOperator("reader", true)
	s.forget()
	s.signIn(reader)
	s.shows("/console/bulk/erase", "disabled")
	form := url.Values{formField: {s.tokenOf("/console/help")}, "q": {"ad"}, "confirm": {"2"}}
	for _, target := range []string{"/console/bulk/erase", again + "/start", again + "/cancel"} {
		if a := s.send(http.MethodPost, target, form); a.status != http.StatusForbidden {
			t.Errorf("a read-only operator at %s: %d", target, a.status)
		}
	}
}

// Without a secret key nothing says that Clerk is told.
func TestErasureWithoutSecretKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "solo"})
	s.clerk.Settle()
	s.withoutKey = true
	s.h = New(s.open(), s.o)
	s.signIn(operatorToken)
	job := s.does("/console/bulk/erase", "/console/bulk/erase")
	ask := "/console/users/" + ada + "/do/erase"
	for _, page := range []string{"/console/bulk/erase", job, ask} {
		body := s.shows(page, "the account stays at Clerk")
		if strings.Contains(body, "override") || strings.Contains(body, "deleted at Clerk") {
			t.Errorf("%s says what is not so: %s", page, body)
		}
	}
	s.does(ask, ask, "confirm", ada)
	if body := s.shows("/console/users", "is erased. This holds in this mirror alone"); strings.Contains(body, "is deleted") {
		t.Error("the user is said to be deleted")
	}
}
