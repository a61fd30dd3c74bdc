package emulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// shapes are the fields of Clerk's objects, as Clerk documents them: testdata/shapes. A kind is an
// object of fields, or the name of several kinds. Types are text, int, bool, object, null, true; ms
// and seconds are times since 1970; 'x' is that text, in which * stands for anything; [x] is an
// array of x; #kind is an object of the kind; page(x) is a page of a list; a|b is either. A field
// whose type ends in " ?" may be absent. The field "+" takes over those of another kind.
type shapes map[string]any

func loadShapes(t testing.TB) shapes {
	t.Helper()
	s := shapes{}
	for _, name := range []string{"users", "sessions", "organizations", "billing", "machines", "others"} {
		var more shapes
		decode(t, readShapes(t, name), &more)
		for kind, shape := range more {
			if s[kind] != nil {
				t.Fatalf("two shapes for %s", kind)
			}
			s[kind] = shape
		}
	}
	return s
}

func readShapes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "shapes", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shapesOf reads a table that says which type something has.
func shapesOf(t testing.TB, name string) map[string]string {
	t.Helper()
	var table map[string]string
	decode(t, readShapes(t, name), &table)
	return table
}

// problems are where JSON is not of a type.
func (s shapes) problems(body []byte, typ string) []string {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return []string{err.Error()}
	}
	return s.check("", value, typ)
}

// check judges a value by the alternative that fits best.
func (s shapes) check(at string, value any, typ string) []string {
	var best []string
	for i, alternative := range alternatives(typ) {
		wrong := s.checkOne(at, value, alternative)
		if len(wrong) == 0 {
			return nil
		}
		if i == 0 || len(wrong) < len(best) {
			best = wrong
		}
	}
	return best
}

// alternatives splits at each | that is in no brackets.
func alternatives(typ string) []string {
	var all []string
	depth, start := 0, 0
	for i, r := range typ {
		switch r {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		case '|':
			if depth == 0 {
				all, start = append(all, typ[start:i]), i+1
			}
		}
	}
	return append(all, typ[start:])
}

func (s shapes) checkOne(at string, value any, typ string) []string {
	switch {
	case strings.HasPrefix(typ, "#"):
		kind, ok := s[typ[1:]]
		if !ok {
			return []string{at + ": the table has no " + typ}
		}
		if alias, ok := kind.(string); ok {
			return s.check(at, value, alias)
		}
		return s.checkObject(at, value, typ[1:])
	case strings.HasPrefix(typ, "["):
		return s.checkList(at, value, typ[1:len(typ)-1])
	case strings.HasPrefix(typ, "page("):
		return s.checkPage(at, value, typ[len("page("):len(typ)-1])
	}
	if !isA(value, typ) {
		return []string{fmt.Sprintf("%s is %s, want %s", at, excerpt(value), typ)}
	}
	return nil
}

func excerpt(value any) string {
	b, _ := json.Marshal(value)
	return fmt.Sprintf("%.100s", b)
}

func isA(value any, typ string) bool {
	const year2000, year2100 = 946_684_800, 4_102_444_800
	switch v := value.(type) {
	case nil:
		return typ == "null"
	case bool:
		return typ == "bool" || typ == strconv.FormatBool(v)
	case string:
		fits, err := path.Match(strings.Trim(typ, "'"), v)
		return typ == "text" || typ[0] == '\'' && err == nil && fits
	case map[string]any:
		return typ == "object"
	case json.Number:
		n, err := v.Int64()
		seconds := map[string]float64{"ms": 1000, "seconds": 1}[typ]
		return err == nil && (typ == "int" || seconds > 0 && math.Abs(float64(n)) > year2000*seconds && float64(n) < year2100*seconds)
	}
	return false
}

func (s shapes) checkList(at string, value any, typ string) []string {
	items, ok := value.([]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %s, want an array", at, excerpt(value))}
	}
	var wrong []string
	for i, item := range items {
		wrong = append(wrong, s.check(fmt.Sprintf("%s[%d]", at, i), item, typ)...)
	}
	return wrong
}

