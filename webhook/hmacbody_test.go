package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/webhook"
)

const (
	bodySecret = "a shared text of some length"
	signedBody = `{"type":"user.created"}`
)

func bodySignature(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func newBodyVerifier(tb testing.TB, secrets ...string) *webhook.Verifier {
	tb.Helper()
	v, err := webhook.NewVerifier(webhook.Config{Secrets: secrets, Scheme: webhook.SchemeDangerousHMACBody})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// The values of `printf %s BODY | openssl dgst -sha256` with and without `-hmac SECRET`.
func TestVerifyHMACBodyVector(t *testing.T) {
	t.Parallel()
	h := http.Header{"Svix-Signature": {"0b58efbf578f1a28c0ae40c650c4289cd8f9e262a2afd1cf0f41cb4b438de0e6"}}
	got, err := newBodyVerifier(t, bodySecret).Verify(h, []byte(signedBody))
	if err != nil {
		t.Fatal(err)
	}
	want := webhook.Message{ID: "eeda84e7bad3591de94def5c959f2cc3da793e46bd5676b5520219ab6465590d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestVerifyHMACBodyAccepts(t *testing.T) {
	t.Parallel()
	good := bodySignature(bodySecret, signedBody)
	digest := sha256.Sum256([]byte(signedBody))
	bodyID := hex.EncodeToString(digest[:])
	tests := map[string]struct {
		header http.Header
		id     string
	}{
		"lower case": {http.Header{"Svix-Signature": {good}}, bodyID},
		"upper case": {http.Header{"Svix-Signature": {strings.ToUpper(good)}}, bodyID},
		"with id":    {http.Header{"Svix-Signature": {good}, "Svix-Id": {"msg_1"}}, "msg_1"},
		"any time":   {headers("svix", "msg_1", "1", good), "msg_1"},
	}
	v := newBodyVerifier(t, "the next text, also long", bodySecret)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.Verify(test.header, []byte(signedBody))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(webhook.Message{ID: test.id}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			_, err = v.Verify(test.header, []byte(signedBody+" "))
			wantRefusal(t, err, webhook.ReasonNoMatchingSignature, test.header)
		})
	}
}

func TestVerifyHMACBodyRefuses(t *testing.T) {
	t.Parallel()
	good := bodySignature(bodySecret, signedBody)
	signed := func(signatures ...string) http.Header { return http.Header{"Svix-Signature": signatures} }
	with := func(name string, values ...string) http.Header {
		h := signed(good)
		h[name] = values
		return h
	}
	tests := map[string]struct {
		header http.Header
		want   webhook.Reason
	}{
		"other secret":    {signed(bodySignature(bodySecret+"s", signedBody)), webhook.ReasonNoMatchingSignature},
		"all zero":        {signed(strings.Repeat("0", 64)), webhook.ReasonNoMatchingSignature},
		"not hexadecimal": {signed("g" + good[1:]), webhook.ReasonBadSignature},
		"too short":       {signed(good[2:]), webhook.ReasonBadSignature},
		"too long":        {signed(good + "00"), webhook.ReasonBadSignature},
		"with a version":  {signed("v1," + good), webhook.ReasonBadSignature},
		"a v1 signature":  {signed(vectorSignature), webhook.ReasonBadSignature},
		"a list":          {signed(good + " " + good), webhook.ReasonBadSignature},
		"no signature":    {http.Header{"Svix-Id": {"msg_1"}}, webhook.ReasonMissingHeader},
		"empty signature": {signed(""), webhook.ReasonMissingHeader},
		"two signatures":  {signed(good, good), webhook.ReasonDuplicateHeader},
		"two ids":         {with("Svix-Id", "msg_1", "msg_1"), webhook.ReasonDuplicateHeader},
		"empty id":        {with("Svix-Id", ""), webhook.ReasonMissingHeader},
		"bad id":          {with("Svix-Id", "msg 1"), webhook.ReasonBadID},
		"other family":    {http.Header{"Webhook-Signature": {good}}, webhook.ReasonMissingHeader},
		"mixed":           {with("Webhook-Id", "msg_1"), webhook.ReasonMixedHeaders},
	}
	v := newBodyVerifier(t, bodySecret)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(test.header, []byte(signedBody))
			wantRefusal(t, err, test.want, test.header)
		})
	}
	// The default scheme does not accept such a signature.
	h := headers("svix", vectorID, vectorTimestamp, bodySignature(vectorSecret, vectorBody))
	_, err := newVerifier(t, vectorTime, vectorSecret).Verify(h, []byte(vectorBody))
	wantRefusal(t, err, webhook.ReasonNoMatchingSignature, h)
}
