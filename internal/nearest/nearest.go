package nearest

import (
	"cmp"
	"slices"
)

// Of returns the name that is closest to word, the first of several; names must not be empty.
func Of(word string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return cmp.Compare(Distance(word, a), Distance(word, b)) })
}

// Distance is the Levenshtein distance of the first 64 bytes.
func Distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
