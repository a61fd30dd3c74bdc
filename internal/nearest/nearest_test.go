package nearest_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/nearest"
)

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"kitten", "sitting", 3},
		{"flaw", "lawn", 2},
		{"same", "same", 0},
		{strings.Repeat("a", 64) + "b", strings.Repeat("a", 64), 0},
	} {
		if got := nearest.Distance(tt.a, tt.b); got != tt.want || nearest.Distance(tt.b, tt.a) != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	roles := []string{"solo", "growth", "enterprise", "admin"}
	for word, want := range map[string]string{"grwoth": "growth", "Admin": "admin", "": "solo", "entreprise": "enterprise"} {
		if got := nearest.Of(word, roles); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
