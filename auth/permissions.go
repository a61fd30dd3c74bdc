package auth

import (
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Scoped holds the slugs of features or plans, by owner. A slug that both owners have is in both
// lists.
type Scoped struct {
	User         []string // what the user has
	Organization []string // what the active organization has

	// Present reports that the token has the claim. What the claim does not list is not granted
	// then.
	Present bool

	// Malformed reports that the claim is not a string or has an item without a scope. Rules then
	// grant nothing of it.
	Malformed bool
}

// parseScoped reads the claim fea or pla as written: a list of scope:slug with commas between them.
// The value is "" if the token lacks the claim. Items of another form grant nothing.
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

// appendSlug appends a slug. The first time it allocates room for as many slugs as the list has
// items.
func appendSlug(slugs []string, slug, list string) []string {
	if slugs == nil {
		slugs = make([]string, 0, strings.Count(list, ",")+1)
	}
	return append(slugs, slug)
}

// parseScope reads scope:slug. It compares the whole scope: one that only contains an "o" is
// unknown.
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

// decodePermissions returns the permissions of a version 2 token. Bit j of the i-th mask, counted
// from the lowest, grants org:<slug of the i-th feature>:<j-th name>. Positions count in the whole
// list of features, whatever their scope, but only features of the organization grant. An item that
// is malformed or missing grants nothing and does not shift the others.
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

// mask is a set of bits, one for each permission. There may be more than 64.
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
