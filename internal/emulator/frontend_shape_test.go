package emulator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// description is Clerk's own description of one of its APIs, which stands beside the repository.
// Another project's library reads and judges it.
type description struct {
	except     map[string]string              // see exceptions
	operations map[string]*openapi3.Operation // by method and path, with {} for each variable
	errors     *openapi3.SchemaRef
	used       map[string]bool // exceptions that were needed
}

// exceptions are where Clerk's description contradicts Clerk's own SDKs, so that it cannot be the
// judge. A key is an operation, or * for all, and the place in the answer; * stands for a name or
// an index. A value says what is wrong with the description.
func exceptions() map[string]string {
	return map[string]string{}
}

// undescribed are the routes that Clerk's SDKs call though the description lacks them, with who
// does.
func undescribed() map[string]string {
	return map[string]string{
		"GET /v1/client/sessions/{id}/verify": "clerk-js reads a verification again when it is reloaded",
		"GET /clients/handshake_payload":      "@clerk/backend exchanges the nonce of a handshake",
	}
}

// describe returns the description of the Frontend API, or nil if it is not beside the repository.
func describe(t *testing.T) *description {
	t.Helper()
	return readDescription(t, "fapi-2026-05-12.yml", exceptions())
}

// frontendDescription is read once: many tests compare with it.
var frontendDescription = sync.OnceValues(func() (*openapi3.T, error) { return loadDescription("fapi-2026-05-12.yml") })

// loadDescription returns nil if the description is not beside the repository.
func loadDescription(name string) (*openapi3.T, error) {
	file := filepath.Join("..", "..", "..", "shared", "clerk", "openapi", name)
	document, err := openapi3.NewLoader().LoadFromFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return document, err
}

func readDescription(t *testing.T, name string, except map[string]string) *description {
	t.Helper()
	load := frontendDescription
	if !strings.HasPrefix(name, "fapi") {
		load = func() (*openapi3.T, error) { return loadDescription(name) }
	}
	document, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if document == nil {
		return nil
	}
	d := &description{except: except, operations: map[string]*openapi3.Operation{}, used: map[string]bool{}}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			d.operations[method+" "+anonymous(path)] = operation
		}
	}
	if d.errors = document.Components.Schemas["ClerkErrors"]; d.errors == nil {
		t.Fatal("the description has no ClerkErrors")
	}
	return d
}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// anonymous replaces the names of the variables in a path: ours and Clerk's differ.
func anonymous(path string) string { return variable.ReplaceAllString(path, "{}") }

// problems are where an answer is not as Clerk describes it.
func (d *description) problems(route string, a answer) []string {
	operation := d.operations[anonymous(route)]
	if operation == nil && undescribed()[route] != "" {
		return nil
	}
	if operation == nil {
		return []string{"Clerk's description has no such operation"}
	}
	response := operation.Responses.Status(a.status)
	if response == nil {
		return []string{fmt.Sprintf("Clerk's description has no answer %d", a.status)}
	}
	media := response.Value.Content.Get("application/json")
	if media == nil {
		return nil
	}
	return d.wrong(route, media.Schema, a.body)
}

func (d *description) wrong(route string, schema *openapi3.SchemaRef, body []byte) []string {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{err.Error()}
	}
	var all []string
	for _, one := range unfold(schema.Value.VisitJSON(value, openapi3.MultiErrors())) {
		at := strings.Join(one.JSONPointer(), ".")
		if key := d.exception(route, at); key != "" {
			d.used[key] = true
			continue
		}
		all = append(all, at+": "+one.Reason)
	}
	return all
}

// exception returns the key of the exception that an error is one of, or an empty text.
func (d *description) exception(route, at string) string {
	for key := range d.except {
		where, place, _ := strings.Cut(key, ": ")
		if where != "*" && where != anonymous(route) {
			continue
		}
		if matched, err := filepath.Match(strings.ReplaceAll(place, ".", "/"), strings.ReplaceAll(at, ".", "/")); err == nil && matched {
			return key
		}
	}
	return ""
}

