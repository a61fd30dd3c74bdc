package clerk

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Value is a JSON value. It never changes, and copying it is cheap. The zero Value is absent:
// [Value.Get] returns it for a key that an object does not have.
type Value struct {
	kind    valueKind
	text    string   // strings: the text; numbers: the literal as sent
	members []member // objects: sorted by key; arrays: keys empty
}

type member struct {
	key   string
	value Value
}

type valueKind uint8

const (
	absent valueKind = iota
	null
	boolFalse
	boolTrue
	number
	text
	array
	object
)

// Exists reports whether there is a value. JSON null is a value.
func (v Value) Exists() bool { return v.kind != absent }

// IsNull reports whether v is JSON null. An absent value is not null.
func (v Value) IsNull() bool { return v.kind == null }

// IsObject reports whether v is a JSON object.
func (v Value) IsObject() bool { return v.kind == object }

// IsArray reports whether v is a JSON array.
func (v Value) IsArray() bool { return v.kind == array }

// Get returns the value of an object's member. The value is absent if v is not an object or has no
// such member.
func (v Value) Get(key string) Value {
	if i, ok := v.index(key); ok {
		return v.members[i].value
	}
	return Value{}
}

func (v Value) index(key string) (int, bool) {
	if v.kind != object {
		return 0, false
	}
	return slices.BinarySearchFunc(v.members, key, func(m member, k string) int { return strings.Compare(m.key, k) })
}

// Len returns the number of members of an object or of elements of an array. It is 0 for anything
// else.
func (v Value) Len() int { return len(v.members) }

// All iterates over the members of an object, sorted by key, or over the elements of an array, each
// with the key "".
func (v Value) All() func(yield func(key string, value Value) bool) {
	return func(yield func(string, Value) bool) {
		for _, m := range v.members {
			if !yield(m.key, m.value) {
				return
			}
		}
	}
}

// Text returns the text of a JSON string. ok is false for anything else.
func (v Value) Text() (s string, ok bool) { return v.text, v.kind == text }

// String returns the text of a JSON string, and "" for anything else. For the encoding as JSON see
// [Value.JSON].
func (v Value) String() string {
	if v.kind == text {
		return v.text
	}
	return ""
}

// Bool reports whether v is JSON true.
func (v Value) Bool() bool { return v.kind == boolTrue }

// Int returns the value of a JSON integer. ok is false for anything else: other types, numbers with
// a fraction or an exponent, and integers beyond 64 bits.
func (v Value) Int() (n int64, ok bool) {
	if v.kind != number {
		return 0, false
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	return n, err == nil
}

// With returns a copy of an object in which key has the given value. It returns v itself if v is
// not an object.
func (v Value) With(key string, value Value) Value {
	if v.kind != object {
		return v
	}
	i, found := v.index(key)
	if found {
		v.members = slices.Clone(v.members)
		v.members[i].value = value
		return v
	}
	v.members = slices.Insert(slices.Clone(v.members), i, member{key, value})
	return v
}

// Without returns a copy of an object that lacks the members for whose keys drop returns true. It
// returns v itself if v is not an object.
func (v Value) Without(drop func(key string) bool) Value {
	if v.kind != object {
		return v
	}
	kept := make([]member, 0, len(v.members))
	for _, m := range v.members {
		if !drop(m.key) {
			kept = append(kept, m)
		}
	}
	v.members = kept
	return v
}

// Map returns a copy of v in which members of objects, at any depth, are replaced by what replace
// returns for them. If replace returns false, Map keeps the member and goes into its value. If
// replace returns the value that it was given, Map keeps the member and does not go into it. If
// nothing was replaced, Map returns v itself, and changed is false.
func (v Value) Map(replace func(key string, value Value) (Value, bool)) (mapped Value, changed bool) {
	if v.kind != object && v.kind != array {
		return v, false
	}
	var copied []member
	for i, m := range v.members {
		next, done := Value{}, false
		if v.kind == object {
			next, done = replace(m.key, m.value)
		}
		switch {
		case !done:
			next, done = m.value.Map(replace)
		case next.same(m.value):
			done = false
		}
		if !done {
			continue
		}
		if copied == nil {
			copied = slices.Clone(v.members)
		}
		copied[i].value = next
	}
	if copied == nil {
		return v, false
	}
	v.members = copied
	return v, true
}

// same reports whether w is v or a copy of it. It compares pointers, not the members.
func (v Value) same(w Value) bool {
	return v.kind == w.kind && v.text == w.text && len(v.members) == len(w.members) &&
		(len(v.members) == 0 || &v.members[0] == &w.members[0])
}

// Equal reports whether two values have the same canonical encoding.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.text == w.text &&
		slices.EqualFunc(v.members, w.members, func(a, b member) bool { return a.key == b.key && a.value.Equal(b.value) })
}

// AppendJSON appends the canonical encoding to dst. An absent value is encoded as null.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case boolFalse:
		return append(dst, "false"...)
	case boolTrue:
		return append(dst, "true"...)
	case number:
		return append(dst, v.text...)
	case text:
		return appendText(dst, v.text)
	case array:
		dst = append(dst, '[')
		for i, m := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.value.AppendJSON(dst)
		}
		return append(dst, ']')
	case object:
		dst = append(dst, '{')
		for i, m := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, m.key), ':')
			dst = m.value.AppendJSON(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

// AppendJSONWithout appends the canonical encoding of an object to dst, without the members for
// whose keys drop returns true. It is [Value.AppendJSON] if v is not an object.
func (v Value) AppendJSONWithout(dst []byte, drop func(key string) bool) []byte {
	if v.kind != object {
		return v.AppendJSON(dst)
	}
	dst = append(dst, '{')
	empty := true
	for _, m := range v.members {
		if drop(m.key) {
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = append(appendText(dst, m.key), ':')
		dst = m.value.AppendJSON(dst)
	}
	return append(dst, '}')
}

// JSON returns the canonical encoding.
func (v Value) JSON() string {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = v.AppendJSON((*buffer)[:0])
	return string(*buffer)
}

// buffers holds buffers of type *[]byte for [Value.JSON].
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// MarshalJSON writes the canonical encoding.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// UnmarshalJSON reads JSON with [Parse].
func (v *Value) UnmarshalJSON(data []byte) (err error) {
	*v, err = Parse(data)
	return err
}

var (
	_ json.Marshaler   = Value{}
	_ json.Unmarshaler = (*Value)(nil)
)

// Null returns JSON null.
func Null() Value { return Value{kind: null} }

// Text returns a JSON string. NUL and invalid UTF-8 in s become U+FFFD, as in [Parse].
func Text(s string) Value {
	return Value{kind: text, text: strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")}
}

// Array returns a JSON array of the values.
func Array(values ...Value) Value {
	v := Value{kind: array, members: make([]member, len(values))}
	for i, e := range values {
		v.members[i].value = e
	}
	return v
}

// Object returns a JSON object without members. Add members with [Value.With].
func Object() Value { return Value{kind: object} }

const hexDigits = "0123456789abcdef"

// appendText appends a JSON string with the fewest escapes that RFC 8259 allows.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
