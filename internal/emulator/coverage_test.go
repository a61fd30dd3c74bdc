package emulator

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

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

// described are the operations or events of a part of testdata/clerk.txt, by group.
type described struct {
	names  []string // of the groups, in their order
	groups map[string][]string
}

// everything reads testdata/clerk.txt: the parts backend, frontend and events.
func everything(t *testing.T) map[string]*described {
	t.Helper()
	list, err := os.ReadFile("testdata/clerk.txt")
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]*described{}
	var into *described
	var group string
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			var part string
			part, group, _ = strings.Cut(strings.Trim(line, "[]"), ": ")
			if into = parts[part]; into == nil {
				into = &described{groups: map[string][]string{}}
				parts[part] = into
			}
			into.names = append(into.names, group)
		default:
			into.groups[group] = append(into.groups[group], line)
		}
	}
	return parts
}

func (d *described) count() (n int) {
	for _, operations := range d.groups {
		n += len(operations)
	}
	return n
}

func coverage(t *testing.T) string {
	t.Helper()
	all := everything(t)
	backend := map[string]bool{}
	for _, r := range apiRoutes() {
		backend[r.method+" "+anonymous(r.path)] = true
	}
	var b strings.Builder
	frontend := map[string]bool{}
	for _, r := range frontendRoutes() {
		frontend[r.method+" "+anonymous("/v1"+r.path)] = true
	}
	for _, r := range oauthRoutes() {
		frontend[r.method+" "+r.path] = true
	}
	frontend["GET /.well-known/jwks.json"] = true // of both APIs
	operations(&b, "Backend API", "below `/v1`", all["backend"], backend)
	operations(&b, "Frontend API", "which pages in browsers call", all["frontend"], frontend)
	events(t, &b, all["events"].groups[""])
	return b.String()
}

var parameter = regexp.MustCompile(`{[^}]*}`)

// anonymous returns a path without the names of its parameters, which differ between Clerk's
// description and ours.
func anonymous(path string) string { return parameter.ReplaceAllString(path, "{}") }

// operations writes, for each group, what is implemented and what is not.
func operations(b *strings.Builder, api, where string, all *described, routed map[string]bool) {
	have, known := 0, map[string]bool{}
	var rows, none []string
	for _, name := range all.names {
		var has, lacks []string
		for _, operation := range all.groups[name] {
			key := anonymous(operation)
			known[key] = true
			if routed[key] {
				has = append(has, operation)
			} else {
				lacks = append(lacks, operation)
			}
		}
		have += len(has)
		if len(has) == 0 {
			none = append(none, fmt.Sprintf("%s (%d)", name, len(lacks)))
			continue
		}
		rows = append(rows, fmt.Sprintf("| %s | %d of %d | %s | %s |\n", name, len(has), len(has)+len(lacks), paths(has), paths(lacks)))
	}
	fmt.Fprintf(b, "\n### %s\n\nThe emulator has %d of the %d operations of Clerk's description of 2026-05-12, %s:\n\n", api, have, all.count(), where)
	fmt.Fprintf(b, "| Group | | Implemented | Missing |\n|---|---|---|---|\n%s\n", strings.Join(rows, ""))
	fmt.Fprintf(b, "Nothing of these groups: %s.\n", strings.Join(none, ", "))
	var more []string
	for operation := range routed {
		if !known[operation] {
			more = append(more, "`"+operation+"`")
		}
	}
	if slices.Sort(more); len(more) > 0 {
		fmt.Fprintf(b, "\nAnd what SDKs call though the description lacks it: %s.\n", strings.Join(more, ", "))
	}
}

// paths lists operations by path: `GET, POST /users`.
func paths(operations []string) string {
	var order []string
	methods := map[string][]string{}
	for _, operation := range operations {
		method, path, _ := strings.Cut(operation, " ")
		if methods[path] == nil {
			order = append(order, path)
		}
		methods[path] = append(methods[path], method)
	}
	if len(order) == 0 {
		return "–"
	}
	for i, path := range order {
		order[i] = "`" + strings.Join(methods[path], ", ") + " " + path + "`"
	}
	return strings.Join(order, "<br>")
}

