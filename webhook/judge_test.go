package webhook_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerksync/clerksync/webhook"
)

// judge is the common interface of the reference libraries.
type judge interface {
	Sign(id string, at time.Time, body []byte) (string, error)
	Verify(body []byte, h http.Header) error
	VerifyIgnoringTimestamp(body []byte, h http.Header) error
}

// judges are the reference libraries, each by the family of headers that it reads.
func judges(tb testing.TB, secret string) map[string]judge {
	tb.Helper()
	standard, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		tb.Fatal(err)
	}
	own, err := svix.NewWebhook(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]judge{"svix": own, "webhook": standard}
}

// signFor signs with the header names of the family.
func signFor(s *webhook.Signer, family, id string, at time.Time, body []byte) http.Header {
	if family == "svix" {
		return s.Sign(id, at, body)
	}
	return s.SignStandard(id, at, body)
}

// judgedBodies are bodies on which two signers might disagree.
func judgedBodies() []string {
	return []string{
		"", "{}", vectorBody, "a.b.c", "1731705121.{}", "%d%s%%", "\x00\xff\xfe", "é\u2028\r\n", strings.Repeat("x", 350_000),
	}
}

func TestJudgesSignWeVerify(t *testing.T) {
	t.Parallel()
	for _, keyBytes := range []int{16, 24, 25, 26, 32, 64, 65, 200} {
		secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", keyBytes)))
		v := newVerifier(t, vectorTime, secret)
		for family, judge := range judges(t, secret) {
			for _, body := range judgedBodies() {
				signature, err := judge.Sign(vectorID, vectorTime, []byte(body))
				if err != nil {
					t.Fatal(err)
				}
				h := headers(family, vectorID, vectorTimestamp, signature)
				if _, err := v.Verify(h, []byte(body)); err != nil {
					t.Errorf("%s, %d bytes of key, %d of body: %v", family, keyBytes, len(body), err)
				}
			}
		}
	}
}

func TestWeSignJudgesVerify(t *testing.T) {
	t.Parallel()
	now := time.Now()
	other := secretOf(7)
	for _, secret := range []string{vectorSecret, secretOf(1), strings.TrimPrefix(secretOf(2), "whsec_")} {
		s := newSigner(t, other, secret) // the second of two signatures
		for family, judge := range judges(t, secret) {
			for _, body := range judgedBodies() {
				h := signFor(s, family, vectorID, now, []byte(body))
				if err := judge.Verify([]byte(body), h); err != nil {
					t.Errorf("%s, %d bytes of body: %v", family, len(body), err)
				}
				if judge.Verify([]byte(body+"x"), h) == nil {
					t.Errorf("%s: accepts another body", family)
				}
			}
		}
	}
}

// The tolerance equals that of the libraries, to the nanosecond, at whole seconds and between.
func TestToleranceAsJudges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, v := newSigner(t, vectorSecret), newVerifier(t, time.Time{}, vectorSecret)
		accepted, refused := 0, 0
		for _, advance := range []time.Duration{0, 1, time.Second/2 - 1, time.Second/2 - 1, 1} {
			time.Sleep(advance) // of the bubble's clock
			for _, seconds := range []int{-301, -300, -299, 0, 299, 300, 301} {
				at := time.Now().Truncate(time.Second).Add(time.Duration(seconds) * time.Second)
				for family, judge := range judges(t, vectorSecret) {
					h := signFor(s, family, vectorID, at, []byte(vectorBody))
					want := judge.Verify([]byte(vectorBody), h)
					_, got := v.Verify(h, []byte(vectorBody))
					if (got == nil) != (want == nil) {
						t.Errorf("%s, signed at %s, now %s: we say %v, the library %v", family, at, time.Now(), got, want)
					}
					if want == nil {
						accepted++
					} else {
						refused++
					}
				}
			}
		}
		if accepted == 0 || refused == 0 {
			t.Errorf("the libraries accepted %d and refused %d", accepted, refused)
		}
	})
}
