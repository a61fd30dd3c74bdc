package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerktest"
)

func TestUsersAreListedAndFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada <3", Role: "growth"})
	s.clerk.Settle()
	if a := s.get("/console/users"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/console/sign-in?back=") {
		t.Fatalf("a stranger gets %d %s", a.status, a.location)
	}
	s.signIn(operatorToken)
	a := s.get("/console/users?q=ada")
	if a.status != http.StatusOK || !strings.Contains(a.body, "/console/users/"+ada) || !strings.Contains(a.body, "Ada &lt;3") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.get("/console/search?q=" + ada); a.location != "/console/users/"+ada {
		t.Errorf("an id leads to %d %s", a.status, a.location)
	}
}

// What an operator does to a user happens at Clerk, is seen at once, and is audited; what fails
// says why and keeps what was typed.
func TestActionsOnUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "solo"})
	session := s.clerk.SignIn(ada)
	s.clerk.Settle()
	s.signIn(s.addOperator("grace", false))
	path := "/console/users/" + ada
	do := func(action string, pairs ...string) { // and look at the page to which it leads
		t.Helper()
		if where := s.does(path+"/do/"+action, path+"/do/"+action, pairs...); where != path && action != "erase" {
			t.Errorf("%s leads to %s", action, where)
		}
	}
	atClerk := func() (u struct {
		Banned   bool
		Locked   bool
		Metadata map[string]any `json:"public_metadata"`
	},
	) {
		t.Helper()
		s.clerk.Call(http.MethodGet, "/v1/users/"+ada, nil, &u)
		return u
	}
	s.shows(path, "Change role", "Sign out everywhere", "Ban", "Lock", "Delete and erase")
	s.shows(path+"/do/role", `<option value="solo" selected>`)
	do("role", "role", "enterprise")
	if page := s.shows(path, "Ada has the role enterprise now.", `<span class="tag">enterprise</span>`); strings.Contains(page, "in this mirror alone") {
		t.Error("the change is said to be local")
	}
	if page := s.shows(path); strings.Contains(page, "has the role enterprise now") {
		t.Error("what was done is said twice")
	}
	a := s.post(path+"/do/role", path+"/do/role", "role", "emperor")
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `role="alert"`) || atClerk().Metadata["role"] != "enterprise" {
		t.Errorf("a role that does not exist is answered %d %s; Clerk has %v", a.status, a.body, atClerk())
	}
	do("lock")
	s.shows(path, "Unlock", "Locked until")
	do("unlock")
	do("revoke-sessions")
	s.shows("/console/sessions/"+session, "revoked")
	do("ban")
	s.shows(path, "Unban", "banned")
	if !atClerk().Banned {
		t.Error("the ban did not reach Clerk")
	}
	do("unban")
	s.shows(path+"/timeline", "User updated", "by grace", "enterprise")
	s.shows(path+"/timeline?type=audit", "Audit")
	if a := s.post(path+"/do/erase", path+"/do/erase", "confirm", "Ada"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, ada) {
		t.Errorf("without the id, erasing is answered %d", a.status)
	}
	do("erase", "confirm", ada)
	if a := s.get(path); a.status != http.StatusNotFound {
		t.Errorf("the user is still there: %d", a.status)
	}
	s.shows("/console/users", "No users yet")
	if a := s.get(path + "/do/fly"); a.status != http.StatusNotFound {
		t.Errorf("an action that does not exist: %d", a.status)
	}
}

// Without a secret key, changes hold here alone, and every page says so.
func TestActionsWithoutASecretKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "solo"})
	session := s.clerk.SignIn(ada)
	s.clerk.Settle()
	s.withoutKey = true
	s.h = New(s.open(), s.o)
	s.signIn(operatorToken)
	path := "/console/users/" + ada
	s.shows(path+"/do/role", "There is no secret key")
	s.does(path+"/do/role", path+"/do/role", "role", "growth")
	s.shows(path, "This holds in this mirror alone", "overridden here", "Clerk says <b>solo</b>")
	s.does("/console/sessions/"+session+"/revoke", "/console/sessions/"+session+"/revoke")
	s.shows("/console/sessions/"+session, "overridden here", "revoked")
	if a := s.post(path+"/do/lock", path+"/do/lock"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "No Clerk secret key") {
		t.Errorf("locking is answered %d %s", a.status, a.body)
	}
}

func TestOperatorsAreManaged(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	const page = "/console/settings/operators"
	s.shows(page, "No named operators", "shares the configured token")
	if a := s.post(page, page, "name", "Ada!", "days", "30"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `value="Ada!"`) {
		t.Errorf("a bad name is answered %d", a.status)
	}
	if a := s.post(page, page, "name", "ada", "days", "0"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("no days are answered %d", a.status)
	}
	a := s.post(page, page, "name", "ada", "days", "30", "read_only", "on")
	token := regexp.MustCompile(`cso_[\w-]{43}`).FindString(a.body)
	if a.status != http.StatusOK || token == "" {
		t.Fatalf("adding is answered %d %s", a.status, a.body)
	}
	if again := s.shows(page, "ada"); strings.Contains(again, token) {
		t.Error("the token is shown twice")
	}
	mine := s.jar
	s.forget()
	s.signIn(token)
	s.shows("/console/settings", "read-only")
	theirs := s.jar
	s.jar = mine
	s.does(page+"/ada/revoke", page+"/ada/revoke")
	s.jar = theirs
	if s.signedIn() {
		t.Error("a revoked operator is still signed in")
	}
}

// An action on all that a list selects is a job: its plan comes first, and selects what was shown.
func TestBulkActions(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for _, name := range []string{"Ada", "Adele", "Grace"} {
		s.clerk.SignIn(s.clerk.CreateUser(clerktest.User{Email: strings.ToLower(name) + "@example.com", FirstName: name, Role: "solo"}))
	}
	s.clerk.Settle()
	s.signIn(operatorToken)
	s.shows("/console/users?q=ad&role=solo", "/console/bulk/change-role?q=ad&amp;role=solo")
	s.shows("/console/users?q=zzz", "No user matches")
	page := "/console/bulk/change-role?q=ad&role=solo"
	s.shows(page, "Change the role of all users that match", `name="q" value="ad"`)
	where := s.does(page, "/console/bulk/change-role", "q", "ad", "role", "solo", "new_role", "growth")
	s.shows(where, "adele@example.com", "Change 2 roles")
	for _, c := range []struct{ action, filter, want string }{
		{"sign-out", "q", "End the sessions of all users that match"}, {"erase", "q", "Delete and erase all users that match"}, {"revoke", "status", "Revoke all sessions that match"},
	} {
		value := map[string]string{"q": "grace", "status": "active"}[c.filter]
		page := "/console/bulk/" + c.action + "?" + c.filter + "=" + value
		s.shows(page, c.want)
		job := s.does(page, "/console/bulk/"+c.action, c.filter, value)
		s.shows(job, "planned")
	}
	s.shows("/console/bulk/erase", "Delete and erase all users")
	if a := s.post(page, "/console/bulk/change-role", "new_role", "emperor"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a role that does not exist: %d", a.status)
	}
	if a := s.get("/console/bulk/fly"); a.status != http.StatusNotFound {
		t.Errorf("an action that does not exist: %d", a.status)
	}
}
