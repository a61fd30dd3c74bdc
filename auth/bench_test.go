package auth_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"github.com/clerksync/clerksync/auth"
)

// BenchmarkVerify is a whole check of a token never seen before. What it takes beyond BenchmarkRSA is ours.
func BenchmarkVerify(b *testing.B) {
	b.Run("RS256", func(b *testing.B) {
		benchmarkVerify(b, newVerifier(b, nil), signRS256(b, key(), header(), payload()))
	})
	b.Run("HS256", func(b *testing.B) {
		v := newVerifier(b, func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(b) })
		benchmarkVerify(b, v, signHS256(b, []byte(secret), with(header(), object{"alg": "HS256"}), payload()))
	})
}

func benchmarkVerify(b *testing.B, v *auth.Verifier, token string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRSA is the floor: the bare RSA operation of one RS256 signature.
func BenchmarkRSA(b *testing.B) {
	digest := sha256.Sum256([]byte("content"))
	signature := sign(key(), "content")
	b.ReportAllocs()
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&key().PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParts shows what the rest is spent on: a verifier that believes every signature.
func BenchmarkParts(b *testing.B) {
	v := newVerifier(b, func(c *auth.Config) { c.Keys = anySignature{} })
	benchmarkVerify(b, v, signRS256(b, key(), header(), payload()))
}
