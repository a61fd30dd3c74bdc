package ingest

import (
	"strings"

	"github.com/clerksync/clerksync/internal/store"
)

// finder tells who of the erased a text names. It looks at each word once, however many persons are looked for.
type finder struct {
	words map[string][]int // whose it is: index of the erasure
	odd   map[string][]int // what is more than a word, and is looked for everywhere
}

func newFinder(open []store.Erasure) *finder {
	f := &finder{words: map[string][]int{}, odd: map[string][]int{}}
	for i := range open {
		for _, s := range open[i].Search {
			of := f.words
			if strings.ContainsFunc(s, betweenWords) || strings.Trim(s, ".") != s {
				of = f.odd
			}
			of[s] = append(of[s], i)
		}
	}
	return f
}

// betweenWords reports whether a character is part of no id and of no usual address.
func betweenWords(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_@.+-%", c))
}

// find answers the persons whom a text names, by index.
func (f *finder) find(text string) map[int]bool {
	var found map[int]bool
	add := func(persons []int) {
		for _, i := range persons {
			if found == nil {
				found = map[int]bool{}
			}
			found[i] = true
		}
	}
	for word := range strings.FieldsFuncSeq(text, betweenWords) {
		add(f.words[strings.Trim(word, ".")])
	}
	for s, persons := range f.odd {
		if strings.Contains(text, s) {
			add(persons)
		}
	}
	return found
}
