package yamlfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/yamlfile"
)

type sample struct {
	Name   string         `json:"name"`
	Count  int            `json:"count"`
	Rate   float64        `json:"rate"`
	On     *bool          `json:"on"`
	Size   size           `json:"size"`
	Tags   []string       `json:"tags"`
	Items  []item         `json:"items"`
	Inside inside         `json:"inside"`
	Any    map[string]any `json:"any"`
	hidden int            //nolint:unused // must not be read
}

type inside struct {
	Deep string `json:"deep,omitempty"`
}

// size has a form of its own, as durations do.
type size int

func (s *size) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if _, err := fmt.Sscanf(text, "%d cm", (*int)(s)); err != nil {
		return errors.New(`a size is a text such as "3 cm"`)
	}
	return nil
}

// item may be written as its name alone.
type item struct {
	Name string `json:"name"`
	Good bool   `json:"good"`
}

func (i *item) SetText(text string) { i.Name = text }

func TestReadReadsYAMLAndJSONAlike(t *testing.T) {
	t.Parallel()
	want := sample{
		Name: "é😀\\", Count: 3, Rate: 0.5, On: new(true), Size: 4, Tags: []string{"a", "2024-01-01"}, Items: []item{{"x", false}, {"y", true}},
		Inside: inside{"d"}, Any: map[string]any{"n": 1.0, "f": 1.5, "t": "no", "null": nil, "list": []any{true, "x"}, "o": map[string]any{"1": 2.0}},
	}
	for name, text := range map[string]string{
		"a.yaml": `
# a comment
name: "é😀\\"
count: 3
rate: 0.5
on: true
size: 4 cm
tags: [a, 2024-01-01]
items:
  - x
  - {name: y, good: true}
inside: {deep: d}
any: {n: 1, f: 1.5, t: "no", null: ~, list: [true, x], o: {1: 2}}
`,
		"a.json": `{"name": "\u00e9\ud83d\ude00\\", "count": 3, "rate": 0.5,
	"on": true, "size": "4 cm", "tags": ["a", "2024-01-01"], "items": ["x", {"name": "y", "good": true}],
	"inside": {"deep": "d"}, "any": {"n": 1, "f": 1.5, "t": "no", "null": null, "list": [true, "x"], "o": {"1": 2}}}`,
		"merged.yaml": `
any: &any {n: 1, f: 1.5, t: "no", null: ~, list: [true, x], o: {1: 2}}
inside: &inside
  deep: d
<<: [{name: "é😀\\", inside: *inside, any: *any}, {name: not this, count: 3}]
rate: .5
on: true
size: "4 cm"
tags: ["a", "2024-01-01"]
items: [&x x, {name: y, good: true}]
`,
	} {
		// JSON is JSON under any name
		for _, name := range []string{name, strings.ReplaceAll(name, ".json", "")} {
			var got sample
			if err := yamlfile.Read(name, []byte(text), &got).Err(); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v\n%+v, want\n%+v", name, err, got, want)
			}
		}
	}
}

func TestReadReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "",
		"# nothing\n": "",
		`naem: x
count: "3"
rate: [1]
on: 1
size: 4
tags: x
items:
  - [x]
  - name: +4912345
    good: "yes"
inside: {depe: 1, deep: true}
any: 7
name: [a, b]
`: `f:1: naem is not known; did you mean name?
f:2: count must be a whole number, not a text
f:3: rate must be a number, not a list
f:4: on must be true or false, not a number
f:5: size must be a text, not a number; put it in quotes: "4"
f:6: tags must be a list, not a text; write it as [a, b], or one item a line after a dash
f:8: items[0] must be an object, not a list
f:9: items[1].name must be a text, not a number; put it in quotes: "+4912345"
f:10: items[1].good must be true or false, not a text
f:11: inside.depe is not known; did you mean deep?
f:11: inside.deep must be a text, not true or false; put it in quotes: "true"
f:12: any must be an object, not a number
f:13: name must be a text, not a list`,
		"name: x\nsize: 4 inches\nname: y\nsomething_else: 1\n": `f:2: size is not valid: a size is a text such as "3 cm"
f:3: name is there twice, first on line 1; remove one
f:4: something_else is not known; known here are name, count, rate, on, size, tags, items, inside, any`,
		"any: {a: .nan, b: .inf, ? [x] : 1, <<: 3}": `f:1: any.a is a number that JSON does not have; put it in quotes
f:1: any.b is a number that JSON does not have; put it in quotes
f:1: any has a key that is not a text
f:1: any merges something that is not an object; write << with the alias of an object`,
		"name: x\n  tags: 1":          "f:2: is not YAML: mapping values are not allowed in this context",
		"name: *x":                    "f: is not YAML: unknown anchor 'x' referenced",
		"[]":                          "f:1: must be an object, not a list",
		"any: &a {b: *a}":             "f:1: any" + strings.Repeat(".b", 64) + " is nested too deeply",
		"count: 99999999999999999999": "f:1: count must be a whole number, not a number",
	} {
		var into sample
		err := yamlfile.Read("f", []byte(text), &into).Err()
		if got := fmt.Sprint(err); got != want && !(err == nil && want == "") {
			t.Errorf("%q:\n%s\nwant:\n%s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"{\n\"name\": \"x\",\n\"naem\": 1}":   "f.json:3: naem is not known; did you mean name?",
		"{\n\"name\": \"x\",\n\"count\": }":   "f.json:3: is not JSON: invalid character '}' looking for beginning of value",
		"{\n\"name\": \"x\"\n\n":              "f.json:4: is not JSON: it ends too early",
		"{\"name\": \"x\"}\n{}":               "f.json:2: is not JSON: something follows the end of the JSON",
		strings.Repeat("[", 200):              "f.json:1: is not JSON: it is nested too deeply",
		"{\"name\":\n1, \"name\":\n \"two\"}": "f.json:2: name must be a text, not a number; put it in quotes: \"1\"\nf.json:2: name is there twice, first on line 1; remove one",
	} {
		var into sample
		if got := fmt.Sprint(yamlfile.Read("f.json", []byte(text), &into).Err()); got != want {
			t.Errorf("%q:\n%s\nwant:\n%s", text, got, want)
		}
	}
}

func TestProblemsThatTheCallerFinds(t *testing.T) {
	t.Parallel()
	var into sample
	d := yamlfile.Read("f", []byte("name: x\nitems:\n  - a\n  -\n    name: 5\n"), &into)
	for path, want := range map[string]bool{"": true, "items": true, "items[1]": true, "items[1].name": true, "items[0]": false, "name": false, "item": false} {
		if d.Reported(path) != want {
			t.Errorf("%q is reported: %v", path, !want)
		}
	}
	d.Wrong("items[0].good", "is missing", "write it")
	d.Wrong("name", "is taken", "")
	const want = "f:1: name is taken\nf:3: items[0].good is missing; write it\nf:5: items[1].name must be a text, not a number; put it in quotes: \"5\""
	if got := d.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReadBoundsItsReport(t *testing.T) {
	t.Parallel()
	var into sample
	err := yamlfile.Read("f", []byte("items:\n"+strings.Repeat("  - {x: 1}\n", 80)), &into).Err()
	var problems yamlfile.Problems
	if !errors.As(err, &problems) || len(problems) != 51 || !strings.HasSuffix(err.Error(), "f: and 30 more") {
		t.Errorf("%d problems, at the end %s", len(problems), problems[len(problems)-1])
	}
}

// Neither text of any form nor aliases that multiply hurt.
func FuzzRead(f *testing.F) {
	f.Add("a.yaml", "name: x\nitems: [a, {name: b}]\nany: {<<: {a: 1}}")
	f.Add("a.json", `{"name": "x", "items": ["a", {}], "any": {"a": [1, 2.5e300, null]}}`)
	f.Add("a", "any: &a [*a]")
	f.Add("a", "a: &a [x,x]\nb: &b [*a,*a]\nany: {c: [*b,*b]}\n? {}\n: 1")
	f.Add("a", "<<: &a {<<: *a}")
	f.Fuzz(func(t *testing.T, name, text string) {
		if len(text) > 10_000 {
			t.Skip()
		}
		var into sample
		if err := yamlfile.Read(name, []byte(text), &into).Err(); err != nil && err.Error() == "" {
			t.Error("an empty error")
		}
		if _, err := json.Marshal(into); err != nil {
			t.Errorf("%q gave what JSON cannot write: %v", text, err)
		}
	})
}
