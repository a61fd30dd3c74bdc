package ingest

import (
	"maps"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/internal/store"
)

func TestFinder(t *testing.T) {
	t.Parallel()
	f := newFinder([]store.Erasure{
		{Search: []string{"user_1", "ada@example.com", "+4915112345"}},
		{Search: []string{"user_2", "o'brien@example.com", "ada@example.com"}},
	})
	for text, want := range map[string][]int{
		`{"id":"user_1"}`:                         {0},
		`{"id":"user_12","x":"xada@example.com"}`: nil,
		`{"to":"ada@example.com"}`:                {0, 1},
		`write to o'brien@example.com.`:           {1},
		`call +4915112345, or user_2.`:            {0, 1},
		`https://x.example/user_1/avatar`:         {0},
		``:                                        nil,
	} {
		if got := slices.Sorted(maps.Keys(f.find(text))); !slices.Equal(got, want) {
			t.Errorf("%s names %v, want %v", text, got, want)
		}
	}
}
