package webhook_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/webhook"
)

// A bad secret is an error at start, and no error quotes it.
func TestSecretFaults(t *testing.T) {
	t.Parallel()
	bytes := func(n int) []byte { return []byte(strings.Repeat("\xfb", n)) }
	encode := func(n int) string { return base64.StdEncoding.EncodeToString(bytes(n)) }
	tests := map[string]struct {
		secret, problem string
	}{
		"empty":               {"", "is empty"},
		"only the prefix":     {"whsec_", "has nothing after whsec_"},
		"the prefix twice":    {"whsec_whsec_" + encode(24), "is not valid base64"},
		"not base64":          {"whsec_not-base64!-not-base64!", "is not valid base64"},
		"other alphabet":      {"whsec_" + base64.URLEncoding.EncodeToString(bytes(24)), "is not valid base64"},
		"without padding":     {"whsec_" + strings.TrimRight(encode(25), "="), "is not valid base64"},
		"cut off":             {vectorSecret[:len(vectorSecret)-1], "is not valid base64"},
		"quoted":              {`"` + vectorSecret + `"`, "is not valid base64"},
		"two in one":          {vectorSecret + "," + vectorSecret, "is not valid base64"},
		"line end inside":     {vectorSecret[:20] + "\n" + vectorSecret[20:], "is not valid base64"},
		"line end after":      {vectorSecret + "\n", "starts or ends with white space"},
		"space before":        {" " + vectorSecret, "starts or ends with white space"},
		"only space":          {"   ", "starts or ends with white space"},
		"15 bytes":            {"whsec_" + encode(15), "is a key shorter than 16 bytes"},
		"only padding":        {"whsec_====", "is not valid base64"},
		"asymmetric secret":   {"whsk_" + encode(64), "is not valid base64"},
		"asymmetric public":   {"whpk_" + encode(32), "is not valid base64"},
		"Clerk's API key":     {"sk_test_" + encode(30), "is not valid base64"},
		"upper-case prefix":   {"WHSEC_" + encode(24), "is not valid base64"},
		"8 bytes, no padding": {encode(6) + encode(3), "is a key shorter than 16 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, verifierErr := webhook.NewVerifier(webhook.Config{Secrets: []string{vectorSecret, test.secret}})
			_, signerErr := webhook.NewSigner(vectorSecret, test.secret)
			for _, err := range []error{verifierErr, signerErr} {
				fault, ok := errors.AsType[*webhook.SecretError](err)
				if !ok {
					t.Fatalf("error %v, want a SecretError", err)
				}
				if fault.Position != 2 || !strings.HasPrefix(fault.Problem, test.problem) || fault.Remedy == "" {
					t.Errorf("fault %+v, want the second with problem %q and a remedy", fault, test.problem)
				}
				if len(test.secret) > 6 && strings.Contains(err.Error(), test.secret[len(test.secret)/2:]) {
					t.Errorf("%q quotes the secret", err)
				}
			}
		})
	}
}

func TestSecretErrorTexts(t *testing.T) {
	t.Parallel()
	const remedy = "copy the signing secret from the endpoint's page in the Clerk dashboard; it starts with whsec_"
	_, err := webhook.NewVerifier(webhook.Config{
		Secrets: []string{"", vectorSecret, "whsec_c2hvcnQ="}, Scheme: "v2", Tolerance: -1,
	})
	want := `webhook: unknown scheme: use "svix" or "hmac-body"
webhook: negative tolerance: use 0 for 5 minutes
webhook: secret 1 is empty: ` + remedy + `
webhook: secret 3 is a key shorter than 16 bytes: ` + remedy
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, err = webhook.NewVerifier(webhook.Config{})
	_, signerErr := webhook.NewSigner()
	for _, err := range []error{err, signerErr} {
		if diff := cmp.Diff("webhook: no secret is configured: "+remedy, fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestSecretsAccepted(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{
		vectorSecret, vectorSecret[6:], secretOf(1),
		"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 16)),
		"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 64)),
	} {
		h := newSigner(t, secret).Sign(vectorID, vectorTime, []byte(vectorBody))
		if _, err := newVerifier(t, vectorTime, secret).Verify(h, []byte(vectorBody)); err != nil {
			t.Errorf("key of %d characters: %v", len(secret), err)
		}
	}
}

func TestBodySecrets(t *testing.T) {
	t.Parallel()
	for secret, problem := range map[string]string{
		"":                   "is empty",
		"whsec_":             "is a key shorter than 16 bytes",
		"fifteen letters":    "is a key shorter than 16 bytes",
		"sixteen letters.":   "",
		"not-base64 but ok!": "",
		vectorSecret:         "", // here just a text
		"ends with space   ": "starts or ends with white space",
		"ends with a line\n": "starts or ends with white space",
	} {
		c := webhook.Config{Secrets: []string{secret}, Scheme: webhook.SchemeDangerousHMACBody}
		_, err := webhook.NewVerifier(c)
		fault, ok := errors.AsType[*webhook.SecretError](err)
		switch {
		case problem == "" && err != nil:
			t.Errorf("%q: %v", secret, err)
		case problem != "" && (!ok || fault.Problem != problem || !strings.Contains(fault.Remedy, "16 bytes")):
			t.Errorf("%q: error %v, want problem %q", secret, err, problem)
		}
	}
}

// Printing a value that contains a secret does not show the secret.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 24)
	secret := base64.StdEncoding.EncodeToString([]byte(key))
	v, s := newVerifier(t, vectorTime, secret), newSigner(t, secret)
	if _, err := v.Verify(s.Sign(vectorID, time.Now(), nil), nil); err == nil { // fills the pools
		t.Fatal("accepted a time to come")
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(format+format, v, s)
		for _, shown := range []string{secret, key, "107 107 107", "0x6b, 0x6b"} {
			if strings.Contains(text, shown) {
				t.Errorf("%s shows the key", format)
			}
		}
	}
}
