package auth

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"
)

const (
	maxKeys      = 64
	maxKeyIDSize = 128
)

// jwkSet is what one fetch of a JWK set (RFC 7517) brought: the usable keys by their id.
type jwkSet struct {
	keys       map[string]*rsa.PublicKey
	body       []byte
	fetched    time.Time // when the fetch began, so that nothing in the set is older than it claims
	generation uint64    // the same as that of the set before, if the keys are
}

func (s *jwkSet) sameKeys(other *jwkSet) bool {
	return other != nil && maps.EqualFunc(s.keys, other.keys, func(a, b *rsa.PublicKey) bool { return a.Equal(b) })
}

func (s *jwkSet) ids() []string { return slices.Sorted(maps.Keys(s.keys)) }

// parseJWKSet reads a JWK set. Keys that RS256 cannot or must not use are left out, as are keys without an id. A set
// that should not have been published like this, with private keys or with one id twice, is refused as a whole, and so
// is one without any usable key: that is rather an accident than a wish to end all sessions.
func parseJWKSet(body []byte) (*jwkSet, error) {
	doc, err := parseObject(string(body))
	if err != nil {
		return nil, err
	}
	list, _ := doc.get("keys")
	elements, err := parseArray(list)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(elements) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	set := &jwkSet{keys: make(map[string]*rsa.PublicKey), body: body}
	seen := make(map[string]bool)
	for _, element := range elements {
		jwk, err := parseObject(element)
		if err != nil {
			return nil, fmt.Errorf("a key: %w", err)
		}
		if hasPrivateParts(jwk) {
			return nil, errors.New("a private key is in the set")
		}
		id, _ := jwk.text("kid")
		if seen[id] && id != "" {
			return nil, errors.New("two keys have the same id")
		}
		seen[id] = true
		if key := rsaKey(jwk); key != nil && id != "" && len(id) <= maxKeyIDSize {
			set.keys[id] = key
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.New("no usable key in the set")
	}
	return set, nil
}

// hasPrivateParts looks for the parameters of RFC 7518 section 6.3.2 (and d of EC and OKP keys, section 6.2.2).
func hasPrivateParts(jwk object) bool {
	for _, name := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, found := jwk.get(name); found {
			return true
		}
	}
	return false
}

// rsaKey returns the key if it is one to verify RS256 with, else nil.
func rsaKey(jwk object) *rsa.PublicKey {
	if kty, _ := jwk.text("kty"); kty != "RSA" || !absentOr(jwk, "use", "sig") || !absentOr(jwk, "alg", RS256) || !mayVerify(jwk) {
		return nil
	}
	modulus, exponent := jwk.unsigned("n"), jwk.unsigned("e")
	if modulus == nil || exponent == nil || exponent.BitLen() > 31 {
		return nil
	}
	key := &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	if checkRSA(key) != nil {
		return nil
	}
	return key
}

func absentOr(o object, name, want string) bool {
	_, found := o.get(name)
	have, _ := o.text(name)
	return !found || have == want
}

// mayVerify reads key_ops (RFC 7517 section 4.3).
func mayVerify(jwk object) bool {
	value, found := jwk.get("key_ops")
	operations, _ := parseTexts(value)
	return !found || slices.Contains(operations, "verify")
}

// unsigned reads a Base64urlUInt (RFC 7518 section 2), nil if it is none.
func (o object) unsigned(name string) *big.Int {
	text, _ := o.text(name)
	bytes, err := strictBase64.DecodeString(text)
	if err != nil {
		return nil
	}
	return new(big.Int).SetBytes(bytes)
}
