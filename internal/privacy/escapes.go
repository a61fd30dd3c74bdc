package privacy

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodings is how often a text is unescaped: for an address in a link that is a parameter of
// another link, or in JSON that is a text of other JSON.
const decodings = 3

// decoded returns a text, and the text unescaped once, twice and so on.
func decoded(text string) []string {
	all := []string{text}
	for range decodings {
		next := unescaped(text)
		if next == text {
			break
		}
		all, text = append(all, next), next
	}
	return all
}

// unescaped replaces what is escaped as in links, JSON or HTML. It leaves everything else alone,
// because a text need not be any of these.
func unescaped(text string) string {
	return html.UnescapeString(withoutBackslashes(withoutPercents(text)))
}

func withoutPercents(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if c, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, text[i])
	}
	return string(b)
}

// withoutBackslashes replaces JSON's escapes. Escaped line ends and tabs become spaces, because
// each of them ends a word.
func withoutBackslashes(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b = append(b, text[i])
			continue
		}
		i++
		switch text[i] {
		case 'b', 'f', 'n', 'r', 't':
			b = append(b, ' ')
		case 'u':
			c, err := strconv.ParseUint(text[i+1:min(i+5, len(text))], 16, 16)
			if err != nil {
				b = append(b, `\u`...)
				continue
			}
			b = utf8.AppendRune(b, rune(c))
			i = min(i+4, len(text)-1)
		default:
			b = append(b, text[i])
		}
	}
	return string(b)
}
