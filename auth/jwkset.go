package auth

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

const (
	maxKeys      = 64
	maxKeyIDSize = 128
	maxReasons   = 3 // of an error
)

// jwkSet holds the usable keys of a JWK set (RFC 7517), by their id.
type jwkSet struct {
	keys       map[string]*publicKey
	skipped    []string  // the keys that are not used, and why
	body       []byte    // a JWK set of the usable keys only
	fetched    time.Time // when the fetch began: the set is not older than this
	generation uint64    // changes with the keys
}

func (s *jwkSet) sameKeys(other *jwkSet) bool {
	return other != nil && maps.EqualFunc(s.keys, other.keys, func(a, b *publicKey) bool { return a.key.Equal(b.key) })
}

func (s *jwkSet) ids() []string { return slices.Sorted(maps.Keys(s.keys)) }

// parseJWKSet reads a JWK set. It skips keys that RS256 cannot or must not use, and entries that
// are not keys, so that the other keys stay usable. It refuses a set without any usable key: such a
// set is more likely a mistake than the wish to end all sessions.
func parseJWKSet(body []byte) (*jwkSet, error) {
	doc, err := parseMembers(string(body))
	if err != nil {
		return nil, err
	}
	list, _ := doc.get("keys")
	elements, err := parseElements(list)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(elements) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	entries := make([]setEntry, len(elements))
	for i, element := range elements {
		entries[i] = readSetEntry(element)
	}
	skipAmbiguous(entries)
	skipExposed(entries)
	return newJWKSet(entries)
}

// newJWKSet collects the keys that were not skipped.
func newJWKSet(entries []setEntry) (*jwkSet, error) {
	set := &jwkSet{keys: make(map[string]*publicKey)}
	var used []string
	for i, e := range entries {
		switch {
		case e.skip != "":
			set.skipped = append(set.skipped, fmt.Sprintf("key %d (%.64q): %s", i+1, e.id, e.skip))
		case set.keys[e.id] == nil: // otherwise the same key is there already
			set.keys[e.id] = e.key
			used = append(used, e.text)
		}
	}
	if len(used) == 0 {
		return nil, fmt.Errorf("no usable key in the set: %s", strings.Join(set.skipped[:min(len(set.skipped), maxReasons)], "; "))
	}
	set.body = []byte(`{"keys":[` + strings.Join(used, ",") + `]}`)
	return set, nil
}

// setEntry is one element of a JWK set.
type setEntry struct {
	text    string
	id      string
	key     *publicKey // nil if the key is skipped
	modulus *big.Int   // also of skipped keys, if it can be read
	private bool       // the entry also contains the private key
	skip    string     // why the key is not used, or ""
}

func readSetEntry(text string) setEntry {
	e := setEntry{text: text}
	jwk, err := parseObject(text)
	if err != nil {
		e.skip = "not a JSON object whose members are unique"
		return e
	}
	e.id, _ = jwk.text("kid")
	e.modulus, e.private = jwk.unsigned("n"), hasPrivateParts(jwk)
	switch {
	case e.private:
		e.skip = "it contains private parts, so others can sign with it"
	case e.id == "" || len(e.id) > maxKeyIDSize:
		e.skip = fmt.Sprintf("it has no id of 1 to %d bytes", maxKeyIDSize)
	default:
		e.key, err = rsaKey(jwk)
		if err != nil {
			e.skip = err.Error()
		}
	}
	return e
}

// skipAmbiguous skips all RSA keys with an id that names more than one key: it is unknown which of
// them a token means. Keys of other types may have the same id (RFC 7517 section 4.5), because an
// RS256 token cannot mean them.
func skipAmbiguous(entries []setEntry) {
	first := make(map[string]*publicKey)
	ambiguous := make(map[string]bool)
	for _, e := range entries {
		if e.id == "" || e.key == nil && e.modulus == nil {
			continue
		}
		if other, found := first[e.id]; found && (other == nil || e.key == nil || !other.key.Equal(e.key.key)) {
			ambiguous[e.id] = true
		}
		first[e.id] = e.key
	}
	for i := range entries {
		if e := &entries[i]; ambiguous[e.id] && e.skip == "" {
			e.key, e.skip = nil, "another key has the same id"
		}
	}
}

// skipExposed skips keys that the set also publishes, under any id, with their private parts.
func skipExposed(entries []setEntry) {
	for _, exposed := range entries {
		if !exposed.private || exposed.modulus == nil {
			continue
		}
		for i := range entries {
			if e := &entries[i]; e.key != nil && e.key.key.N.Cmp(exposed.modulus) == 0 {
				e.key, e.skip = nil, "its private parts are in the set, so others can sign with it"
			}
		}
	}
}

// hasPrivateParts reports whether a key has a parameter of RFC 7518 section 6.3.2, or d of EC and
// OKP keys (section 6.2.2).
func hasPrivateParts(jwk object) bool {
	for _, name := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, found := jwk.get(name); found {
			return true
		}
	}
	return false
}

// rsaKey returns a key that RS256 signatures may be verified with, or an error that says why not.
func rsaKey(jwk object) (*publicKey, error) {
	if kty, _ := jwk.text("kty"); kty != "RSA" {
		return nil, errors.New("not an RSA key")
	}
	if !mayVerify(jwk) {
		return nil, errors.New("its use, key_ops or alg is not that of RS256 signatures")
	}
	modulus, exponent := jwk.unsigned("n"), jwk.unsigned("e")
	if modulus == nil || exponent == nil || exponent.BitLen() > 31 {
		return nil, errors.New("modulus or exponent is not a number")
	}
	key, err := newPublicKey(&rsa.PublicKey{N: modulus, E: int(exponent.Int64())})
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "auth: "))
	}
	return key, nil
}

// absentOr reports whether a member is absent or has this value.
func absentOr(o object, name, want string) bool {
	_, found := o.get(name)
	have, _ := o.text(name)
	return !found || have == want
}

// mayVerify reports whether a key is meant for RS256 signatures (RFC 7517 sections 4.2 to 4.4). A
// key that does not say is meant for anything.
func mayVerify(jwk object) bool {
	value, found := jwk.get("key_ops")
	operations, _ := parseTexts(value)
	return absentOr(jwk, "use", "sig") && absentOr(jwk, "alg", RS256) && (!found || slices.Contains(operations, "verify"))
}

// unsigned reads a Base64urlUInt (RFC 7518 section 2). It returns nil for anything else.
func (o object) unsigned(name string) *big.Int {
	text, _ := o.text(name)
	bytes, err := strictBase64.DecodeString(text)
	if err != nil || len(bytes) == 0 {
		return nil
	}
	return new(big.Int).SetBytes(bytes)
}
