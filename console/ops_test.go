package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerktest"
)

func TestScratch(t *testing.T) {
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "growth"})
	s.clerk.Call("POST", "/_emulator/deliveries", map[string]any{"type": "user.updated", "data": map[string]any{}}, nil)
	s.clerk.Settle()
	s.signIn(operatorToken)
	a := s.get("/console/deliveries?state=dead")
	m := regexp.MustCompile(`/console/deliveries/(msg_\w+)`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatal(a.status, a.body)
	}
	for _, p := range []string{
		"/console/deliveries", "/console/deliveries?q=ada@example.com", "/console/deliveries/" + m[1], "/console/deliveries/" + m[1] + "?show=body", "/console/deliveries/" + m[1] + "/dismiss",
		"/console/changes", "/console/changes/consumers", "/console/changes/endpoints", "/console/jobs", "/console/audit", "/console/explain", "/console/explain?user=ada@example.com&need=role&role=admin", "/console/explain?user=" + ada,
	} {
		a := s.get(p)
		if a.status != http.StatusOK || strings.Contains(a.body, "cannot be shown") {
			t.Errorf("%s: %d", p, a.status)
			v := newHandler(s.m, Options{})
			_ = v
		}
	}
	a = s.post("/console/deliveries/"+m[1], "/console/deliveries/"+m[1]+"/replay")
	t.Log(a.status, a.location)
	a = s.post("/console/deliveries", "/console/deliveries/replay", "state", "dead")
	t.Log(a.status, a.location)
	b := s.get(a.location)
	t.Log(b.status, len(b.body))
	a = s.post(a.location, a.location+"/start")
	t.Log(a.status, a.location)
}
