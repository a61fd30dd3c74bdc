package cli

import (
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// kindFlag is a kind of object in a flag: user and users are the same, and so are membership and
// organization_memberships.
type kindFlag struct{ kind clerk.Kind }

// UnmarshalText reads the name of a kind.
func (k *kindFlag) UnmarshalText(text []byte) error {
	kind, ok := clerk.ParseKind(strings.ToLower(string(text)))
	if !ok {
		return fmt.Errorf("there is no kind %q\nUse one of: %s", harmless(string(text)), strings.Join(kindWords(), ", "))
	}
	k.kind = kind
	return nil
}

// kindsOf returns the kinds of flags.
func kindsOf(flags []kindFlag) (kinds []clerk.Kind) {
	for _, f := range flags {
		kinds = append(kinds, f.kind)
	}
	return kinds
}

// counted returns a number of objects in words.
func counted(n int64, kind clerk.Kind) string {
	if n == 1 {
		return "1 " + strings.ReplaceAll(strings.TrimPrefix(string(kind), "organization_"), "_", " ")
	}
	return grouped(n) + " " + noun(kind)
}

// kindWords are the names of kinds, as people see and type them.
func kindWords() (words []string) {
	for _, kind := range clerk.Kinds() {
		words = append(words, strings.ReplaceAll(noun(kind), " ", "_"))
	}
	return words
}
