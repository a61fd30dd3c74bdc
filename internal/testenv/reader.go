package testenv

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
)

// Reader returns the URL of a database of [Postgres] for a role that may read the tables which are
// there now, and do nothing else. The role is dropped when the test ends.
func Reader(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("testenv: the URL of the database is malformed")
	}
	role, password := "reader_"+strings.ToLower(rand.Text()), rand.Text()
	for _, statement := range []string{
		"CREATE ROLE " + role + " LOGIN PASSWORD '" + password + "'",
		"GRANT USAGE ON SCHEMA public TO " + role,
		"GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + role,
	} {
		if err := execute(dsn, statement); err != nil {
			t.Fatalf("testenv: make a role that only reads: %v", err)
		}
	}
	t.Cleanup(func() {
		for _, statement := range []string{"DROP OWNED BY " + role, "DROP ROLE " + role} {
			if err := execute(dsn, statement); err != nil {
				t.Errorf("testenv: drop the role that only reads: %v", err)
			}
		}
	})
	u.User = url.UserPassword(role, password)
	return u.String()
}
