package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// document is openapi.yaml. Another project's library reads and judges it.
type document struct{ *openapi3.T }

var readDocument = sync.OnceValues(func() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	d, err := loader.LoadFromFile("openapi.yaml")
	if err == nil {
		err = d.Validate(loader.Context)
	}
	return d, err
})

func loadDocument(t *testing.T) document {
	t.Helper()
	d, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	return document{d}
}

// operation returns what the document has about a route.
func (d document) operation(method, path string) *openapi3.Operation {
	item := d.Paths.Value(path)
	if item == nil {
		return nil
	}
	if method != http.MethodGet && item.GetOperation(method) != nil {
		return item.GetOperation(method)
	}
	return item.Get
}

// faults returns how the JSON of a body breaks a schema.
func faults(schema *openapi3.SchemaRef, body string) error {
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		return err
	}
	return schema.Value.VisitJSON(value, openapi3.SetSchemaErrorMessageCustomizer(func(e *openapi3.SchemaError) string {
		return strings.Join(e.JSONPointer(), "/") + ": " + e.Reason
	}))
}

// check compares an answer with the document.
func (d document) check(t *testing.T, method, path string, a answer) {
	t.Helper()
	operation := d.operation(method, path)
	if operation == nil {
		t.Errorf("the document has no %s %s", method, path)
		return
	}
	response := operation.Responses.Status(a.status)
	if response == nil {
		response = operation.Responses.Value(strconv.Itoa(a.status/100) + "XX")
	}
	if response == nil {
		t.Errorf("%s %s: the document has no %d", method, path, a.status)
		return
	}
	media := response.Value.Content.Get(a.header.Get("Content-Type"))
	if media == nil {
		t.Errorf("%s %s: %d has the type %s", method, path, a.status, a.header.Get("Content-Type"))
		return
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/") {
		return
	}
	if err := faults(media.Schema, a.body); err != nil {
		t.Errorf("%s %s: %d %.2000s: %v", method, path, a.status, a.body, err)
	}
}

// The document and the handler have the same routes, parameters and bodies.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	d := loadDocument(t)
	var want, got []string
	for _, route := range (&handler{}).table() {
		want = append(want, route.method+" "+route.path)
		operation := d.operation(route.method, route.path)
		if operation == nil || d.Paths.Value(route.path).GetOperation(route.method) == nil {
			continue // reported below
		}
		allowed := map[string][]string{}
		for _, key := range route.parameters {
			name, _, _ := strings.Cut(key, ":")
			allowed[name] = queryParameters[key].allowed
		}
		var documented, inPath []string
		for _, p := range operation.Parameters {
			switch p.Value.In {
			case "query":
				documented = append(documented, p.Value.Name)
			case "path":
				inPath = append(inPath, "{"+p.Value.Name+"}")
			}
			words, own := p.Value.Schema.Value.Enum, allowed[p.Value.Name]
			if p.Value.In == "query" && route.stream == nil && words != nil && fmt.Sprint(words) != fmt.Sprint(own) {
				t.Errorf("%s: the document has the words %v, the handler %v", p.Value.Name, words, own)
			}
		}
		slices.Sort(documented)
		if own := route.parameterNames(); !slices.Equal(documented, own) {
			t.Errorf("%s: the document has the parameters %v, the handler %v", route.path, documented, own)
		}
		if variables := pathVariables(route.path); !slices.Equal(inPath, variables) {
			t.Errorf("%s: the document has %v, the path %v", route.path, inPath, variables)
		}
		var members []string
		if body := operation.RequestBody; body != nil {
			schema := body.Value.Content.Get("application/json").Schema.Value
			members = slices.Sorted(maps.Keys(schema.Properties))
			if schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has {
				t.Errorf("%s: the document allows other members than %v", route.path, members)
			}
		}
		if own := route.members(); !slices.Equal(members, own) {
			t.Errorf("%s %s: the document has the body %v, the handler %v", route.method, route.path, members, own)
		}
	}
	for path, item := range d.Paths.Map() {
		for method := range item.Operations() {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the document has\n%v\nthe handler\n%v", got, want)
	}
	if got, want := fmt.Sprint(d.Components.Schemas["Kind"].Value.Enum), fmt.Sprint(clerk.Kinds()); got != want {
		t.Errorf("the document has the kinds %s, the mirror %s", got, want)
	}
}

// members returns the names of the members of the body of a route, sorted.
func (r route) members() (names []string) {
	if r.body == nil {
		return nil
	}
	names = fieldNames(reflect.TypeOf(r.body).Elem())
	slices.Sort(names)
	return names
}

func pathVariables(path string) (variables []string) {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			variables = append(variables, part)
		}
	}
	return variables
}

// Answers of the handler are as the document says.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	d := loadDocument(t)
	s := newSite(t, Options{Rule: adminRule(), MaxStreamsPerClient: -1})
	_, member := s.user("ada@example.com", "growth")
	s.clerk.DeleteUser(s.clerk.CreateUser(userNumber(1)))
	s.clerk.Settle()
	end := s.page("").Next
	seq, _, err := end.Split()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, c := range []struct {
		query, token, method string
		status               int
	}{
		{"after=0", operatorToken, "GET", 200},
		{"", operatorToken, "GET", 200},
		{"after=0&include=object", operatorToken, "GET", 200},
		{"snapshot=all&include=object", operatorToken, "GET", 200},
		{"after=x", operatorToken, "GET", 400},
		{"kinds=users", operatorToken, "GET", 400},
		{"", "", "GET", 401},
		{"", member, "GET", 403},
		{"", operatorToken, "POST", 405},
		{"after=" + string(mirror.NewFeedCursor(seq, "00000000")), operatorToken, "GET", 410},
		{"after=" + string(mirror.NewFeedCursor(seq+9, "00000000")), operatorToken, "GET", 410},
		{"after=0&wait=1", operatorToken, "GET", 429},
	} {
		a := s.ask("/api/changes?"+c.query, c.token, func(r *http.Request) { r.Method = c.method })
		if a.status != c.status {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
			continue
		}
		seen[a.status] = true
		d.check(t, "GET", "/api/changes", a)
	}
	_ = s.m.Close()
	if a := s.ask("/api/changes?after=0", operatorToken); a.status != http.StatusServiceUnavailable {
		t.Errorf("a closed database: %d %s", a.status, a.body)
	} else {
		seen[a.status] = true
		d.check(t, "GET", "/api/changes", a)
	}
	for status := range d.operation("GET", "/api/changes").Responses.Map() {
		if n, _ := strconv.Atoi(status); !seen[n] {
			t.Errorf("no answer has the status %s", status)
		}
	}
}
