package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/web"
)

// The parsers below describe what is wrong with a value in words that follow the noun of its
// setting ("log level" "is …"). They never quote the value.

const (
	maxItems = 256 // of a list
	minToken = 32  // characters of the operator token
)

func anyText(text string) (string, error) { return text, nil }

// oneOf returns a parser that accepts the words in any case and returns them as listed.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		for _, word := range words {
			if strings.EqualFold(text, word) {
				return word, nil
			}
		}
		return "", errors.New("is not one of " + strings.Join(words, ", "))
	}
}

// matching returns a parser that accepts what the pattern matches; form describes the pattern in
// errors.
func matching(form, pattern string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !regexp.MustCompile(pattern).MatchString(text) {
			return "", errors.New("does not have the form " + form)
		}
		return text, nil
	}
}

// listOf returns a parser of texts separated by commas and white space. It reports the faults of
// all items.
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
				err = valueError{"is empty", "Remove the empty item: there are two commas in a row, or one at either end."}
			}
			if err != nil {
				e := valueError{what: err.Error()}
				errors.As(err, &e)
				errs = append(errs, valueError{numbered(i, len(items), e.what), e.remedy})
			}
			values = append(values, value)
		}
		return values, errors.Join(errs...)
	}
}

func parseSecretKey(text string) (string, error) {
	switch {
	case !token(text):
		return "", errors.New("contains white space or a character that is not printable ASCII")
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
		return "", errors.New("contains white space or a character that is not printable ASCII")
	case len(text) < minToken:
		return "", fmt.Errorf("is shorter than %d characters", minToken)
	}
	return text, nil
}

// token reports whether text is printable ASCII without space, as a header can carry it.
func token(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// parsePublishableKey accepts a key that names a Frontend API.
func parsePublishableKey(text string) (string, error) {
	_, err := auth.FrontendAPI(text)
	if wrong, ok := errors.AsType[*auth.PublishableKeyError](err); ok {
		return "", valueError{wrong.Problem, wrong.Remedy}
	}
	return text, err
}

// parsePlanFeatures checks plan=feature+feature.
func parsePlanFeatures(text string) (string, error) {
	plan, features, found := strings.Cut(text, "=")
	if !found || !validSlug(plan) {
		return "", errors.New("do not start with the slug of a plan and =")
	}
	for feature := range strings.SplitSeq(features, "+") {
		if !validSlug(feature) {
			return "", errors.New("contain a feature that is not a slug")
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
		return "", errors.New("does not have the form host:port or :port")
	case !validPort(port):
		return "", errors.New("has a port that is not a number up to 65535")
	}
	return text, nil
}

func parseOperatorListen(text string) (string, error) {
	switch word := strings.ToLower(text); word {
	case "off", "public":
		return word, nil
	}
	return parseListen(text)
}

// parseAdminRole accepts a role, or off.
func parseAdminRole(text string) (string, error) {
	if strings.EqualFold(text, "off") {
		return "off", nil
	}
	return parseRole(text)
}

func parseRole(text string) (string, error) {
	return matching("letters, digits and _ . : -, at most 64", `^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$`)(text)
}

func parseRoles(text string) ([]string, error) {
	roles, err := listOf(parseRole)(text)
	errs := []error{err}
	for i, role := range roles {
		if role != "" && slices.Contains(roles[:i], role) {
			errs = append(errs, fmt.Errorf("%d is listed twice", i+1))
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
		return netip.Prefix{}, valueError{"is an IPv4 address written as IPv6", "Use its IPv4 form, such as 10.0.0.0/8."}
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

// durationFrom returns a parser of durations that are not shorter than least.
func durationFrom(least time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := parseDuration(text)
		if err == nil && d < least {
			err = errors.New("is too short")
		}
		return d, err
	}
}

// durationBetween returns a parser of durations within bounds.
func durationBetween(least, most time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := parseDuration(text)
		if err == nil && (d < least || d > most) {
			err = fmt.Errorf("is not between %s and %s", displayDuration(least), displayDuration(most))
		}
		return d, err
	}
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		err = errors.New("is not a duration with a unit")
	}
	return d, err
}

func parseBool(text string) (bool, error) {
	word, err := oneOf("false", "true")(text)
	return word == "true", err
}

// parseIssuer returns the issuer in the form in which tokens have it. It refuses a URL that is not
// the issuer's, because every token would be refused, and names the correct one.
func parseIssuer(text string) (string, error) {
	canonical, err := auth.CanonicalIssuer(text)
	if wrong, ok := errors.AsType[*auth.IssuerError](err); ok {
		return "", valueError{wrong.Problem, wrong.Remedy}
	}
	if err == nil {
		_, err = webURL(canonical)
	}
	return canonical, err
}

// parseProxies reads the networks of the proxies. It refuses networks that together are most of the
// internet: anyone could then claim any address and ask for any path.
func parseProxies(text string) ([]netip.Prefix, error) {
	networks, err := listOf(parsePrefix)(text)
	if err == nil && web.Proxies(networks).CoverInternet() {
		err = valueError{
			"list covers half of the internet or more",
			"List the addresses of your proxies, or the private network that they are in, such as 10.0.0.0/8.",
		}
	}
	return networks, err
}
