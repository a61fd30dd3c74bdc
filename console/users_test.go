package console

import (
	"net/http"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerktest"
)

func TestUsersAreListedAndFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada <b>", Role: "growth"})
	s.clerk.Settle()
	if a := s.get("/console/users"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/console/sign-in?back=") {
		t.Fatalf("a stranger gets %d %s", a.status, a.location)
	}
	s.signIn(operatorToken)
	a := s.get("/console/users?q=ada")
	if a.status != http.StatusOK || !strings.Contains(a.body, "/console/users/"+ada) || !strings.Contains(a.body, "Ada &lt;b&gt;") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.get("/console/search?q=" + ada); a.location != "/console/users/"+ada {
		t.Errorf("an id leads to %d %s", a.status, a.location)
	}
}
