package emulator

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

const (
	coverageBegins = "<!-- coverage: written by go test ./internal/emulator -run Coverage -update -->\n"
	coverageEnds   = "<!-- end of coverage -->\n"
)

// docs/emulator.md says what the emulator has of all that Clerk has. It counts what is routed and
// what was really sent, so that it cannot promise more.
func TestCoverageIsAsDocumented(t *testing.T) {
	t.Parallel()
	const file = "../../docs/emulator.md"
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(document), coverageBegins)
	_, after, ended := strings.Cut(rest, coverageEnds)
	if !found || !ended {
		t.Fatalf("%s has no section for the coverage", file)
	}
	testenv.Golden(t, file, []byte(before+coverageBegins+coverage(t)+coverageEnds+after))
}

func coverage(t *testing.T) string {
	t.Helper()
	routed := map[string]bool{}
	for _, r := range apiRoutes() {
		routed[r.method+" "+r.path] = true
	}
	sent := everyEvent(t)
	var endpoints, events []string
	have := 0
	list, err := os.ReadFile("testdata/clerk.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		into, covered := &endpoints, routed
		name, isEvent := strings.CutPrefix(line, "event ")
		if isEvent {
			into, covered = &events, sent
		}
		mark := "–"
		if covered[name] {
			mark = "yes"
			have++
		}
		delete(covered, name)
		*into = append(*into, fmt.Sprintf("| `%s` | %s |\n", name, mark))
	}
	for name := range routed {
		t.Errorf("testdata/clerk.txt does not know the endpoint %s", name)
	}
	for name := range sent {
		t.Errorf("testdata/clerk.txt does not know the event %s", name)
	}
	yes := func(rows []string) int {
		return len(slices.DeleteFunc(slices.Clone(rows), func(r string) bool { return strings.HasSuffix(r, "| – |\n") }))
	}
	return fmt.Sprintf("\n%d of %d endpoints of the Backend API, below `/v1`:\n\n| Endpoint | |\n|---|---|\n%s\n%d of %d events:\n\n| Event | |\n|---|---|\n%s\n",
		yes(endpoints), len(endpoints), strings.Join(endpoints, ""), yes(events), len(events), strings.Join(events, ""))
}

// everyEvent makes an instance do everything that an event tells of, and answers the types that
// were sent.
func everyEvent(t *testing.T) map[string]bool {
	t.Helper()
	e, err := New(Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.AddEndpoint(Target{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}, ""); err != nil {
		t.Fatal(err)
	}
	do := func(method, path string, in values) string {
		t.Helper()
		var made struct{ ID string }
		into := any(&made)
		if strings.HasSuffix(path, "/sign_out") {
			into = nil
		}
		if err := e.Call(t.Context(), method, path, in, into); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	user := func(address string) string {
		return do("POST", "/v1/users", values{"email_address": []string{address}})
	}
	ada, grace := user("ada@example.com"), user("grace@example.com")
	do("PATCH", "/v1/users/"+ada, values{"first_name": "Ada"})
	do("POST", "/_emulator/users/"+ada+"/sign_in", values{"pending": true})
	do("POST", "/_emulator/users/"+ada+"/sign_out", values{"remove": true})
	do("POST", "/_emulator/users/"+ada+"/sign_in", nil)
	do("POST", "/_emulator/users/"+ada+"/sign_out", nil)
	do("POST", "/v1/sessions/"+do("POST", "/_emulator/users/"+ada+"/sign_in", nil)+"/revoke", nil)
	organization := "/v1/organizations/" + do("POST", "/v1/organizations", values{"name": "Engines", "created_by": ada})
	do("PATCH", organization, values{"name": "Analytical Engines"})
	invite := func(address string) string {
		return do("POST", organization+"/invitations", values{"email_address": address, "role": "org:member"})
	}
	do("POST", "/_emulator/users/"+grace+"/accept", values{"invitation_id": invite("grace@example.com")})
	do("POST", organization+"/invitations/"+invite("hedy@example.com")+"/revoke", nil)
	do("PATCH", organization+"/memberships/"+grace, values{"role": "org:admin"})
	domain := organization + "/domains/" + do("POST", organization+"/domains", values{"name": "example.com"})
	do("PATCH", domain, values{"enrollment_mode": "automatic_suggestion"})
	do("DELETE", domain, nil)
	for _, kind := range []string{"role", "permission"} {
		path := "/v1/organization_" + kind + "s"
		made := path + "/" + do("POST", path, values{"name": "Reader", "key": map[string]string{"role": "reader", "permission": "docs:read"}[kind]})
		do("PATCH", made, values{"name": "A reader"})
		do("DELETE", made, nil)
	}
	do("POST", "/_emulator/subscriptions", values{"payer": ada, "plan": "pro"})
	do("POST", "/_emulator/subscriptions", values{"payer": ada, "plan": "free"})
	do("DELETE", organization, nil)
	do("DELETE", "/v1/users/"+ada, nil)
	if err := e.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for _, m := range e.Deliveries() {
		if m.State == "delivered" {
			sent[m.Type] = true
		}
	}
	return sent
}
