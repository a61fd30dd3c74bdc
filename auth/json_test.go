package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseObject(t *testing.T) {
	t.Parallel()
	o, err := parseObject(` {"a":1 ,"b\u0063\n":` + "\t" + `{"x":[true,null,{}]},` +
		`"": "\ud83d\ude00\\\"\/\b\f\r\t" , "n":[ -0.5e+10,0 ]}` + "\n")
	if err != nil {
		t.Fatal(err)
	}
	want := object{
		{"a", "1"},
		{"bc\n", `{"x":[true,null,{}]}`},
		{"", `"\ud83d\ude00\\\"\/\b\f\r\t"`},
		{"n", "[ -0.5e+10,0 ]"},
	}
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(member{})); diff != "" {
		t.Error(diff)
	}
	if got, ok := o.text(""); !ok || got != "😀\\\"/\b\f\r\t" {
		t.Errorf("%q, %t", got, ok)
	}
	for _, key := range []string{"a", "n", "absent"} {
		if _, ok := o.text(key); ok {
			t.Errorf("%s is text", key)
		}
	}
	elements, err := parseArray(`[ 1, "a,]" ,[2,3],{"b":4}]`)
	if diff := cmp.Diff([]string{"1", `"a,]"`, "[2,3]", `{"b":4}`}, elements); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestParseObjectRefuses(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	if _, err := parseObject(deep(maxDepth - 1)); err != nil {
		t.Error(err)
	}
	keys := make([]string, 3*linearScans)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	long := "{" + strings.Join(keys, ",")
	if _, err := parseObject(long + "}"); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		deep(maxDepth), strings.Repeat("[", 1<<20),
		long + `,"k0":0}`, long + `,"k20":0}`, long + `,"k47":0}`, long + `,"new":0,"new":0}`,
		``, ` `, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`, `{'a':1}`,
		`{"a":1 "b":2}`, `[]`, `"a"`, `1`, `null`, `{}{}`, `{} x`, `{}]`, "{}\x00", "\ufeff{}", `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[}`,
		`{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":1e+}`, `{"a":-}`, `{"a":0x1}`, `{"a":NaN}`,
		`{"a":tru}`, `{"a":True}`, `{"a":nulll}`, `{"a":"` + "\n" + `"}`, `{"a":"` + "\x00" + `"}`, `{"a":"\x41"}`,
		`{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\u+123"}`, `{"a":"\u1_23"}`, `{"a":"\"}`, `{"a":"\`,
		`{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud800x"}`, `{"a":"\ud800\ud800"}`, `{"a":"\udc00\ud800"}`,
		"{\"a\":\"\xff\"}", "{\"\xed\xa0\x80\":1}", "{\"a\":\"\xc0\xaf\"}",
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"x":{"a":1,"b":2,"a":3}}`, `{"x":[{"a":1,"a":3}]}`, `{"\/":1,"/":2}`,
	} {
		if o, err := parseObject(text); err == nil || o != nil {
			t.Errorf("%.60q accepted", text)
		}
	}
}

// encoding/json reads what the scanner accepts in the same way. The scanner accepts what
// encoding/json writes.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{"sub":"user_1","exp":1.5e9,"o":{"id":"org_1"},"fva":[3,-1]}`, `{"a":"\ud83d\ude00\\","b":[true,false,null,{}]}`,
		`{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"":-0}`, "{\"\xff\":1}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseObject(text)
		if err != nil {
			var value map[string]any
			shallow := strings.Count(text, "{")+strings.Count(text, "[") < maxDepth
			if json.Unmarshal([]byte(text), &value) == nil && value != nil && shallow {
				rewritten, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := parseObject(string(rewritten)); err != nil {
					t.Errorf("%s: %v", rewritten, err)
				}
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &members); err != nil || !utf8.ValidString(text) {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if len(members) != len(o) {
			t.Fatalf("%d members, want %d", len(o), len(members))
		}
		for _, m := range o {
			if string(members[m.key]) != m.value {
				t.Errorf("%q is %q, want %q", m.key, m.value, members[m.key])
			}
			var want string
			isText := json.Unmarshal([]byte(m.value), &want) == nil && m.value != "null"
			if got, ok := o.text(m.key); ok != isText || got != want {
				t.Errorf("text %q, %t, want %q, %t", got, ok, want, isText)
			}
		}
	})
}
