package auth

import (
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"

	"filippo.io/bigmod"
)

// publicKey verifies the RS256 signatures of one RSA key. crypto/rsa computes what it needs of the
// modulus again for each signature, a third of the time; here that is done once. The arithmetic is
// the same, which package bigmod exports from the standard library.
type publicKey struct {
	key     *rsa.PublicKey
	modulus *bigmod.Modulus
	size    int // of a signature, in bytes
}

// newPublicKey returns an error for a key that RS256 must not be verified with.
func newPublicKey(key *rsa.PublicKey) (*publicKey, error) {
	if err := checkRSA(key); err != nil {
		return nil, err
	}
	modulus, err := bigmod.NewModulus(key.N.Bytes())
	if err != nil {
		return nil, err
	}
	return &publicKey{key: key, modulus: modulus, size: key.Size()}, nil
}

// prefixSHA256 is the DigestInfo of SHA-256 without the hash (RFC 8017 section 9.2, note 1).
const prefixSHA256 = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// verify returns [ErrSignature] unless the signature over signed is that of the key:
// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2). The padded message is made and compared
// as a whole, so that nothing of the signature is parsed.
func (k *publicKey) verify(signed, signature []byte) error {
	hash := sha256.Sum256(signed)
	if fips140.Enabled() { // then only the validated module may verify
		if rsa.VerifyPKCS1v15(k.key, crypto.SHA256, hash[:], signature) != nil {
			return ErrSignature
		}
		return nil
	}
	if len(signature) != k.size {
		return ErrSignature
	}
	s, err := bigmod.NewNat().SetBytes(signature, k.modulus)
	if err != nil { // not below the modulus
		return ErrSignature
	}
	message := bigmod.NewNat().ExpShortVarTime(s, uint(k.key.E), k.modulus).Bytes(k.modulus)
	want := make([]byte, k.size)
	hashAt := k.size - len(hash)
	prefixAt := hashAt - len(prefixSHA256)
	want[1] = 1
	for i := 2; i < prefixAt-1; i++ {
		want[i] = 0xff
	}
	copy(want[prefixAt:], prefixSHA256)
	copy(want[hashAt:], hash[:])
	if subtle.ConstantTimeCompare(message, want) != 1 {
		return ErrSignature
	}
	return nil
}
