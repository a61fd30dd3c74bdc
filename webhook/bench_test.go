package webhook_test

import (
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// BenchmarkVerify verifies a body of 2 KiB, the size of a usual event: with one secret, with the
// second of two, forged, and with the library of Standard Webhooks for comparison.
func BenchmarkVerify(b *testing.B) {
	body := []byte(strings.Repeat("x", 2048))
	h := newSigner(b, secretOf(1)).SignStandard(vectorID, vectorTime, body)
	forged := headers("webhook", vectorID, vectorTimestamp, vectorSignature)

	b.Run("one secret", func(b *testing.B) {
		v := newVerifier(b, vectorTime, secretOf(1))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(h, body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("second secret", func(b *testing.B) {
		v := newVerifier(b, vectorTime, secretOf(2), secretOf(1))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(h, body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("forged", func(b *testing.B) {
		v := newVerifier(b, vectorTime, secretOf(1))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(forged, body); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	b.Run("standardwebhooks", func(b *testing.B) {
		reference, err := standardwebhooks.NewWebhook(secretOf(1))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := reference.VerifyIgnoringTimestamp(body, h); err != nil {
				b.Fatal(err)
			}
		}
	})
}
