package store_test

import (
	"regexp"
	"testing"

	"github.com/clerksync/clerksync/internal/store"
)

// SQLite 3.40, which Debian 12 and its Python have, cannot read a view with a subquery that is
// ordered by a column of the query around it: "no such column".
func TestViewsOrderByNoColumnOfTheOuterQuery(t *testing.T) {
	t.Parallel()
	outer := regexp.MustCompile(`ORDER BY [^\n]*\bt\.\w+[^\n]*LIMIT`)
	for _, engine := range []store.Engine{store.SQLite, store.Postgres} {
		text, err := store.Schema(engine)
		if err != nil {
			t.Fatal(err)
		}
		if found := outer.FindAllString(text, -1); found != nil {
			t.Errorf("%s: %q", engine, found)
		}
	}
}
