package config

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
)

func parseDatabase(text string) (Database, error) {
	scheme, rest, found := strings.Cut(text, ":")
	switch scheme = strings.ToLower(scheme); {
	case found && scheme == "sqlite":
		return parseSQLite(rest)
	case found && (scheme == "postgres" || scheme == "postgresql"):
		return Database{Engine: "postgres", DSN: text}, checkPostgres(rest)
	}
	return Database{}, errors.New("is neither an sqlite: nor a postgres: URL")
}

func parseReadDatabase(text string) (Database, error) {
	d, err := parseDatabase(text)
	if err == nil && d.Engine != "postgres" {
		err = valueError{"is not a postgres: URL", "Only Postgres has read replicas: unset it for SQLite."}
	}
	return d, err
}

func parseSQLite(rest string) (Database, error) {
	if rest == ":memory:" {
		return Database{Engine: "sqlite", Path: rest, Memory: true}, nil
	}
	path, authority := strings.CutPrefix(rest, "//")
	path, err := url.PathUnescape(path)
	switch {
	case authority && !strings.HasPrefix(path, "/"):
		return Database{}, valueError{
			"has two slashes before a relative path",
			"Use sqlite:app.db for a path relative to the working folder, sqlite:///app.db for an absolute one.",
		}
	case strings.ContainsAny(rest, "?#"):
		return Database{}, valueError{
			"has parameters, which sqlite: URLs do not take",
			"Remove everything from ? or # on; in a path write %3F for ? and %23 for #.",
		}
	case err != nil:
		return Database{}, valueError{"has a malformed % escape", "Write %25 for the character %."}
	case strings.Contains(path, ":memory:"):
		return Database{}, valueError{"has a path called :memory:", "Use sqlite::memory: for a database in memory."}
	}
	name := filepath.Base(path)
	if strings.HasSuffix(path, "/") || name == "." || name == ".." || strings.ContainsFunc(path, unicode.IsControl) {
		return Database{}, errors.New("names no file")
	}
	return Database{Engine: "sqlite", Path: filepath.Clean(path)}, nil
}

// checkPostgres checks what follows the scheme. It does not use url.Parse, which refuses the lists
// of hosts (host1:5432,host2:5432) that libpq and pgx accept.
func checkPostgres(rest string) error {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return errors.New("lacks the two slashes after the scheme")
	}
	const escape = "In user and password write %40 for @, %2F for /, %3A for :, %23 for #, %3F for ? and %25 for %."
	path := ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest, path = rest[:end], rest[end:]
	}
	user, hosts := "", rest
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, hosts = rest[:at], rest[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host != "" && !validHostPort(host) {
			return valueError{"has a malformed host or port", escape}
		}
	}
	path, query, _ := strings.Cut(path, "?")
	_, userErr := url.PathUnescape(user)
	_, pathErr := url.PathUnescape(path)
	_, queryErr := url.ParseQuery(query)
	if userErr != nil || pathErr != nil || queryErr != nil || strings.Contains(user, "@") ||
		strings.ContainsAny(path+query, "#@") {
		return valueError{"has a character that must be escaped", escape}
	}
	return nil
}

// hasPassword reports whether a Postgres URL contains a password, in any place.
func hasPassword(dsn string) bool {
	_, rest, _ := strings.Cut(dsn, "://")
	user, _, found := strings.Cut(rest, "@")
	return found && strings.Contains(user, ":") || strings.Contains(rest, "password=")
}
