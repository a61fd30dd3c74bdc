package ingest

import (
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// usernameMark begins the user names among what an erasure searches for. Such a name can be any word, so that it is looked
// for only where nothing else tells whom a delivery is about.
const usernameMark = "username:"

// finder finds the erased persons that a text names, in whichever form: addresses in any letter case, phone numbers with any
// separators, all of it escaped as in links, JSON or HTML. It looks at each word once, however many persons are looked for.
type finder struct {
	ids    map[string][]int // words as they are; whose it is: index of the erasure
	words  map[string][]int // words in lower case
	odd    map[string][]int // in lower case; more than a word, and looked for everywhere
	phones map[string][]int // digits alone
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

func (f *finder) lookFor(s string, person int) {
	name, isName := strings.CutPrefix(s, usernameMark)
	lower := strings.ToLower(s)
	switch {
	case isName:
		lower = strings.ToLower(name)
		f.names[lower] = append(f.names[lower], person)
	case strings.ContainsFunc(s, betweenWords) || trimmed(s) != s:
		f.odd[lower] = append(f.odd[lower], person)
	case !strings.Contains(s, "@") && strings.Contains(s, "_"): // letter case tells two ids apart
		f.ids[s] = append(f.ids[s], person)
	default:
		f.words[lower] = append(f.words[lower], person)
	}
	if !isName {
		for _, digits := range dialled(s) {
			f.phones[digits] = append(f.phones[digits], person)
		}
	}
}

// betweenWords reports whether a character is part of no id and of no usual address.
func betweenWords(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_@.+-%", c))
}

// trimmed is a word without what ends a sentence, and without what emphasizes it in Markdown.
func trimmed(word string) string { return strings.Trim(word, "._-") }

// found are persons, by index.
type found map[int]bool

func (all found) add(persons []int) {
	for _, i := range persons {
		all[i] = true
	}
}

// find returns the persons whom a text names.
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
		for s, persons := range f.odd {
			if strings.Contains(lower, s) {
				all.add(persons)
			}
		}
	}
	return all
}

// findIn returns the persons whom a delivery names. Where its form is not known, or it could not be applied, user names
// count as well.
func (f *finder) findIn(d *store.Delivery) found {
	all := f.find(d.Body)
	if len(f.names) == 0 || d.State != store.StateIgnored && d.State != store.StateDead {
		return all
	}
	body, err := clerk.Parse([]byte(d.Body))
	if err != nil {
		return all // damaged
	}
	f.findNamesIn(body, all)
	return all
}

// findNamesIn searches all texts of a body, but for the words that say what an object is.
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

// is reports whether a text as a whole is an id, an address or a number of one of the persons.
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
