package auth

import (
	"fmt"
	"strings"
)

// Kind is a kind of token that Clerk makes. The zero value is [Session], so that a kind that
// somebody forgot to set never counts as a machine's.
type Kind uint8

// The kinds of tokens.
const (
	Session Kind = iota // the token of a signed-in user: a JWT that lives about a minute
	APIKey              // a key of a user or an organization (ak_…), until it is revoked
	OAuth               // an OAuth access token (oat_…, or a JWT with the type at+jwt) that a user granted to an application
	M2M                 // a token of a machine (mt_…, or a JWT whose subject is mch_…)

	kinds // the number of kinds
)

var kindNames = [kinds]string{"session", "api_key", "oauth", "m2m"}

// String returns session, api_key, oauth or m2m.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ParseKind returns the kind with a name that [Kind.String] returns.
func ParseKind(name string) (kind Kind, ok bool) {
	for i, known := range kindNames {
		if name == known {
			return Kind(i), true
		}
	}
	return 0, false
}

// Kinds is a set of kinds. The zero value is empty.
type Kinds uint8

// KindsOf returns a set of kinds. It ignores values that are no kinds.
func KindsOf(list ...Kind) (set Kinds) {
	for _, kind := range list {
		if kind < kinds {
			set |= 1 << kind
		}
	}
	return set
}

// Has reports whether a kind is in the set.
func (s Kinds) Has(kind Kind) bool { return kind < kinds && s&(1<<kind) != 0 }

// HasMachines reports whether a kind other than [Session] is in the set.
func (s Kinds) HasMachines() bool { return s&^(1<<Session) != 0 }

// String returns the kinds, with a comma and a space between them.
func (s Kinds) String() string {
	var names []string
	for kind := range kinds {
		if s.Has(kind) {
			names = append(names, kind.String())
		}
	}
	return strings.Join(names, ", ")
}

// KindOf returns the kind that a token has by its form. It verifies nothing: give the token to a
// [Verifier] or a [MachineVerifier]. What has the form of no kind counts as a session token, which
// its verifier refuses.
//
// Source: Clerk's JavaScript SDK, which distinguishes them in this order.
func KindOf(token string) Kind {
	switch {
	case strings.HasPrefix(token, prefixM2M):
		return M2M
	case strings.HasPrefix(token, prefixOAuth):
		return OAuth
	case strings.HasPrefix(token, prefixAPIKey):
		return APIKey
	}
	t, err := parseToken(token)
	if err != nil {
		return Session
	}
	payload, err := parseObject(string(t.payload))
	if err != nil {
		return Session
	}
	if subject, _ := payload.text("sub"); strings.HasPrefix(subject, "mch_") {
		return M2M
	}
	if typ, _ := t.header.text("typ"); isAccessTokenType(typ) {
		return OAuth
	}
	return Session
}

// Prefixes of opaque tokens.
const (
	prefixAPIKey = "ak_"
	prefixOAuth  = "oat_"
	prefixM2M    = "mt_"
)

// isOpaque reports whether a token has the prefix of one that only Clerk can read.
func isOpaque(token string) bool {
	return strings.HasPrefix(token, prefixAPIKey) || strings.HasPrefix(token, prefixOAuth) || strings.HasPrefix(token, prefixM2M)
}

const (
	minOpaqueBody = 24  // characters after the prefix; Clerk's have 44
	maxOpaqueSize = 512 // bytes
	objectIDBody  = 32  // hexadecimal digits after the prefix of an object's id
)

// plausible reports whether an opaque token may be a secret: it has a prefix of Clerk's, then
// enough characters of base64, and it is not the id of a key, which has the same prefix. Clerk is
// paid for each verification, so that it is asked about nothing else.
func plausible(token string) bool {
	_, body, _ := strings.Cut(token, "_")
	if len(token) > maxOpaqueSize || len(body) < minOpaqueBody {
		return false
	}
	hexadecimal := true
	for i := range len(body) {
		c := body[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		case c >= 'g' && c <= 'z', c >= 'A' && c <= 'Z', c == '+', c == '/', c == '=', c == '-', c == '_':
			hexadecimal = false
		default:
			return false
		}
	}
	return !hexadecimal || len(body) != objectIDBody
}

// isAccessTokenType reports whether a header typ is that of a JWT access token (RFC 9068 section
// 2.1).
func isAccessTokenType(typ string) bool {
	return strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt")
}
