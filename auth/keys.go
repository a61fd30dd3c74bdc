package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// KeySet holds keys and verifies signatures with them. A [Verifier] does everything else. An
// implementation must be safe for concurrent use. Those of this package are made by [StaticKey],
// [HMACKey] and [NewRemoteKeySet].
type KeySet interface {
	// Algorithm returns the algorithm of all keys, [RS256] or [HS256]. It never changes.
	Algorithm() string

	// VerifySignature returns nil if the key with this id made the signature over signed,
	// [ErrSignature] if it did not, and [ErrUnknownKey] if there is no such key. Any other error
	// means that the keys are unavailable. keyID comes from the token. It is not trusted, and may
	// be empty or long. The context bounds the wait for keys, not their fetch.
	VerifySignature(ctx context.Context, keyID string, signed, signature []byte) error
}

// VersionedKeySet is a [KeySet] that reports when its keys change. A [Verifier] remembers tokens
// only with such a key set.
type VersionedKeySet interface {
	KeySet

	// Generation returns a number that changes when a key is removed or replaced. While it stays
	// the same and usable is true, a signature that VerifySignature accepted would be accepted
	// again. usable is false if there are no keys or if they are too old: VerifySignature must then
	// be called. Generation is called for each token and must not wait.
	Generation() (generation uint64, usable bool)
}

const (
	minRSABits    = 2048 // RFC 7518 section 3.3
	maxRSABits    = 8192 // larger keys take too much time
	minSecretSize = 32   // RFC 7518 section 3.2: as long as the hash, in bytes
)

// checkRSA returns an error for a key that RS256 must not be verified with.
func checkRSA(key *rsa.PublicKey) error {
	switch {
	case key == nil || key.N == nil:
		return errors.New("auth: no RSA public key")
	case key.N.BitLen() < minRSABits || key.N.BitLen() > maxRSABits:
		return fmt.Errorf("auth: an RSA key of %d bits, want %d to %d", key.N.BitLen(), minRSABits, maxRSABits)
	case key.N.Bit(0) == 0 || key.E < 3 || key.E&1 == 0:
		return errors.New("auth: not an RSA public key: modulus and exponent must be odd, the exponent above 1")
	case isROCA(key.N):
		return errors.New("auth: the RSA key was made by a broken generator (CVE-2017-15361)")
	}
	return nil
}

// isROCA reports whether a modulus was made by the generator whose keys can be factored (Nemec et
// al., The Return of Coppersmith's Attack, CCS 2017). Both of its primes, and so the modulus, are
// powers of 65537 modulo each of the first primes. For another modulus isROCA returns true with a
// probability of one in 2^27.
func isROCA(modulus *big.Int) bool {
	primes := [...]int64{
		3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
		79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	}
	for _, p := range primes {
		residue, power := new(big.Int).Mod(modulus, big.NewInt(p)).Int64(), int64(1)
		for power != residue {
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}

// StaticKey returns a set of one RSA key that never changes, for RS256 without a network. Get the
// key from Clerk's dashboard with [ParsePublicKey]. Its PEM has no key id, so the set accepts any
// key id. [NewVerifier] refuses a key that RS256 must not be used with.
func StaticKey(key *rsa.PublicKey) KeySet {
	checked, err := newPublicKey(key)
	return &staticKey{key: checked, err: err}
}

type staticKey struct {
	key *publicKey
	err error
}

func (k *staticKey) Algorithm() string { return RS256 }

// Generation always returns the same number.
func (k *staticKey) Generation() (uint64, bool) { return 0, true }

func (k *staticKey) VerifySignature(_ context.Context, _ string, signed, signature []byte) error {
	if k.err != nil {
		return k.err
	}
	return k.key.verify(signed, signature)
}

// HMACKey returns a set of one shared secret, for HS256. The bytes of the text are the secret. It
// must have at least 32 bytes, and they must be random: anyone who has a token can find a secret
// that is short or easy to guess. HMACKey refuses a public key, which is not a secret.
func HMACKey(secret string) (KeySet, error) {
	if len(secret) < minSecretSize {
		return nil, fmt.Errorf("auth: the HS256 secret has %d bytes, want at least %d", len(secret), minSecretSize)
	}
	if _, err := parsePublicKey(secret); err == nil || strings.Contains(secret, pemBegin) {
		return nil, errors.New("auth: the HS256 secret is a key or certificate in PEM form: RS256 is the algorithm for that")
	}
	return hmacKey(secret), nil
}

type hmacKey []byte

func (k hmacKey) Algorithm() string { return HS256 }

// Generation always returns the same number.
func (k hmacKey) Generation() (uint64, bool) { return 0, true }

func (k hmacKey) VerifySignature(_ context.Context, _ string, signed, signature []byte) error {
	mac := hmac.New(sha256.New, k)
	mac.Write(signed)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return ErrSignature
	}
	return nil
}

// String hides the secret from everything that prints the key set.
func (k hmacKey) String() string { return "HS256 secret" }

// GoString hides the secret from %#v.
func (k hmacKey) GoString() string { return k.String() }

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"
)

// ParsePublicKey reads an RSA public key in PEM form: "PUBLIC KEY" (PKIX) or "RSA PUBLIC KEY" (PKCS
// #1). It also reads what PEM often becomes in an environment variable: all on one line, with line
// breaks written as \n, or without its BEGIN and END lines. Private keys, certificates, other
// algorithms and weak keys are errors. No error quotes the text.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	key, err := parsePublicKey(text)
	if err != nil {
		return nil, err
	}
	rsaKey, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("auth: the public key is not an RSA key")
	}
	if err := checkRSA(rsaKey); err != nil {
		return nil, err
	}
	return rsaKey, nil
}

// parsePublicKey reads a public key of any kind.
func parsePublicKey(text string) (any, error) {
	text = strings.TrimSpace(strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(text))
	label, body, err := splitPEM(text)
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(body), ""))
	var key any
	switch {
	case strings.HasSuffix(label, "PRIVATE KEY"):
		return nil, errPrivateKey
	case err != nil:
		return nil, errors.New("auth: the public key is not PEM: its body is not base64")
	case label == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(der)
	case label == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(der)
	case label == "":
		return parseBareKey(der)
	default:
		return nil, errors.New(`auth: the PEM is neither a "PUBLIC KEY" nor an "RSA PUBLIC KEY"`)
	}
	if err != nil {
		return nil, fmt.Errorf("auth: public key: %w", err)
	}
	return key, nil
}

var errPrivateKey = errors.New(
	"auth: this is a private key, which must stay with its owner: use the public key to verify")

// splitPEM returns the label and the body of a single PEM block. A text without a BEGIN line is a
// body.
func splitPEM(text string) (label, body string, err error) {
	rest, found := strings.CutPrefix(text, pemBegin)
	if !found {
		return "", text, nil
	}
	label, rest, _ = strings.Cut(rest, pemDash)
	body, found = strings.CutSuffix(rest, pemEnd+label+pemDash)
	if !found || strings.Contains(body, pemDash) {
		return "", "", errors.New("auth: the public key is not one whole PEM block")
	}
	return label, body, nil
}

// parseBareKey reads a key whose BEGIN line was lost, by trying each format.
func parseBareKey(der []byte) (any, error) {
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key, nil
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return nil, errPrivateKey
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return nil, errPrivateKey
	}
	return nil, errors.New("auth: not an RSA public key")
}
