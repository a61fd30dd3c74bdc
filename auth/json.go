package auth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The scanner below reads JSON more strictly than encoding/json, so that two readers of a signed
// text cannot disagree about it. Errors are: a key that occurs twice in an object (at any depth,
// also if escaped differently), invalid UTF-8, a lone surrogate, text after the value, and deep
// nesting. Keys are compared exactly. encoding/json would take "SUB" for "sub".

const (
	maxDepth    = 32
	linearScans = 16 // the number of members beyond which an object's keys go into a map
)

// object holds the members of a JSON object in their order. Keys are decoded, values are as
// written.
type object []member

type member struct{ key, value string }

// get returns the value of a key as written. ok is false if there is none.
func (o object) get(key string) (string, bool) {
	for i := range o {
		if o[i].key == key {
			return o[i].value, true
		}
	}
	return "", false
}

// text returns the decoded string of a key. ok is false if there is none or it is not a string.
func (o object) text(key string) (string, bool) {
	value, _ := o.get(key)
	return unquote(value)
}

// unquote decodes a value that the scanner has accepted. ok is false if it is not a string.
func unquote(value string) (string, bool) {
	if value == "" || value[0] != '"' {
		return "", false
	}
	text, err := unescape(value[1 : len(value)-1])
	return text, err == nil
}

// parseObject reads a text that must be a JSON object.
func parseObject(text string) (object, error) { return scanObject(scanner{text: text}) }

// parseMembers is parseObject for an object whose members are read one by one later. It does not
// look for duplicate keys within them.
func parseMembers(text string) (object, error) { return scanObject(scanner{text: text, shallow: true}) }

func scanObject(s scanner) (object, error) {
	if err := s.begin('{'); err != nil {
		return nil, err
	}
	o, err := s.object(1)
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// parseArray reads a text that must be a JSON array, and returns its elements as written.
func parseArray(text string) ([]string, error) { return scanArray(scanner{text: text}) }

// parseElements is parseArray for elements that are read one by one later. It does not look for
// duplicate keys within them.
func parseElements(text string) ([]string, error) {
	return scanArray(scanner{text: text, shallow: true})
}

func scanArray(s scanner) ([]string, error) {
	if err := s.begin('['); err != nil {
		return nil, err
	}
	elements, err := s.array(1)
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err
	}
	return elements, nil
}

type scanner struct {
	text    string
	at      int
	shallow bool // do not compare the keys of nested objects
}

// begin moves to the opening bracket, which must be this one.
func (s *scanner) begin(opening byte) error {
	if !utf8.ValidString(s.text) {
		return errors.New("invalid JSON: not UTF-8")
	}
	if s.skipSpace() != opening {
		return s.fault("unexpected type of value")
	}
	return nil
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.skipSpace(); s.at < len(s.text) {
		return s.fault("text after the value")
	}
	return nil
}

// fault returns an error with the position. It quotes nothing, because the text may be secret.
func (s *scanner) fault(what string) error {
	return fmt.Errorf("invalid JSON at byte %d: %s", s.at, what)
}

// peek returns the next byte, or 0 at the end. Valid JSON contains no byte 0.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// skipSpace moves to the next byte that is not white space, and returns it.
func (s *scanner) skipSpace() byte {
	for {
		switch s.peek() {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return s.peek()
		}
	}
}

func (s *scanner) value(depth int) (err error) {
	switch c := s.peek(); {
	case c == '{':
		_, err = s.object(depth)
	case c == '[':
		_, err = s.array(depth)
	case c == '"':
		_, err = s.string()
	case c == '-' || isDigit(c):
		err = s.number()
	default:
		err = s.literal()
	}
	return err
}

func (s *scanner) object(depth int) (object, error) {
	members := make(object, 0, 8)
	var seen map[string]bool
	err := s.list('}', depth, func() error {
		if s.peek() != '"' {
			return s.fault("key expected")
		}
		key, err := s.string()
		if err != nil {
			return err
		}
		if s.skipSpace() != ':' {
			return s.fault("colon expected")
		}
		s.at++
		s.skipSpace()
		start := s.at
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if (depth == 1 || !s.shallow) && members.hasKey(key, &seen) {
			return s.fault("duplicate key")
		}
		members = append(members, member{key, s.text[start:s.at]})
		return nil
	})
	return members, err
}

