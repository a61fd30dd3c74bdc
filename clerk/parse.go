package clerk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest in what [Parse] reads. Clerk's own objects nest
// about six levels. The rest is for metadata.
const MaxDepth = 100

// SyntaxError is the error for a text that is not valid JSON (RFC 8259 in UTF-8).
type SyntaxError struct {
	Offset  int    // the number of bytes before the fault
	Problem string // what is wrong; it quotes nothing of the text
}

// Error returns the problem and its place.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not JSON: %s at byte %d", e.Problem, e.Offset)
}

// Parse reads one JSON value. It is strict about syntax: RFC 8259 in UTF-8, nothing after the
// value, and nesting of at most [MaxDepth]. The caller bounds the size. The error is a
// [*SyntaxError].
func Parse(data []byte) (Value, error) {
	if !utf8.Valid(data) {
		return Value{}, &SyntaxError{Problem: "invalid UTF-8"}
	}
	p := parsers.Get().(*parser)
	defer parsers.Put(p)
	p.in, p.pos, p.depth, p.stack = string(data), 0, 0, p.stack[:0]
	v, err := p.document()
	clear(p.stack[:cap(p.stack)]) // a pooled parser must not keep a body alive
	p.in, p.slab = "", nil
	if err != nil {
		return Value{}, err
	}
	return v, nil
}

var parsers = sync.Pool{New: func() any { return &parser{stack: make([]member, 0, 128)} }}

// parser is a recursive descent parser. It collects members on one stack and copies them, in the
// exact size, when their object or array ends.
type parser struct {
	in    string
	pos   int
	depth int
	stack []member
	slab  []member
	// orders are the permutations that sorted earlier objects, by their number of members. They
	// hold no text of those objects.
	orders [64][]uint8
}

func (p *parser) document() (Value, error) {
	v, err := p.value()
	if err != nil {
		return Value{}, err
	}
	if p.space(); p.pos != len(p.in) {
		return Value{}, p.fail("text after the value")
	}
	return v, nil
}

func (p *parser) fail(problem string) error { return &SyntaxError{Offset: p.pos, Problem: problem} }

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, or 0 at the end.
func (p *parser) peek() byte {
	if p.space(); p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}

func (p *parser) value() (Value, error) {
	switch c := p.peek(); c {
	case '{':
		return p.nested(object, '}')
	case '[':
		return p.nested(array, ']')
	case '"':
		s, err := p.text()
		return Value{kind: text, text: s}, err
	case 't':
		return p.literal("true", boolTrue)
	case 'f':
		return p.literal("false", boolFalse)
	case 'n':
		return p.literal("null", null)
	case 0:
		return Value{}, p.fail("unexpected end")
	default:
		return p.number()
	}
}

func (p *parser) literal(word string, kind valueKind) (Value, error) {
	if !strings.HasPrefix(p.in[p.pos:], word) {
		return Value{}, p.fail("unknown literal")
	}
	p.pos += len(word)
	return Value{kind: kind}, nil
}

// nested reads an object or an array, opening bracket included.
func (p *parser) nested(kind valueKind, closing byte) (Value, error) {
	if p.depth++; p.depth > MaxDepth {
		return Value{}, p.fail("nested too deeply")
	}
	p.pos++
	base := len(p.stack)
	if p.peek() == closing {
		p.pos++
		p.depth--
		return Value{kind: kind}, nil
	}
	for {
		var m member
		var err error
		if kind == object {
			if p.peek() != '"' {
				return Value{}, p.fail("expected a key")
			}
			if m.key, err = p.text(); err != nil {
				return Value{}, err
			}
			if p.peek() != ':' {
				return Value{}, p.fail("expected a colon")
			}
			p.pos++
		}
		if m.value, err = p.value(); err != nil {
			return Value{}, err
		}
		p.stack = append(p.stack, m)
		switch p.peek() {
		case ',':
			p.pos++
		case closing:
			p.pos++
			p.depth--
			return Value{kind: kind, members: p.take(kind, base)}, nil
		default:
			return Value{}, p.fail("expected a comma or the closing bracket")
		}
	}
}

// take moves the members above base off the stack. It sorts those of an object, and keeps the last
// of equal keys.
func (p *parser) take(kind valueKind, base int) []member {
	found := p.stack[base:]
	if cap(p.slab)-len(p.slab) < len(found) {
		p.slab = make([]member, 0, max(64, len(found)))
	}
	start := len(p.slab)
	if kind == object {
		p.slab = p.sorted(p.slab, found)
	} else {
		p.slab = append(p.slab, found...)
	}
	p.stack = p.stack[:base]
	return p.slab[start:len(p.slab):len(p.slab)]
}

