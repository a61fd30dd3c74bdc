package forwardauth

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A path is matched in three forms: as the client wrote it, percent-decoded once, and as a lenient
// server would read it (in any case, without full stops and spaces at the end of a segment). All of
// them must lead to the same route. Paths that some server is known to read differently are refused
// first: RFC 3986 allows that, and a policy cannot know which server it protects.

const maxPath = 8 << 10

// requestPath is a path in segments. A slash at its end makes no segment.
type requestPath struct {
	raw     []string // as written
	decoded []string
}

// parsePath reads the path of a request target. fault says what is ambiguous about it, for the log,
// or is "".
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
	if strings.ContainsFunc(decoded, lookalike) || dotted(decoded) {
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

// decode decodes percent-encoding. It refuses paths that decoding changes: those with encoded
// delimiters, and those with characters that a path may not contain.
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

//go:generate sh -c "go -C ../tools/lookalikes run . > lookalikes.go.new && mv lookalikes.go.new lookalikes.go"

// lookalike reports whether a server or a database may take the character for another one, or may
// ignore it: it may become ASCII, it is invisible, or it is not assigned yet.
func lookalike(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cn, unicode.Co, unicode.Cs, unicode.Z):
		return true
	}
	return unicode.Is(lookalikes, r)
}

// dotted reports whether the path has an i or j with a dot as a separate character. Conversion to
// lower case removes that dot in Turkish, and conversion to upper case in Lithuanian.
func dotted(path string) bool {
	const dot = '\u0307'
	onLetter := false
	for _, r := range path {
		switch {
		case r == dot && onLetter:
			return true
		case !unicode.Is(unicode.Mn, r):
			onLetter = strings.ContainsRune("iIjJ", r)
		}
	}
	return false
}