// hasKey reports whether a key is there. It is called before each append, and stores the keys of a
// long object in seen.
func (o object) hasKey(key string, seen *map[string]bool) bool {
	if len(o) < linearScans {
		_, found := o.get(key)
		return found
	}
	if *seen == nil {
		*seen = make(map[string]bool, 2*len(o))
		for i := range o {
			(*seen)[o[i].key] = true
		}
	}
	found := (*seen)[key]
	(*seen)[key] = true
	return found
}

func (s *scanner) array(depth int) ([]string, error) {
	elements := make([]string, 0, 4)
	err := s.list(']', depth, func() error {
		start := s.at
		if err := s.value(depth + 1); err != nil {
			return err
		}
		elements = append(elements, s.text[start:s.at])
		return nil
	})
	return elements, err
}

// list reads an object or an array: an opening bracket, items with commas between them, and the
// closing bracket.
func (s *scanner) list(closing byte, depth int, item func() error) error {
	if depth > maxDepth {
		return s.fault("nested too deep")
	}
	s.at++
	if s.skipSpace() == closing {
		s.at++
		return nil
	}
	for {
		s.skipSpace()
		if err := item(); err != nil {
			return err
		}
		switch s.skipSpace() {
		case ',':
			s.at++
		case closing:
			s.at++
			return nil
		default:
			return s.fault("comma or end expected")
		}
	}
}

func (s *scanner) string() (string, error) {
	start, escaped := s.at+1, false
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			text := s.text[start:i]
			if escaped {
				var err error
				if text, err = unescape(text); err != nil {
					return "", s.fault(err.Error())
				}
			}
			s.at = i + 1
			return text, nil
		case c == '\\':
			escaped = true
			i++ // an escaped character does not end the string
		case c < ' ':
			return "", s.fault("control character")
		}
	}
	return "", s.fault("unfinished text")
}

// unescape decodes what is between the quotes of a JSON string. Its errors quote nothing.
func unescape(raw string) (string, error) {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, nil
	}
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(raw, `\`)
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		if rest == "" {
			return "", errors.New("unfinished escape")
		}
		raw = rest[1:]
		if rest[0] != 'u' {
			i := strings.IndexByte(`"\/bfnrt`, rest[0])
			if i < 0 {
				return "", errors.New("unknown escape")
			}
			b.WriteByte("\"\\/\b\f\n\r\t"[i])
			continue
		}
		r, size := unicodeEscape(rest)
		if size == 0 {
			return "", errors.New("invalid unicode escape")
		}
		b.WriteRune(r)
		raw = rest[size:]
	}
}

// unicodeEscape reads uXXXX, or uXXXX\uXXXX for a surrogate pair. It returns the number of bytes
// that it read, or 0 if the escape is invalid.
func unicodeEscape(text string) (rune, int) {
	r := hex4(text)
	if !utf16.IsSurrogate(r) {
		if r < 0 {
			return 0, 0
		}
		return r, 5
	}
	if len(text) < 11 || text[5] != '\\' {
		return 0, 0
	}
	if r = utf16.DecodeRune(r, hex4(text[6:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 11
}

// hex4 reads uXXXX. It returns -1 for anything else.
func hex4(text string) rune {
	if len(text) < 5 || text[0] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(text[1:5], 16, 32)
	if err != nil {
		return -1
	}
	return rune(n) //nolint:gosec // n has four digits
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return s.fault("digit expected")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.fault("digit expected")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.fault("digit expected")
		}
	}
	return nil
}

// digits skips digits and reports whether there were any.
func (s *scanner) digits() bool {
	start := s.at
	for isDigit(s.peek()) {
		s.at++
	}
	return s.at > start
}

func (s *scanner) literal() error {
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.at:], word) {
			s.at += len(word)
			return nil
		}
	}
	return s.fault("value expected")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
