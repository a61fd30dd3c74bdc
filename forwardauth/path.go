package forwardauth

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A path is matched as the client wrote it, percent-decoded once, and as a careless server would read it (in any case,
// without full stops and spaces at the end of a segment). All of these must lead to the same route. What any server is
// known to read in another way is refused before that: RFC 3986 leaves it to them, and a policy can not know which
// server it protects.

const maxPath = 8 << 10

// requestPath is a path in segments; a slash at its end makes none.
type requestPath struct {
	raw     []string // as written
	decoded []string
}

// parsePath takes the path from a request target. A fault says what is ambiguous about it, for the log.
func parsePath(target string) (path requestPath, fault string) {
	raw, _, _ := strings.Cut(target, "?") // the query is never part of a rule
	switch {
	case raw == "" || raw[0] != '/':
		return path, "the path does not begin with a slash"
	case len(raw) > maxPath:
		return path, "the path is longer than 8 KiB"
	}
	decoded, fault := decode(raw)
	if fault != "" {
		return path, fault
	}
	if !utf8.ValidString(decoded) {
		return path, "the path is not UTF-8"
	}
	if strings.ContainsFunc(decoded, lookalike) {
		return path, "the path has a character that is taken for another one"
	}
	path = requestPath{segments(raw), segments(decoded)}
	for _, s := range path.decoded {
		switch {
		case s == "":
			return path, "the path has an empty segment"
		case strings.Trim(s, ". ") == "":
			return path, "the path has a dot segment"
		}
	}
	return path, ""
}

// decode undoes percent-encoding, and refuses what is not the same path before and after: encoded delimiters, which
// decode into something else, and bare characters that a path may not hold.
func decode(raw string) (decoded, fault string) {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c <= ' ' || c >= 0x7f:
			return "", "the path has a character that must be encoded"
		case c == '\\' || c == ';' || c == '#':
			return "", "the path has a backslash, semicolon or number sign"
		case c == '%':
			var ok bool
			if c, ok = unhex(raw[i+1:]); !ok {
				return "", "the path has a malformed percent-encoding"
			}
			if c < ' ' || c == 0x7f || strings.IndexByte(`/\;#?%`, c) >= 0 {
				return "", "the path has an encoded delimiter, percent sign or control character"
			}
			i += 2
		}
		b.WriteByte(c)
	}
	return b.String(), ""
}

func unhex(digits string) (c byte, ok bool) {
	if len(digits) < 2 {
		return 0, false
	}
	for _, d := range []byte(digits[:2]) {
		i := strings.IndexByte("0123456789abcdef", d|0x20)
		if d < '0' || i < 0 {
			return 0, false
		}
		c = c<<4 | byte(i) //nolint:gosec // below 16
	}
	return c, true
}

// segments splits a path that begins with a slash.
func segments(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
}

// lookalike tells characters that servers and databases turn into ASCII (compatibility forms, NFKC; the long s and the
// dotless i, which change case into it), or that nobody sees.
func lookalike(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Z):
		return true
	case r&0xfffe == 0xfffe: // no characters, for ever
		return true
	}
	for _, block := range compatibility() {
		if block[0] <= r && r <= block[1] {
			return true
		}
	}
	return false
}

// compatibility lists the blocks whose characters decompose into ASCII, whole where most do.
func compatibility() [18][2]rune {
	return [...][2]rune{
		{0x00aa, 0x00aa}, {0x00b2, 0x00b3}, {0x00b9, 0x00ba}, // ª ² ³ ¹ º
		{0x0130, 0x0131}, {0x017f, 0x017f}, // İ ı ſ
		{0x02b0, 0x02ff}, {0x037e, 0x037e}, // modifier letters, the Greek question mark
		{0x1d2c, 0x1d6a},   // phonetic superscripts
		{0x2000, 0x209f},   // spaces, dot leaders, fraction slash, superscripts
		{0x2100, 0x218f},   // letterlike, K among them; number forms
		{0x2215, 0x2216},   // division slash, set minus
		{0x2460, 0x24ff},   // enclosed
		{0x29f5, 0x29f9},   // solidus and its kin
		{0xfb00, 0xfb06},   // ligatures
		{0xfe00, 0xfe6f},   // variation selectors, small forms
		{0xff00, 0xffef},   // full width
		{0x1d400, 0x1d7ff}, // mathematical letters
		{0x1f100, 0x1f16f}, // enclosed letters
	}
}
