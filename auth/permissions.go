package auth

import (
	"math/big"
	"strings"
)

// Scoped holds slugs (of features or plans) by whom they were granted to. A slug granted to both is in both lists.
type Scoped struct {
	User         []string
	Organization []string

	Present   bool // the token has the claim, so what it does not list is not granted
	Malformed bool // the claim is no text, or has an item without scope: rules grant nothing of it
}

// parseScoped reads a comma list of scope:slug, the claim fea or pla as written; "" if there is none. Items of another
// form grant nothing.
func parseScoped(value string) (s Scoped) {
	if value == "" {
		return s
	}
	list, ok := unquote(value)
	s.Present, s.Malformed = true, !ok
	if list == "" {
		return s
	}
	for item := range strings.SplitSeq(list, ",") {
		if strings.IndexByte(item, ':') < 0 {
			s.Malformed = true
		}
		slug, user, organization := parseScope(item)
		if user {
			s.User = append(s.User, slug)
		}
		if organization {
			s.Organization = append(s.Organization, slug)
		}
	}
	return s
}

// parseScope reads scope:slug. The scopes are matched as a whole: one that merely contains an "o" is unknown.
func parseScope(item string) (slug string, user, organization bool) {
	scope, slug, _ := strings.Cut(item, ":")
	if slug == "" || strings.Contains(slug, ":") {
		return "", false, false
	}
	switch scope {
	case "u":
		return slug, true, false
	case "o":
		return slug, false, true
	case "uo", "ou":
		return slug, true, true
	default:
		return "", false, false
	}
}

// decodePermissions unfolds what a version 2 token says about permissions: bit j (the lowest is 0) of the i-th mask
// grants org:<slug of the i-th feature>:<j-th name>. Positions count in the whole list of features, whatever their
// scope; only features of the organization grant. What is malformed or missing grants nothing and shifts nothing.
func decodePermissions(features, names, masks string) []string {
	var permissions []string
	featureList, nameList := strings.Split(features, ","), strings.Split(names, ",")
	for i, mask := range strings.Split(masks, ",") {
		if i >= len(featureList) {
			break
		}
		slug, _, organization := parseScope(featureList[i])
		bits, ok := parseMask(mask)
		if !organization || !ok {
			continue
		}
		for j := range min(bits.BitLen(), len(nameList)) {
			if name := nameList[j]; bits.Bit(j) == 1 && name != "" && !strings.Contains(name, ":") {
				permissions = append(permissions, "org:"+slug+":"+name)
			}
		}
	}
	return permissions
}

// parseMask reads a non-negative decimal integer of any length: one bit a permission, so more than 64 are possible.
func parseMask(text string) (*big.Int, bool) {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return nil, false // big.Int would also take a sign
		}
	}
	return new(big.Int).SetString(text, 10)
}