// events writes which events are sent, by object.
func events(t *testing.T, b *strings.Builder, all []string) {
	t.Helper()
	sent := everyEvent(t)
	have := 0
	var order []string
	rows := map[string][2][]string{} // sent and not sent, by object
	for _, name := range all {
		object, change, _ := strings.Cut(name, ".")
		row, known := rows[object]
		if !known {
			order = append(order, object)
		}
		if sent[name] {
			row[0] = append(row[0], "`"+change+"`")
			have++
		} else {
			row[1] = append(row[1], "`"+change+"`")
		}
		rows[object] = row
		delete(sent, name)
	}
	for name := range sent {
		t.Errorf("testdata/clerk.txt does not know the event %s", name)
	}
	fmt.Fprintf(b, "\n### Events\n\nThe emulator sends %d of Clerk's %d types:\n\n| Object | Sent | Not sent |\n|---|---|---|\n", have, len(all))
	for _, object := range order {
		row := rows[object]
		for i := range row {
			if len(row[i]) == 0 {
				row[i] = []string{"–"}
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", object, strings.Join(row[0], ", "), strings.Join(row[1], ", "))
	}
	b.WriteString("\n")
}

// Clerk's descriptions are the judges of the list of operations, where they are at hand.
func TestTheListOfOperationsIsClerks(t *testing.T) {
	t.Parallel()
	all := everything(t)
	for part, file := range map[string]string{"backend": "bapi-2026-05-12.yml", "frontend": "fapi-2026-05-12.yml"} {
		var document struct {
			Paths map[string]map[string]yaml.Node `yaml:"paths"`
		}
		body, err := os.ReadFile(filepath.Join(testenv.Root(t), "..", "shared", "clerk", "openapi", file))
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("Clerk's descriptions are not in ../shared")
		}
		if err := errors.Join(err, yaml.Unmarshal(body, &document)); err != nil {
			t.Fatal(err)
		}
		want := []string{}
		for path, methods := range document.Paths {
			for method := range methods {
				if method != "parameters" && method != "summary" {
					want = append(want, strings.ToUpper(method)+" "+path)
				}
			}
		}
		var got []string
		for _, operations := range all[part].groups {
			got = append(got, operations...)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("testdata/clerk.txt has %d operations of the %s, Clerk's description has %d, or others", len(got), part, len(want))
		}
	}
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
	e.mu.Lock()
	e.sendCheck("phone_code", "+15555550100", "", ada)
	e.mu.Unlock()
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
	do("POST", "/_emulator/subscriptions", values{"payer": ada, "plan": "free", "free_trial_days": 1})
	do("POST", "/_emulator/subscriptions", values{"payer": ada, "plan": "later", "status": "upcoming"})
	do("POST", "/_emulator/subscriptions", values{"payer": ada, "plan": "team", "status": "incomplete"})
	for _, status := range []string{"paid", "paid", "failed", "paid"} {
		do("POST", "/_emulator/subscriptions/"+ada+"/payments", values{"status": status})
	}
	var items struct{ Data []struct{ ID string } }
	if err := e.Call(t.Context(), "GET", "/v1/billing/subscription_items", nil, &items); err != nil {
		t.Fatal(err)
	}
	do("DELETE", "/v1/billing/subscription_items/"+items.Data[0].ID, nil)
	do("POST", "/v1/waitlist_entries/"+do("POST", "/v1/waitlist_entries", values{"email_address": "waits@example.com"})+"/reject", nil)
	do("POST", "/v1/phone_numbers/"+do("POST", "/v1/phone_numbers", values{"user_id": ada, "phone_number": "+15555550100"})+"/prepare_verification", nil)
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
