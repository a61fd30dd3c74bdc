package webhook_test

import (
	"bufio"
	"errors"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clerksync/clerksync/webhook"
)

// withSignature replaces "$" in a fuzzed text by the good signature, which chance would never find.
func withSignature(tb testing.TB, text, id, timestamp, body string) string {
	tb.Helper()
	return strings.ReplaceAll(text, "$", sign(tb, vectorSecret, id, timestamp, body))
}

// secondComma reports whether a part has a second comma, which the library overlooks.
func secondComma(part string) bool { return strings.Count(part, ",") > 1 }

// FuzzVerify sends three headers and a body. Accepted is what was signed, follows the rules and is
// in time, all of it and nothing else; and what is well signed for us is so for the library of
// Standard Webhooks.
func FuzzVerify(f *testing.F) {
	f.Add(vectorID, vectorTimestamp, vectorSignature, vectorBody)
	f.Add(vectorID, vectorTimestamp, "v2,x $ v1,", vectorBody)
	f.Add("a.1731705121", vectorTimestamp, "$", "{}")
	f.Add("a", vectorTimestamp, "$", "1731705121.{}")
	f.Add(vectorID, "+1731705121", "$", vectorBody)
	f.Add(vectorID, "01731705121", "$ "+vectorSignature, vectorBody)
	f.Add(vectorID, "1731705421", "$", vectorBody)
	f.Add(vectorID, "1731705422", "$", vectorBody)
	f.Add(vectorID, "1731704821", "$", vectorBody)
	f.Add(vectorID, "999999999999", "$", vectorBody)
	f.Add("msg 1", vectorTimestamp, "$,", "")

	v := newVerifier(f, vectorTime, vectorSecret)
	goodID := regexp.MustCompile(`^[!-\-/-~]{1,256}$`)
	goodTimestamp := regexp.MustCompile(`^[1-9][0-9]{0,11}$`)
	reference, err := standardwebhooks.NewWebhook(vectorSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, timestamp, list, body string) {
		list = withSignature(t, list, id, timestamp, body)
		h := headers("webhook", id, timestamp, list)
		parts := strings.Split(list, " ")
		canonical := goodID.MatchString(id) && goodTimestamp.MatchString(timestamp) && len(list) <= 4096 && len(parts) <= 32
		wellSigned := canonical && slices.Contains(parts, sign(t, vectorSecret, id, timestamp, body))
		seconds, _ := strconv.ParseInt(timestamp, 10, 64)
		early, late := seconds-vectorTime.Unix() > 300, vectorTime.Unix()-seconds > 300

		message, err := v.Verify(h, []byte(body))
		if early := v.CheckHeaders(h); err == nil && early != nil {
			t.Errorf("accepted, but refused by its headers: %v", early)
		}
		switch judged := reference.VerifyIgnoringTimestamp([]byte(body), h); {
		case wellSigned && judged != nil:
			t.Fatalf("the library refuses what is well signed: %v", judged)
		case wellSigned && early:
			wantRefusal(t, err, webhook.ReasonFutureTimestamp, nil)
		case wellSigned && late:
			wantRefusal(t, err, webhook.ReasonStaleTimestamp, nil)
		case wellSigned:
			if err != nil || message.ID != id || message.SignedAt.Unix() != seconds {
				t.Fatalf("message %+v, error %v", message, err)
			}
		case canonical && judged == nil && !slices.ContainsFunc(parts, secondComma):
			t.Fatalf("the library accepts what follows all rules but is not well signed")
		default:
			if refusal, ok := errors.AsType[*webhook.Error](err); !ok || refusal.Age != 0 {
				t.Fatalf("error %v for what is not well signed", err)
			}
		}
	})
}

// FuzzVerifyHeaders sends any headers with a body, under both schemes. Accepted is only what has
// each header of one family once, and none of the other.
func FuzzVerifyHeaders(f *testing.F) {
	for _, block := range []string{
		"svix-id: a\nsvix-timestamp: 1731705121\nsvix-signature: $",
		"webhook-id: a\nwebhook-timestamp: 1731705121\nwebhook-signature: $ $",
		"webhook-id: a\nsvix-timestamp: 1731705121\nwebhook-signature: $",
		"svix-id: a\nsvix-id: a\nsvix-timestamp: 1731705121\nsvix-signature: $",
		"svix-signature: #",
		"svix-id: a\nsvix-signature: #\nwebhook-id:",
	} {
		f.Add(block, vectorBody)
	}
	v, bodyVerifier := newVerifier(f, vectorTime, vectorSecret), newBodyVerifier(f, bodySecret)
	f.Fuzz(func(t *testing.T, block, body string) {
		block = withSignature(t, block, "a", vectorTimestamp, body)
		block = strings.ReplaceAll(block, "#", bodySignature(bodySecret, body))
		fields, err := textproto.NewReader(bufio.NewReader(strings.NewReader(block + "\n\n"))).ReadMIMEHeader()
		if err != nil {
			return // a server does not get that far
		}
		h := http.Header(fields)
		counts := func(prefix string) [3]int {
			return [3]int{len(h[prefix+"-Id"]), len(h[prefix+"-Timestamp"]), len(h[prefix+"-Signature"])}
		}
		svix, standard := counts("Svix"), counts("Webhook")

		if message, err := v.Verify(h, []byte(body)); err == nil {
			one, none := [3]int{1, 1, 1}, [3]int{}
			if message.ID != "a" || !(svix == one && standard == none || svix == none && standard == one) {
				t.Fatalf("accepted %q", h)
			}
		} else if _, ok := errors.AsType[*webhook.Error](err); !ok {
			t.Fatalf("error %v", err)
		}
		if _, err := bodyVerifier.Verify(h, []byte(body)); err == nil {
			signed := strings.EqualFold(h.Get("Svix-Signature"), bodySignature(bodySecret, body))
			if !signed || svix[0] > 1 || svix[2] != 1 || standard != [3]int{} {
				t.Fatalf("hmac-body accepted %q", h)
			}
		} else if _, ok := errors.AsType[*webhook.Error](err); !ok {
			t.Fatalf("error %v", err)
		}
	})
}

// FuzzSecret reads any secret. What is taken, the library takes too, and both sign alike; what is
// not, is not quoted.
func FuzzSecret(f *testing.F) {
	for _, secret := range []string{vectorSecret, "whsec_", "", "whsec_AAAA", vectorSecret + "\n", secretOf(1)[6:]} {
		f.Add(secret)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		s, err := webhook.NewSigner(secret)
		if err != nil {
			if len(secret) > 16 && strings.Contains(err.Error(), secret) {
				t.Fatalf("%q quotes the secret", err)
			}
			return
		}
		h := s.SignStandard(vectorID, vectorTime, []byte(vectorBody))
		reference, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatalf("the library refuses the secret: %v", err)
		}
		if err := reference.VerifyIgnoringTimestamp([]byte(vectorBody), h); err != nil {
			t.Fatalf("the library refuses the signature: %v", err)
		}
		if _, err := newVerifier(t, vectorTime, secret).Verify(h, []byte(vectorBody)); err != nil {
			t.Fatal(err)
		}
	})
}