func (s shapes) checkPage(at string, value any, typ string) []string {
	page, ok := value.(map[string]any)
	if !ok || len(page) != 2 || !isA(page["total_count"], "int") {
		return []string{fmt.Sprintf("%s is %s, want data and total_count", at, excerpt(value))}
	}
	return s.checkList(at+".data", page["data"], typ)
}

// fields are those of a kind, with what it takes over.
func (s shapes) fields(kind string) map[string]any {
	own := maps.Clone(s[kind].(map[string]any))
	if base, ok := own["+"].(string); ok {
		delete(own, "+")
		whole := s.fields(base)
		maps.Copy(whole, own)
		return whole
	}
	return own
}

func (s shapes) checkObject(at string, value any, kind string) []string {
	o, ok := value.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %s, want %s", at, excerpt(value), kind)}
	}
	var wrong []string
	fields := s.fields(kind)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		typ, optional := strings.CutSuffix(fields[name].(string), " ?")
		if inner, present := o[name]; present {
			wrong = append(wrong, s.check(at+"."+name, inner, typ)...)
		} else if !optional {
			wrong = append(wrong, fmt.Sprintf("%s.%s is missing", at, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if fields[name] == nil {
			wrong = append(wrong, fmt.Sprintf("%s.%s is no field of %s", at, name, kind))
		}
	}
	return wrong
}

// event are the problems of an event, by its type.
func (s shapes) event(body []byte, types map[string]string) (eventType string, wrong []string) {
	var envelope struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return "", []string{err.Error()}
	}
	wrong = s.problems(body, "#event")
	if types[envelope.Type] == "" {
		return envelope.Type, append(wrong, "the table has no event "+envelope.Type)
	}
	return envelope.Type, append(wrong, s.problems(envelope.Data, types[envelope.Type])...)
}

// The table itself is judged by the payloads of the whole story.
func TestShapesFitTheStory(t *testing.T) {
	t.Parallel()
	s, types := loadShapes(t), shapesOf(t, "events")
	folder := filepath.Join(testenv.Root(t), "clerk", "testdata", "events")
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		eventType, wrong := s.event(testenv.Fixture(t, "clerk/testdata/events/"+f.Name()), types)
		seen[eventType] = true
		for _, w := range wrong {
			t.Errorf("%s: %s", f.Name(), w)
		}
	}
	for eventType := range types {
		if !seen[eventType] {
			t.Errorf("the story has no %s", eventType)
		}
	}
}

// A table that lets everything pass would judge nothing.
func TestShapesRefuse(t *testing.T) {
	t.Parallel()
	s := loadShapes(t)
	good := object{
		"id": "client_1", "object": "organization", "name": "n", "slug": "s", "has_image": true, "max_allowed_memberships": 0,
		"admin_delete_enabled": true, "public_metadata": object{}, "created_at": 1780000000000, "updated_at": 1780000000000,
	}
	for name, test := range map[string]struct {
		change object
		want   string
	}{
		"as it is":          {nil, ""},
		"missing":           {object{"slug": missing{}}, ".slug is missing"},
		"null":              {object{"name": nil}, ".name is null, want text"},
		"of another type":   {object{"has_image": 1}, ".has_image is 1, want bool"},
		"a broken number":   {object{"max_allowed_memberships": 1.5}, ".max_allowed_memberships is 1.5, want int"},
		"seconds":           {object{"created_at": 1780000000}, ".created_at is 1780000000, want ms"},
		"unknown":           {object{"colour": "red"}, ".colour is no field of organization"},
		"of another object": {object{"object": "user"}, `.object is "user", want 'organization'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := maps.Clone(good)
			for field, value := range test.change {
				if o[field] = value; value == (missing{}) {
					delete(o, field)
				}
			}
			body, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.problems(body, "#organization"), "; "); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// missing marks a field to leave out.
type missing struct{}