// unfold returns the single errors of a result of the judge.
func unfold(err error) []*openapi3.SchemaError {
	var several openapi3.MultiError
	var one *openapi3.SchemaError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		var all []*openapi3.SchemaError
		for _, inner := range several {
			all = append(all, unfold(inner)...)
		}
		return all
	case errors.As(err, &one):
		return []*openapi3.SchemaError{one}
	}
	return []*openapi3.SchemaError{{Reason: err.Error()}}
}

// front is a browser whose answers are compared with Clerk's description.
type front struct {
	*tab
	clerk     *description // nil: not here
	exercised map[string]bool
}

// do makes a request that must succeed, and returns its answer as JSON.
func (f *front) do(method, path string, pairs ...string) any {
	f.t.Helper()
	return f.judged(method, path, f.send(method, "/v1"+path, form(pairs...)))
}

func (f *front) judged(method, path string, a answer) any {
	f.t.Helper()
	route := strings.Replace(a.pattern, " /v1", " ", 1)
	if a.status/100 > 3 {
		f.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	f.exercised[route] = true
	if f.clerk != nil {
		for _, wrong := range f.clerk.problems(strings.Replace(route, " ", " /v1", 1), a) {
			f.t.Errorf("%s: %s", route, wrong)
		}
	}
	for _, secret := range []string{"private_metadata", "pbkdf2", "totp_secret", "private-mark"} {
		if strings.Contains(string(a.body), secret) {
			f.t.Errorf("%s shows %s", route, secret)
		}
	}
	var value any
	if a.status == http.StatusOK {
		decode(f.t, a.body, &value)
	}
	return value
}

// refusal makes a request that must be refused so.
func (f *front) refusal(status int, code, method, path string, pairs ...string) {
	f.t.Helper()
	a := f.send(method, "/v1"+path, form(pairs...))
	if a.status != status || !strings.Contains(string(a.body), `"code":"`+code+`"`) {
		f.t.Errorf("%s %s: %d %s, want %d %s", method, path, a.status, a.body, status, code)
	}
	if f.clerk != nil {
		for _, wrong := range f.clerk.wrong("*", f.clerk.errors, a.body) {
			f.t.Errorf("%s %s: %s", method, path, wrong)
		}
	}
}

// response makes a request that must succeed, and returns the object in its answer.
func (f *front) response(method, path string, pairs ...string) object {
	f.t.Helper()
	o, ok := f.do(method, path, pairs...).(object)["response"].(object)
	if !ok {
		f.t.Fatalf("%s %s: the response is no object", method, path)
	}
	return o
}

func (f *front) id(method, path string, pairs ...string) string {
	f.t.Helper()
	return f.response(method, path, pairs...)["id"].(string)
}

// A judge that lets everything pass would judge nothing.
func TestTheJudgeOfTheFrontendRefuses(t *testing.T) {
	t.Parallel()
	d := describe(t)
	if d == nil {
		t.Skip("../shared is absent: there is no description of Clerk's")
	}
	const deleted = `{"response":{"object":"user","id":"user_1","deleted":true},"client":null}`
	for name, test := range map[string]struct {
		route, body, want string
	}{
		"as it is":          {"DELETE /v1/me", deleted, ""},
		"no client":         {"DELETE /v1/me", `{"response":{"object":"user","deleted":true}}`, `client: property "client" is missing`},
		"another type":      {"DELETE /v1/me", strings.Replace(deleted, "true", "1", 1), "response.deleted: value must be a boolean"},
		"an unknown field":  {"DELETE /v1/me", strings.Replace(deleted, `"deleted"`, `"slug":null,"deleted"`, 1), "response.slug: Value is not nullable"},
		"an unknown route":  {"DELETE /v1/you", deleted, "Clerk's description has no such operation"},
		"other variables":   {"GET /v1/me/email_addresses/{x}", `{"response":null,"client":null}`, "response: Value is not nullable"},
		"inside of a list":  {"GET /v1/me/email_addresses", `[{}]`, `0.id: property "id" is missing`},
		"no JSON":           {"DELETE /v1/me", `<html>`, "invalid character"},
		"none of the kinds": {"GET /v1/me/email_addresses", `[{"verification":{"strategy":"guess"}}]`, "0.verification"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(d.problems(test.route, answer{status: 200, body: []byte(test.body)}), "; ")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
