package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The parsers below say what is wrong with a value in words that follow the noun of its variable ("log level" "is
// …"), and never quote it.

const (
	maxItems = 256 // of a list
	minToken = 32  // characters of the operator token

	//nolint:gosec // a form, without anybody's password
	databaseForm = "Write sqlite:///absolute/app.db, sqlite:app.db, sqlite::memory: or postgres://user:password@host/database."
)

func anyText(text string) (string, error) { return text, nil }

// oneOf accepts the words in any case and returns them as listed.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		for _, word := range words {
			if strings.EqualFold(text, word) {
				return word, nil
			}
		}
		return "", errors.New("is none of " + strings.Join(words, ", "))
	}
}

// matching accepts what the pattern matches; what names it in the error.
func matching(what, pattern string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !regexp.MustCompile(pattern).MatchString(text) {
			return "", errors.New("is not of the form " + what)
		}
		return text, nil
	}
}

// listOf splits comma text, with white space round the items, and reports the faults of all items.
func listOf[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(text string) ([]T, error) {
		items := strings.Split(text, ",")
		if len(items) > maxItems {
			return nil, fmt.Errorf("list has more than %d items", maxItems)
		}
		var (
			values []T
			errs   []error
		)
		for i, item := range items {
			item = strings.TrimSpace(item)
			value, err := parse(item)
			if item == "" {
				err = valueError{"is empty", "Leave out the empty item: two commas in a row, or one at either end."}
			}
			if err != nil {
				c := valueError{what: err.Error()}
				errors.As(err, &c)
				errs = append(errs, valueError{numbered(i, len(items), c.what), c.remedy})
			}
			values = append(values, value)
		}
		return values, errors.Join(errs...)
	}
}

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
			"Write sqlite:app.db for a path relative to the working folder, sqlite:///app.db for an absolute one.",
		}
	case strings.ContainsAny(rest, "?#"):
		return Database{}, valueError{
			"has parameters, which sqlite: URLs do not take",
			"Leave out everything from ? or # on; write %3F and %23 for such characters in a path.",
		}
	case err != nil:
		return Database{}, valueError{"has a malformed % escape", "Write %25 for the character %."}
	case strings.Contains(path, ":memory:"):
		return Database{}, valueError{"has a path called :memory:", "Write sqlite::memory: for a database in memory."}
	}
	name := filepath.Base(path)
	if strings.HasSuffix(path, "/") || name == "." || name == ".." || strings.ContainsFunc(path, unicode.IsControl) {
		return Database{}, errors.New("names no file")
	}
	return Database{Engine: "sqlite", Path: filepath.Clean(path)}, nil
}

// checkPostgres judges what follows the scheme. It does not use url.Parse, which refuses the lists of hosts
// (host1:5432,host2:5432) that libpq and pgx accept.
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

// hasPassword reports whether a Postgres URL holds one, in whatever place.
func hasPassword(dsn string) bool {
	_, rest, _ := strings.Cut(dsn, "://")
	user, _, found := strings.Cut(rest, "@")
	return found && strings.Contains(user, ":") || strings.Contains(rest, "password=")
}

func parseSecretKey(text string) (string, error) {
	switch {
	case !token(text):
		return "", errors.New("has white space or a character that is not printable ASCII")
	case strings.HasPrefix(text, "pk_"):
		return "", errors.New("is the publishable key")
	case strings.HasPrefix(text, "whsec_"):
		return "", errors.New("is a webhook secret")
	}
	return text, nil
}

func parseOperatorToken(text string) (string, error) {
	switch {
	case !token(text):
		return "", errors.New("has white space or a character that is not printable ASCII")
	case len(text) < minToken:
		return "", fmt.Errorf("is shorter than %d characters", minToken)
	}
	return text, nil
}

// token reports whether text is printable ASCII without space, as a header can carry it.
func token(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// parsePublishableKey accepts what frontendAPI can read.
func parsePublishableKey(text string) (string, error) {
	if strings.HasPrefix(text, "sk_") {
		return "", valueError{"is a secret key", "Revoke it if others may have seen it, and copy the publishable key, pk_…."}
	}
	if frontendAPI(text) == "" {
		return "", errors.New("does not hold the host of a Frontend API")
	}
	return text, nil
}

// frontendAPI is the host (with port, if any) that a publishable key names: base64, padded or not, of the host and one
// $ after the prefix. It is empty if the key is malformed. Prefixes without pk_ are those of Clerk's first years.
func frontendAPI(key string) string {
	encoded := strings.TrimPrefix(key, "pk_")
	encoded, test := strings.CutPrefix(encoded, "test_")
	if !test {
		var live bool
		if encoded, live = strings.CutPrefix(encoded, "live_"); !live {
			return ""
		}
	}
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(encoded, "="))
	host, ended := strings.CutSuffix(string(decoded), "$")
	if err != nil || !ended || !strings.Contains(host, ".") || !validHostPort(host) || host != strings.ToLower(host) {
		return ""
	}
	return host
}

