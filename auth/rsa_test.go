package auth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"sync"
	"testing"
)

// differential are keys of several sizes and exponents. 2056 bits: the first byte of a modulus is
// not always its highest one. crypto/rsa judges what this package makes of their signatures.
var differential = sync.OnceValue(func() (keys []*rsa.PrivateKey) {
	for _, bits := range []int{2048, 2056, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
})

// signatures are a valid signature and what resembles one.
func signatures(t testing.TB, key *rsa.PrivateKey, message []byte) map[string][]byte {
	t.Helper()
	hash := sha256.Sum256(message)
	valid, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	otherHash, err := rsa.SignPKCS1v15(nil, key, crypto.SHA384, make([]byte, 48))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := rsa.SignPKCS1v15(nil, key, 0, hash[:]) // no DigestInfo
	if err != nil {
		t.Fatal(err)
	}
	raised := new(big.Int).Add(new(big.Int).SetBytes(valid), key.N) // the same residue
	all := map[string][]byte{
		"valid": valid, "another hash": otherHash, "no DigestInfo": bare, "empty": {}, "zero": make([]byte, key.Size()),
		"a zero before": append([]byte{0}, valid...), "a byte less": valid[1:], "a byte more": append(bytes.Clone(valid), 0),
		"the modulus": key.N.FillBytes(make([]byte, key.Size())), "raised by the modulus": raised.Bytes(),
		"negated": new(big.Int).Sub(key.N, new(big.Int).SetBytes(valid)).FillBytes(make([]byte, key.Size())),
	}
	for _, at := range []int{0, 1, key.Size() / 2, key.Size() - 1} {
		changed := bytes.Clone(valid)
		changed[at] ^= 1
		all["bit "+string(rune('0'+at%10))] = changed
	}
	return all
}

func TestRSAAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, key := range differential() {
		for _, exponent := range []int{key.E, 3} {
			checked, err := newPublicKey(&rsa.PublicKey{N: key.N, E: exponent})
			if err != nil {
				t.Fatal(err)
			}
			for name, signature := range signatures(t, key, []byte("signed")) {
				agree(t, name, checked, []byte("signed"), signature)
				agree(t, name, checked, []byte("other"), signature)
			}
		}
	}
}

// agree fails unless crypto/rsa judges a signature as this package does.
func agree(t *testing.T, name string, key *publicKey, signed, signature []byte) {
	t.Helper()
	hash := sha256.Sum256(signed)
	want := rsa.VerifyPKCS1v15(key.key, crypto.SHA256, hash[:], signature) == nil
	if got := key.verify(signed, signature) == nil; got != want {
		t.Errorf("%s, %d bits: %t, the standard library says %t", name, key.key.N.BitLen(), got, want)
	}
}

func FuzzRSA(f *testing.F) {
	message := []byte("signed")
	for i, key := range differential() {
		for _, signature := range signatures(f, key, message) {
			f.Add(i, message, signature)
		}
	}
	f.Fuzz(func(t *testing.T, which int, signed, signature []byte) {
		keys := differential()
		checked, err := newPublicKey(&keys[uint(which)%uint(len(keys))].PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, "fuzzed", checked, signed, signature)
	})
}

func BenchmarkRSAVerify(b *testing.B) {
	key := differential()[0]
	signed := []byte("signed")
	hash := sha256.Sum256(signed)
	signature := signatures(b, key, signed)["valid"]
	checked, err := newPublicKey(&key.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("standard library", func(b *testing.B) {
		for b.Loop() {
			if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, hash[:], signature); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prepared", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := checked.verify(signed, signature); err != nil {
				b.Fatal(err)
			}
		}
	})
}
