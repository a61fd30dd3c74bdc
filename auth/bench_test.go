package auth_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
)

// BenchmarkVerify measures the verification of a new token. What it takes beyond BenchmarkRSA
// is the cost of this package.
func BenchmarkVerify(b *testing.B) {
	b.Run("RS256", func(b *testing.B) {
		benchmarkVerify(b, newVerifier(b, func(c *auth.Config) { c.CacheEntries = -1 }), signRS256(b, key(), header(), payload()))
	})
	b.Run("HS256", func(b *testing.B) {
		v := newVerifier(b, func(c *auth.Config) { c.Algorithm, c.Keys, c.CacheEntries = auth.HS256, hmacKeys(b), -1 })
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

// BenchmarkRSA measures the lower bound: the RSA operation of one RS256 signature.
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

// BenchmarkParts measures the rest: a verifier that accepts every signature.
func BenchmarkParts(b *testing.B) {
	v := newVerifier(b, func(c *auth.Config) { c.Keys = anySignature{} })
	benchmarkVerify(b, v, signRS256(b, key(), header(), payload()))
}

type ruleBenchmark struct {
	rule    auth.Rule
	subject *auth.Subject
}

// benchmarkRules returns each rule with the subject that costs it most.
func benchmarkRules() map[string]ruleBenchmark {
	subject := member()
	subject.Role, subject.Ladder = "enterprise", []string{"solo", "growth", "enterprise", "admin"}
	subject.Claims.FactorAges = &[2]int{1, 2}
	mirrored := member()
	silent(mirrored)
	five := auth.All(
		auth.MinRole("growth"), auth.Permission("org:invoices:read"), auth.Feature("export"), auth.Plan("org:team"), auth.Reverified(auth.Strict()),
	)
	return map[string]ruleBenchmark{
		"Role": {auth.Role("enterprise"), subject}, "MinRole": {auth.MinRole("growth"), subject},
		"OrgRole": {auth.OrgRole("admin"), subject}, "Permission": {auth.Permission("org:invoices:read"), subject},
		"SystemPermission": {auth.Permission("org:sys_memberships:read"), subject},
		"Feature":          {auth.Feature("export"), subject}, "FeatureOfStoredPlan": {auth.Feature("export"), mirrored},
		"FeatureLocked": {auth.Feature("nothing"), mirrored},
		"Plan":          {auth.Plan("team"), subject}, "StoredPlan": {auth.Plan("team"), mirrored},
		"Reverified": {auth.Reverified(auth.StrictMFA()), subject}, "NotImpersonated": {auth.NotImpersonated(), subject},
		"Any": {auth.Any(auth.Role("x"), auth.OrgRole("admin")), subject}, "AllFive": {five, subject},
	}
}

func BenchmarkRules(b *testing.B) {
	for name, test := range benchmarkRules() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				test.rule.Check(test.subject)
			}
		})
	}
}

// BenchmarkVerifyCached measures a remembered token: with keys that never change, and with keys
// that have an age.
func BenchmarkVerifyCached(b *testing.B) {
	remote, _ := setup(b, nil)
	for name, keys := range map[string]auth.KeySet{"static": auth.StaticKey(&key().PublicKey), "remote": remote} {
		v := newVerifier(b, func(c *auth.Config) {
			c.Keys, c.Now = keys, time.Now
		})
		token := func(i int) string {
			return signRS256(b, key(), header(), with(payload(), object{
				"sub": fmt.Sprint("user_", i), "iat": time.Now().Unix(), "nbf": nil, "exp": time.Now().Unix() + 3600,
			}))
		}
		b.Run(name+"/one token", func(b *testing.B) { benchmarkVerify(b, v, token(0)) })
		tokens := make([]string, 1000)
		for i := range tokens {
			tokens[i] = token(i)
		}
		b.Run(name+"/1000 tokens", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := v.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkForget measures what an event costs a full cache.
func BenchmarkForget(b *testing.B) {
	v, _ := counting(b, nil)
	for i := range 10000 {
		verify(b, v, toyToken(b, "a", 1, with(payload(), object{"sub": fmt.Sprint("user_", i), "sid": fmt.Sprint("sess_", i)})))
	}
	for b.Loop() {
		v.Forget("user_1", "sess_1")
	}
}