// webURL parses an https URL (http to loopback) without user and fragment.
func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || !strings.HasPrefix(text, u.Scheme+"://") || !validHostPort(u.Host):
		return nil, errors.New("is not an absolute URL")
	case u.User != nil:
		return nil, errors.New("holds a user name or password")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("is neither https nor http")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("is plain http to another machine")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("has a query or a fragment")
	}
	return u, nil
}

func parseURL(text string) (string, error) {
	_, err := webURL(text)
	return text, err
}

// parseBaseURL drops slashes at the end, which no issuer has and which would double in joined paths.
func parseBaseURL(text string) (string, error) {
	_, err := webURL(text)
	return strings.TrimRight(text, "/"), err
}

func parseAPIURL(text string) (string, error) {
	u, err := webURL(text)
	text = strings.TrimRight(text, "/")
	if err == nil && strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1") {
		text = strings.TrimRight(strings.TrimSuffix(text, "/v1"), "/")
	}
	return text, err
}

func parseOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || !validHostPort(u.Host):
		return "", errors.New("is not an origin")
	case text != u.Scheme+"://"+strings.ToLower(u.Host):
		return "", errors.New("is not in lower case, or has more than scheme, host and port")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return "", errors.New("has the default port, which browsers leave out")
	}
	return text, nil
}

// parsePlanFeatures takes plan=feature+feature.
func parsePlanFeatures(text string) (string, error) {
	plan, features, found := strings.Cut(text, "=")
	if !found || !validSlug(plan) {
		return "", errors.New("does not begin with a plan's slug and =")
	}
	for feature := range strings.SplitSeq(features, "+") {
		if !validSlug(feature) {
			return "", errors.New("names a feature by what is no slug")
		}
	}
	return text, nil
}

func validSlug(s string) bool {
	odd := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return s != "" && !strings.ContainsFunc(s, odd)
}

func parseListen(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	switch {
	case err != nil || host != "" && !validHost(host):
		return "", errors.New("is not of the form host:port or :port")
	case !validPort(port):
		return "", errors.New("has a port that is not a number up to 65535")
	}
	return text, nil
}

func parseOperatorListen(text string) (string, error) {
	if word, err := oneOf("off", "public")(text); err == nil {
		return word, nil
	}
	return parseListen(text)
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	name := regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)
	return err == nil || len(host) <= 253 && !strings.Contains(host, "..") && name.MatchString(host)
}

// validHostPort judges host or host:port, with IPv6 addresses in brackets.
func validHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port, err = net.SplitHostPort(text + ":1")
	}
	bracketed := strings.HasPrefix(text, "[")
	return err == nil && validHost(host) && bracketed == strings.Contains(host, ":") && port != "0" && validPort(port)
}

// validPort accepts the canonical decimal form only.
func validPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && strconv.FormatUint(number, 10) == port
}

func parseRole(text string) (string, error) {
	return matching("letters, digits and _ . : -, at most 64", `^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$`)(text)
}

func parseRoles(text string) ([]string, error) {
	roles, err := listOf(parseRole)(text)
	errs := []error{err}
	for i, role := range roles {
		if role != "" && slices.Contains(roles[:i], role) {
			errs = append(errs, fmt.Errorf("%d is listed before", i+1))
		}
	}
	return roles, errors.Join(errs...)
}

func parseFieldPath(text string) (string, error) {
	return matching("field.field", `^[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*$`)(text)
}

func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if address, addressErr := netip.ParseAddr(text); addressErr == nil && address.Zone() == "" {
		prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}, errors.New("is neither an address nor a CIDR")
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, valueError{"is an IPv4 address written as IPv6", "Write it as IPv4, such as 10.0.0.0/8."}
	}
	return prefix.Masked(), nil
}

func parsePercent(text string) (float64, error) {
	number, found := strings.CutSuffix(text, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !found || err != nil || !(percent > 0 && percent <= 100) { // so written, NaN is refused
		return 0, errors.New("is not a percentage above 0% and up to 100%")
	}
	return percent / 100, nil
}

func parseRequests(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, errors.New("is not a whole number from 1 to 1000000")
	}
	return n, nil
}

func durationFrom(least time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return 0, errors.New("is not a duration with its unit")
		case d < least:
			return 0, errors.New("is too short")
		}
		return d, nil
	}
}
