package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/mirror"
)

// document is openapi.yaml.
type document struct{ root map[string]any }

func loadDocument(t *testing.T) (d document) {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &d.root)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// at returns the node below keys.
func at(node any, keys ...string) any {
	for _, key := range keys {
		m, _ := node.(map[string]any)
		node = m[key]
	}
	return node
}

// resolve follows a reference.
func (d document) resolve(node any) any {
	if ref, ok := at(node, "$ref").(string); ok {
		return d.resolve(at(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
	}
	return node
}

// faults returns how a JSON value breaks a schema. It knows the words of JSON Schema that the
// document uses, and refuses others.
func (d document) faults(where string, schema, value any) (faults []string) {
	s, _ := d.resolve(schema).(map[string]any)
	if s == nil {
		return []string{where + ": there is no schema"}
	}
	fault := func(format string, args ...any) { faults = append(faults, where+": "+fmt.Sprintf(format, args...)) }
	for _, word := range slices.Sorted(maps.Keys(s)) {
		switch want := s[word]; word {
		case "type":
			if names, list := want.([]any); !slices.Contains(names, any(typeOf(value))) && (list || want != typeOf(value)) {
				fault("%v is no %v", value, want)
			}
		case "enum":
			if list, _ := want.([]any); !slices.ContainsFunc(list, func(a any) bool { return fmt.Sprint(a) == fmt.Sprint(value) }) {
				fault("%v is not in the list", value)
			}
		case "pattern":
			if text, ok := value.(string); !ok || !regexp.MustCompile(want.(string)).MatchString(text) {
				fault("%v does not match %v", value, want)
			}
		case "minimum", "maximum":
			if n, _ := value.(float64); word == "minimum" && n < float64(want.(int)) || word == "maximum" && n > float64(want.(int)) {
				fault("%v is beyond %v", value, want)
			}
		case "maxLength":
			if text, _ := value.(string); len(text) > want.(int) {
				fault("it is too long")
			}
		case "required":
			for _, name := range want.([]any) {
				if _, has := at(value).(map[string]any)[name.(string)]; !has {
					fault("%v is missing", name)
				}
			}
		case "anyOf":
			if list, _ := want.([]any); !slices.ContainsFunc(list, func(a any) bool { return len(d.faults(where, a, value)) == 0 }) {
				fault("%v is none of %v", value, want)
			}
		case "items":
			list, _ := value.([]any)
			for i, item := range list {
				faults = append(faults, d.faults(where+"."+strconv.Itoa(i), want, item)...)
			}
		case "properties":
			members, _ := value.(map[string]any)
			for name, member := range members {
				switch property := at(want, name); {
				case property != nil:
					faults = append(faults, d.faults(where+"."+name, property, member)...)
				case s["additionalProperties"] == false:
					fault("there is no property %s", name)
				}
			}
		case "additionalProperties", "description", "format":
		default:
			fault("the test does not know %q", word)
		}
	}
	return faults
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// check compares an answer with the document.
func (d document) check(t *testing.T, path string, a answer) {
	t.Helper()
	response := d.resolve(at(d.root, "paths", path, "get", "responses", strconv.Itoa(a.status)))
	schema := at(response, "content", a.header.Get("Content-Type"), "schema")
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Errorf("%d %s: %v", a.status, a.body, err)
	}
	for _, fault := range d.faults(strconv.Itoa(a.status), schema, value) {
		t.Error(fault)
	}
}

func TestOpenAPIParameters(t *testing.T) {
	t.Parallel()
	d := loadDocument(t)
	want := map[string][]string{"/api/changes": slices.Sorted(maps.Keys(parameters))}
	for _, route := range (&handler{}).readingRoutes() {
		want[route.path] = slices.Sorted(slices.Values(append([]string{feedhttp.Parameter}, route.parameters...)))
	}
	paths, _ := at(d.root, "paths").(map[string]any)
	if got, want := slices.Sorted(maps.Keys(paths)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("the document has the paths %v, the handler %v", got, want)
	}
	for path, want := range want {
		var named []string
		list, _ := at(d.root, "paths", path, "get", "parameters").([]any)
		for _, p := range list {
			if p := d.resolve(p); at(p, "in") == "query" {
				named = append(named, fmt.Sprint(at(p, "name")))
			}
		}
		slices.Sort(named)
		if !slices.Equal(named, want) {
			t.Errorf("%s: the document has the parameters %v, the handler %v", path, named, want)
		}
	}
	for name, p := range readingParameters { // words that the document lists, the handler takes, and no others
		list, _ := at(d.root, "components", "parameters", name, "schema", "enum").([]any)
		if got := fmt.Sprint(list); list != nil && got != fmt.Sprint(p.allowed) {
			t.Errorf("%s: the document has the words %s, the handler %v", name, got, p.allowed)
		}
	}
	kinds, _ := at(d.root, "components", "schemas", "Kind", "enum").([]any)
	if got, want := fmt.Sprint(kinds), fmt.Sprint(clerk.Kinds()); got != want {
		t.Errorf("the document has the kinds %s, the mirror %s", got, want)
	}
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
		d.check(t, "/api/changes", a)
	}
	_ = s.m.Close()
	if a := s.ask("/api/changes?after=0", operatorToken); a.status != http.StatusServiceUnavailable {
		t.Errorf("a closed database: %d %s", a.status, a.body)
	} else {
		seen[a.status] = true
		d.check(t, "/api/changes", a)
	}
	responses, _ := at(d.root, "paths", "/api/changes", "get", "responses").(map[string]any)
	for status := range responses {
		if n, _ := strconv.Atoi(status); !seen[n] {
			t.Errorf("no answer has the status %s", status)
		}
	}
}