// sorted appends an object's members, sorted by key. Objects of one kind usually have their members
// in the same order. So the permutation that sorted the last object of this size probably sorts
// this one too, which is quick to check.
func (p *parser) sorted(dst, found []member) []member {
	if len(found) >= len(p.orders) {
		slices.SortStableFunc(found, func(a, b member) int { return strings.Compare(a.key, b.key) })
		return append(dst, lastOfEqual(found)...)
	}
	order := p.orders[len(found)]
	if len(order) != len(found) || !ascending(found, order) {
		order = order[:0]
		for i := range found {
			order = append(order, uint8(i)) // i is below len(p.orders)
		}
		slices.SortFunc(order, func(a, b uint8) int {
			return cmp.Or(strings.Compare(found[a].key, found[b].key), cmp.Compare(a, b))
		})
		p.orders[len(found)] = order
	}
	for i, at := range order {
		if i+1 < len(order) && found[order[i+1]].key == found[at].key {
			continue
		}
		dst = append(dst, found[at])
	}
	return dst
}

// ascending reports whether the order sorts the members and no two of them have the same key.
func ascending(found []member, order []uint8) bool {
	for i := 1; i < len(order); i++ {
		if found[order[i-1]].key >= found[order[i]].key {
			return false
		}
	}
	return true
}

// lastOfEqual keeps the last of the members with the same key.
func lastOfEqual(sorted []member) []member {
	out := sorted[:0]
	for i, m := range sorted {
		if i+1 < len(sorted) && sorted[i+1].key == m.key {
			continue
		}
		out = append(out, m)
	}
	return out
}

func (p *parser) number() (Value, error) {
	start := p.pos
	p.accept('-')
	if !p.accept('0') && !p.digits() { // no digit may follow a leading zero
		return Value{}, p.fail("unexpected character")
	}
	if p.accept('.') && !p.digits() {
		return Value{}, p.fail("expected a digit")
	}
	if p.accept('e') || p.accept('E') {
		if !p.accept('+') {
			p.accept('-')
		}
		if !p.digits() {
			return Value{}, p.fail("expected a digit")
		}
	}
	return Value{kind: number, text: p.in[start:p.pos]}, nil
}

func (p *parser) accept(c byte) bool {
	if p.pos < len(p.in) && p.in[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

// text reads a string. A string without escapes is a slice of the input, not a copy.
func (p *parser) text() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; {
		case c == '"':
			s := p.in[start:p.pos]
			p.pos++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.fail("control character in a string")
		}
		p.pos++
	}
	return "", p.fail("unexpected end of a string")
}

// escaped reads the rest of a string from its first escape on.
func (p *parser) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(p.in[start:p.pos])
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; {
		case c == '"':
			p.pos++
			return b.String(), nil
		case c < ' ':
			return "", p.fail("control character in a string")
		case c != '\\':
			b.WriteByte(c)
			p.pos++
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		}
	}
	return "", p.fail("unexpected end of a string")
}

func (p *parser) escape() (rune, error) {
	p.pos++
	if p.pos == len(p.in) {
		return 0, p.fail("unexpected end of a string")
	}
	c := p.in[p.pos]
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := p.hex4()
		if !ok {
			return 0, p.fail("malformed \\u escape")
		}
		return p.surrogate(r), nil
	}
	return 0, p.fail("unknown escape")
}

// surrogate completes a surrogate pair. A lone surrogate and NUL become U+FFFD: Postgres can store
// neither, and both engines must store the same text.
func (p *parser) surrogate(r rune) rune {
	if r == 0 {
		return utf8.RuneError
	}
	if !utf16.IsSurrogate(r) {
		return r
	}
	before := p.pos
	if strings.HasPrefix(p.in[p.pos:], `\u`) {
		p.pos += 2
		if low, ok := p.hex4(); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair
			}
		}
		p.pos = before
	}
	return utf8.RuneError
}

func (p *parser) hex4() (rune, bool) {
	if len(p.in)-p.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.in[p.pos : p.pos+4]) {
		d := strings.IndexByte(hexDigits, c|0x20)
		if d < 0 || c < '0' || c > '9' && c < 'A' {
			return 0, false
		}
		r = r<<4 | rune(d) //nolint:gosec // below 16
	}
	p.pos += 4
	return r, true
}
