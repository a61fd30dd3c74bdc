package yamlfile

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/internal/nearest"
)

// Text is implemented by values that a text may stand for, such as an e-mail address for an object
// with only that.
type Text interface{ SetText(text string) }

func (d *Document) into(n *yaml.Node, into any) {
	d.decode(n, reflect.ValueOf(into).Elem(), "", 0)
}

// decode reads a node into a value. Null leaves it as it is.
func (d *Document) decode(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n = d.resolve(n, path, depth); n == nil {
		return
	}
	d.lines[path] = n.Line
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if custom := d.custom(n, v, path); custom {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, v, path, depth)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.wrongType(n, path, "a list", "write it as [a, b], or one item a line after a dash")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.decode(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			d.wrongType(n, path, "an object", "")
			return
		}
		v.Set(reflect.ValueOf(d.anything(n, path, depth)).Convert(v.Type()))
	default:
		d.scalar(n, v, path)
	}
}

// resolve follows an alias. It returns nil, and reports it, for a file that is too large.
func (d *Document) resolve(n *yaml.Node, path string, depth int) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.nodes++
	switch {
	case depth > maxDepth:
		d.report(n.Line, path, "is nested too deeply", "")
	case d.nodes == maxNodes+1:
		d.report(n.Line, path, fmt.Sprintf("is too much: the file has more than %d values", maxNodes), "")
	}
	if depth > maxDepth || d.nodes > maxNodes {
		return nil
	}
	return n
}

// custom reads what has a form of its own.
func (d *Document) custom(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch own := v.Addr().Interface().(type) {
	case Text:
		if d.isText(n, path) {
			own.SetText(n.Value)
		}
	case json.Unmarshaler:
		if !d.isText(n, path) {
			return true
		}
		quoted, _ := json.Marshal(n.Value) //nolint:errchkjson // a text
		if err := own.UnmarshalJSON(quoted); err != nil {
			d.report(n.Line, path, "is not valid: "+err.Error(), "")
		}
	default:
		return false
	}
	return true
}

func (d *Document) wrongType(n *yaml.Node, path, want, remedy string) {
	have := map[yaml.Kind]string{yaml.MappingNode: "an object", yaml.SequenceNode: "a list"}[n.Kind]
	if n.Kind == yaml.ScalarNode {
		have = map[string]string{
			"!!str": "a text", "!!int": "a number", "!!float": "a number", "!!bool": "true or false", "!!timestamp": "a time",
		}[n.ShortTag()]
	}
	if have == "" {
		have = "a " + n.ShortTag()
	}
	d.report(n.Line, path, fmt.Sprintf("must be %s, not %s", want, have), remedy)
}

func (d *Document) isText(n *yaml.Node, path string) bool {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp") {
		return true
	}
	remedy := ""
	if n.Kind == yaml.ScalarNode {
		remedy = fmt.Sprintf("put it in quotes: %q", n.Value)
	}
	d.wrongType(n, path, "a text", remedy)
	return false
}

func (d *Document) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if d.isText(n, path) {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		var b bool
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&b) != nil {
			d.wrongType(n, path, "true or false", "")
		}
		v.SetBool(b)
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
			d.wrongType(n, path, "a whole number", "")
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		f, ok := number(n)
		if !ok {
			d.wrongType(n, path, "a number", "")
		}
		v.SetFloat(f)
	default:
		panic("yamlfile: cannot read into " + v.Type().String())
	}
}

// number returns a number that JSON can write.
func number(n *yaml.Node) (float64, bool) {
	var f float64
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" || n.Decode(&f) != nil {
		return 0, false
	}
	return f, !math.IsNaN(f) && !math.IsInf(f, 0)
}

// object reads an object into a struct.
func (d *Document) object(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, path, "an object", "")
		return
	}
	fields, names := map[string]reflect.Value{}, []string{}
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name != "" {
			fields[name] = v.Field(i)
			names = append(names, name)
		}
	}
	d.entries(n, path, depth, func(key, value *yaml.Node, path string) {
		field, known := fields[key.Value]
		if !known {
			d.report(key.Line, path, "is not known", suggestion(key.Value, names))
			return
		}
		d.decode(value, field, path, depth+1)
	})
}

// suggestion names what was probably meant.
func suggestion(word string, names []string) string {
	if near := nearest.Of(word, names); nearest.Distance(word, near) <= max(2, len(near)/3) {
		return "did you mean " + near + "?"
	}
	return "known here are " + strings.Join(names, ", ")
}

// entries calls a function with each entry of an object, and with those that `<<` merges into it.
func (d *Document) entries(n *yaml.Node, path string, depth int, each func(key, value *yaml.Node, path string)) {
	seen, merged := map[string]int{}, []*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			d.report(key.Line, path, "has a key that is not a text", "")
			continue
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if line, twice := seen[key.Value]; twice {
			d.report(key.Line, at, fmt.Sprintf("is there twice, first on line %d", line), "remove one")
			continue
		}
		seen[key.Value] = key.Line
		each(key, value, at)
	}
	for _, value := range merged {
		d.merge(value, path, depth+1, func(key, value *yaml.Node, path string) {
			if _, own := seen[key.Value]; !own {
				seen[key.Value] = key.Line
				each(key, value, path)
			}
		})
	}
}

// merge calls a function with the entries of an object, or of each in a list.
func (d *Document) merge(n *yaml.Node, path string, depth int, each func(key, value *yaml.Node, path string)) {
	if n = d.resolve(n, path, depth); n == nil {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		d.entries(n, path, depth, each)
	case yaml.SequenceNode:
		for _, item := range n.Content {
			d.merge(item, path, depth+1, each)
		}
	default:
		d.report(n.Line, path, "merges something that is not an object", "write << with the alias of an object")
	}
}

// anything reads a node as encoding/json would read the same JSON.
func (d *Document) anything(n *yaml.Node, path string, depth int) any {
	if n = d.resolve(n, path, depth); n == nil {
		return nil
	}
	if n.Kind == yaml.MappingNode {
		object := map[string]any{}
		d.entries(n, path, depth, func(key, value *yaml.Node, path string) { object[key.Value] = d.anything(value, path, depth+1) })
		return object
	}
	if n.Kind == yaml.SequenceNode {
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			list = append(list, d.anything(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
		return list
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		_ = n.Decode(&b) // its tag says that it is one
		return b
	case "!!int", "!!float":
		f, ok := number(n)
		if !ok {
			d.report(n.Line, path, "is a number that JSON does not have", "put it in quotes")
		}
		return f
	}
	return n.Value
}
