package privacy

import (
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// userNameMark begins the user names among what an erasure searches for. A user name can be any
// word, so it is searched for only where nothing else shows whom a delivery is about.
const userNameMark = "username:"

// finder finds the erased users that a text names, in any form: addresses in any letter case, phone
// numbers with any separators, all of it escaped as in links, JSON or HTML. It looks at each word
// once, however many users it searches for.
type finder struct {
	ids    map[string][]int // words as they are; the values are indexes of erasures
	words  map[string][]int // words in lower case
	odd    map[string][]int // more than a word, in lower case; searched for everywhere
	phones map[string][]int // digits only
	names  map[string][]int // user names in lower case
}

func newFinder(open []store.Erasure) *finder {
	f := &finder{
		ids: map[string][]int{}, words: map[string][]int{}, odd: map[string][]int{}, phones: map[string][]int{}, names: map[string][]int{},
	}
	for i := range open {
		for _, s := range open[i].Search {
			f.lookFor(s, i)
		}
	}
	return f
}

// lookFor adds a text by which a user is recognized.
func (f *finder) lookFor(s string, user int) {
	name, isName := strings.CutPrefix(s, userNameMark)
	lower := strings.ToLower(s)
	switch {
	case isName:
		lower = strings.ToLower(name)
		f.names[lower] = append(f.names[lower], user)
	case strings.ContainsFunc(s, betweenWords) || trimmed(s) != s:
		f.odd[lower] = append(f.odd[lower], user)
	case !strings.Contains(s, "@") && strings.Contains(s, "_"): // ids can differ in letter case alone
		f.ids[s] = append(f.ids[s], user)
	default:
		f.words[lower] = append(f.words[lower], user)
	}
	if !isName {
		for _, digits := range dialed(s) {
			f.phones[digits] = append(f.phones[digits], user)
		}
	}
}

// betweenWords reports whether a character is never part of an id or of a usual address.
func betweenWords(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_@.+-%", c))
}

// trimmed returns a word without the characters that end a sentence or emphasize a word in
// Markdown.
func trimmed(word string) string { return strings.Trim(word, "._-") }

// found is a set of users, by index of the erasure.
type found map[int]bool

func (all found) add(users []int) {
	for _, i := range users {
		all[i] = true
	}
}

// find returns the users that a text names.
func (f *finder) find(text string) found {
	all := found{}
	for _, plain := range decoded(text) {
		f.findPhones(plain, all)
		for word := range strings.FieldsFuncSeq(plain, betweenWords) {
			word = trimmed(word)
			all.add(f.ids[word])
			all.add(f.words[strings.ToLower(word)])
		}
		if len(f.odd) == 0 {
			continue
		}
		lower := strings.ToLower(plain)
		for s, users := range f.odd {
			if strings.Contains(lower, s) {
				all.add(users)
			}
		}
	}
	return all
}

// findIn returns the users that a delivery names. User names count only if the form of the delivery
// is not known, or if it could not be applied.
func (f *finder) findIn(d *store.Delivery) found {
	all := f.find(d.Body)
	if len(f.names) == 0 || d.State != mirror.DeliveryIgnored && d.State != mirror.DeliveryDead {
		return all
	}
	body, err := clerk.Parse([]byte(d.Body))
	if err != nil {
		return all // damaged
	}
	f.findNamesIn(body, all)
	return all
}

// findNamesIn searches all texts of a body except those that say what an object is.
func (f *finder) findNamesIn(v clerk.Value, all found) {
	if text, ok := v.Text(); ok {
		f.findNames(text, all)
	}
	for key, member := range v.All() {
		if key != "object" && key != "type" {
			f.findNamesIn(member, all)
		}
	}
}

func (f *finder) findNames(text string, all found) {
	for _, plain := range decoded(text) {
		plain = strings.ToLower(plain)
		all.add(f.names[plain])
		for word := range strings.FieldsFuncSeq(plain, betweenWords) {
			all.add(f.names[word])
			all.add(f.names[strings.Trim(word, "@.-_")])
		}
	}
}

// is reports whether a whole text is an id, an address or a number of one of the users.
func (f *finder) is(text string) bool {
	for _, plain := range decoded(text) {
		lower := strings.ToLower(plain)
		if f.ids[plain] != nil || f.words[lower] != nil || f.odd[lower] != nil {
			return true
		}
		if digits, ok := onlyDigits(plain); ok && f.phones[digits] != nil {
			return true
		}
	}
	return false
}
