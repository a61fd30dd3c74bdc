package auth

import (
	"math/big"
	"math/bits"
	"strconv"
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
			s.User = appendSlug(s.User, slug, list)
		}
		if organization {
			s.Organization = appendSlug(s.Organization, slug, list)
		}
	}
	return s
}

// appendSlug makes room once, for as many as there are items in the list.
func appendSlug(slugs []string, slug, list string) []string {
	if slugs == nil {
		slugs = make([]string, 0, strings.Count(list, ",")+1)
	}
	return append(slugs, slug)
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
	nameList := strings.Split(names, ",")
	for masks != "" || features != "" {
		var feature, text string
		feature, features, _ = strings.Cut(features, ",")
		text, masks, _ = strings.Cut(masks, ",")
		slug, _, organization := parseScope(feature)
		m, ok := parseMask(text)
		if !organization || !ok {
			continue
		}
		for j := range min(m.bitLen(), len(nameList)) {
			if name := nameList[j]; m.bit(j) && name != "" && !strings.Contains(name, ":") {
				permissions = append(permissions, "org:"+slug+":"+name)
			}
		}
	}
	return permissions
}

// mask is a set of bits: one for each permission, so more than 64 are possible.
type mask struct {
	low  uint64
	long *big.Int // instead of low
}

func (m mask) bit(i int) bool {
	if m.long != nil {
		return m.long.Bit(i) == 1
	}
	return m.low>>i&1 == 1
}

func (m mask) bitLen() int {
	if m.long != nil {
		return m.long.BitLen()
	}
	return bits.Len64(m.low)
}

// parseMask reads a non-negative decimal integer of any length.
func parseMask(text string) (mask, bool) {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return mask{}, false // big.Int would also take a sign
		}
	}
	if text == "" {
		return mask{}, false
	}
	if low, err := strconv.ParseUint(text, 10, 64); err == nil {
		return mask{low: low}, true
	}
	long, ok := new(big.Int).SetString(text, 10)
	return mask{long: long}, ok
}
