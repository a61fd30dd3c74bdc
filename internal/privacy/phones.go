package privacy

import (
	"strings"
	"unicode"
)

const (
	fewestDigits    = 7  // of a number that is searched for
	fewestNational  = 8  // of a number without its country
	mostDigits      = 20 // with a prefix
	longestCountry  = 3
	mostSeparators  = 4 // between two groups of digits of one number
	northAmerica    = "1"
	trunkPrefix     = "0"
	abroad          = "00"
	northAmericaLen = 11
)

// dialed returns the digits by which a phone number is dialed: with its country, and within it. It
// returns none for a text that is no phone number.
func dialed(number string) []string {
	digits, ok := onlyDigits(number)
	if !ok || len(digits) < fewestDigits {
		return nil
	}
	all := []string{digits}
	if !strings.HasPrefix(strings.TrimSpace(number), "+") {
		return all
	}
	if strings.HasPrefix(digits, northAmerica) && len(digits) == northAmericaLen {
		return append(all, digits[1:])
	}
	for n := 1; n <= longestCountry && len(digits)-n >= fewestNational; n++ { // any of these can be the country
		all = append(all, trunkPrefix+digits[n:])
	}
	return all
}

// onlyDigits returns the digits of a text that has only digits, separators and perhaps a plus in
// front.
func onlyDigits(text string) (digits string, ok bool) {
	b := make([]byte, 0, len(text))
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			b = append(b, byte(c))
		case c != '+' && !separates(c), c == '+' && i > 0:
			return "", false
		}
	}
	return string(b), len(b) > 0
}

// separates reports whether a character may stand between the digits of a phone number.
func separates(c rune) bool {
	return c == '(' || c == ')' || c == '.' || c == '/' || unicode.IsSpace(c) || unicode.Is(unicode.Pd, c)
}

// findPhones finds numbers, however their digits are grouped. A number begins and ends with a
// group.
func (f *finder) findPhones(text string, all found) {
	if len(f.phones) == 0 {
		return
	}
	var groups []string
	begin, gap := -1, 0 // start of the current group; characters since the last group
	flush := func() {
		f.joinGroups(groups, all)
		groups = groups[:0]
	}
	for i, c := range text {
		switch digit := c >= '0' && c <= '9'; {
		case digit && begin < 0:
			begin = i
		case digit:
		default:
			if begin >= 0 {
				groups, begin, gap = append(groups, text[begin:i]), -1, 0
			}
			if gap++; !separates(c) || gap > mostSeparators {
				flush()
			}
		}
	}
	if begin >= 0 {
		groups = append(groups, text[begin:])
	}
	flush()
}

// joinGroups looks up the digits of neighboring groups. It skips a single zero inside, as in "+49
// (0)151".
func (f *finder) joinGroups(groups []string, all found) {
	for i := range groups {
		digits := ""
		for j, group := range groups[i:] {
			if j > 0 && group == trunkPrefix {
				continue
			}
			if digits += group; len(digits) > mostDigits {
				break
			}
			all.add(f.phones[digits])
			all.add(f.phones[strings.TrimPrefix(digits, abroad)])
		}
	}
}
