package webhook_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

// Headers with which no body can be valid are refused without a body.
func TestCheckHeaders(t *testing.T) {
	t.Parallel()
	const none = webhook.Reason("")
	at := func(d time.Duration) string { return strconv.FormatInt(vectorTime.Add(d).Unix(), 10) }
	forged := "v1," + strings.Repeat("A", 43) + "="
	tests := map[string]struct {
		h    http.Header
		want webhook.Reason
	}{
		"signed":                   {headers("svix", vectorID, vectorTimestamp, vectorSignature), none},
		"forged in the right form": {headers("webhook", vectorID, vectorTimestamp, forged), none},
		"second signature":         {headers("svix", vectorID, vectorTimestamp, "v2,x "+forged), none},
		"at the tolerance":         {headers("svix", vectorID, at(-5*time.Minute), forged), none},
		"no headers":               {http.Header{}, webhook.ReasonMissingHeader},
		"two families": {http.Header{
			"Svix-Id": {vectorID}, "Webhook-Id": {vectorID},
		}, webhook.ReasonMixedHeaders},
		"id with a full stop":  {headers("svix", "a.b", vectorTimestamp, forged), webhook.ReasonBadID},
		"timestamp of letters": {headers("svix", vectorID, "now", forged), webhook.ReasonBadTimestamp},
		"long signature header": {
			headers("svix", vectorID, vectorTimestamp, strings.Repeat("x", 4097)), webhook.ReasonBadSignature,
		},
		"no signature of our version": {headers("svix", vectorID, vectorTimestamp, "v2,x"), webhook.ReasonNoMatchingSignature},
		"signature too short":         {headers("svix", vectorID, vectorTimestamp, "v1,AAAA"), webhook.ReasonNoMatchingSignature},
		"too old":                     {headers("svix", vectorID, at(-301*time.Second), forged), webhook.ReasonStaleTimestamp},
		"too far ahead":               {headers("svix", vectorID, at(301*time.Second), forged), webhook.ReasonFutureTimestamp},
	}
	v := newVerifier(t, vectorTime, vectorSecret)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := v.CheckHeaders(test.h)
			if test.want == none {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantRefusal(t, err, test.want, test.h)
		})
	}
	good := headers("svix", vectorID, vectorTimestamp, vectorSignature)
	wantRefusal(t, new(webhook.Verifier).CheckHeaders(good), webhook.ReasonNoMatchingSignature, good)
}

func TestCheckHeadersOfHMACBody(t *testing.T) {
	t.Parallel()
	v := newBodyVerifier(t, bodySecret)
	good := http.Header{"Svix-Signature": {bodySignature(bodySecret, signedBody)}}
	if err := v.CheckHeaders(good); err != nil {
		t.Errorf("refused: %v", err)
	}
	for name, h := range map[string]http.Header{"none": {}, "not hexadecimal": {"Svix-Signature": {"v1,x"}}} {
		if err := v.CheckHeaders(h); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}
