package webhook_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/webhook"
)

func TestVerifySignatureHeader(t *testing.T) {
	t.Parallel()
	const good = vectorSignature
	raw, err := base64.StdEncoding.DecodeString(good[3:])
	if err != nil {
		t.Fatal(err)
	}
	const none = webhook.Reason("")
	tests := map[string]struct {
		value string
		want  webhook.Reason
	}{
		"doubled space":            {"v1,AAAA  " + good, none},
		"surrounded by spaces":     {" " + good + " ", none},
		"32 parts":                 {strings.Repeat("v1,A ", 31) + good, none},
		"33 parts":                 {good + strings.Repeat(" v1,A", 32), webhook.ReasonBadSignature},
		"4096 bytes":               {"v2," + strings.Repeat("A", 4096-4-len(good)) + " " + good, none},
		"4097 bytes":               {"v2," + strings.Repeat("A", 4097-4-len(good)) + " " + good, webhook.ReasonBadSignature},
		"no version":               {good[3:], webhook.ReasonNoMatchingSignature},
		"empty version":            {good[2:], webhook.ReasonNoMatchingSignature},
		"only the version":         {"v1", webhook.ReasonNoMatchingSignature},
		"empty signature":          {"v1,", webhook.ReasonNoMatchingSignature},
		"unknown version":          {"v2" + good[2:], webhook.ReasonNoMatchingSignature},
		"asymmetric version":       {"v1a" + good[2:], webhook.ReasonNoMatchingSignature},
		"upper-case version":       {"V1" + good[2:], webhook.ReasonNoMatchingSignature},
		"second comma":             {good + ",", webhook.ReasonNoMatchingSignature},
		"comma for a space":        {good + "," + good, webhook.ReasonNoMatchingSignature},
		"tab for a space":          {"v1,AAAA\t" + good, webhook.ReasonNoMatchingSignature},
		"without padding":          {strings.TrimRight(good, "="), webhook.ReasonNoMatchingSignature},
		"loose last bits":          {strings.TrimSuffix(good, "0=") + "1=", webhook.ReasonNoMatchingSignature},
		"line end inside":          {good[:10] + "\n" + good[10:], webhook.ReasonNoMatchingSignature},
		"other alphabet":           {"v1," + base64.URLEncoding.EncodeToString(raw), webhook.ReasonNoMatchingSignature},
		"hexadecimal":              {"v1," + hex.EncodeToString(raw), webhook.ReasonNoMatchingSignature},
		"prefix of the signature":  {good[:len(good)-4], webhook.ReasonNoMatchingSignature},
		"more after the signature": {good + "A", webhook.ReasonNoMatchingSignature},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := headers("svix", vectorID, vectorTimestamp, test.value)
			_, err := newVerifier(t, vectorTime, vectorSecret).Verify(h, []byte(vectorBody))
			if test.want == none && err == nil {
				return
			}
			wantRefusal(t, err, test.want, h)
		})
	}
}

// Verify needs all three headers of one family, once each, and none of the other family.
func TestVerifyHeaders(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, vectorTime, vectorSecret)
	for family, other := range map[string]string{"svix": "webhook", "webhook": "svix"} {
		good := headers(family, vectorID, vectorTimestamp, vectorSignature)
		for _, suffix := range []string{"-id", "-timestamp", "-signature"} {
			name := http.CanonicalHeaderKey(family + suffix)
			value := good.Get(name)
			otherName := http.CanonicalHeaderKey(other + suffix)
			tests := map[string]struct {
				alter func(http.Header)
				want  webhook.Reason
			}{
				"absent":          {func(h http.Header) { h.Del(name) }, webhook.ReasonMissingHeader},
				"without a value": {func(h http.Header) { h[name] = nil }, webhook.ReasonMissingHeader},
				"empty":           {func(h http.Header) { h.Set(name, "") }, webhook.ReasonMissingHeader},
				"twice":           {func(h http.Header) { h.Add(name, value) }, webhook.ReasonDuplicateHeader},
				"then another":    {func(h http.Header) { h.Add(name, "x") }, webhook.ReasonDuplicateHeader},
				"after another":   {func(h http.Header) { h[name] = []string{"x", value} }, webhook.ReasonDuplicateHeader},
				"after empty":     {func(h http.Header) { h[name] = []string{"", value} }, webhook.ReasonDuplicateHeader},
				"other too":       {func(h http.Header) { h.Set(otherName, value) }, webhook.ReasonMixedHeaders},
				"other empty":     {func(h http.Header) { h.Set(otherName, "") }, webhook.ReasonMixedHeaders},
				"of the other": {func(h http.Header) {
					h.Del(name)
					h.Set(otherName, value)
				}, webhook.ReasonMixedHeaders},
			}
			for what, test := range tests {
				t.Run(name+" "+what, func(t *testing.T) {
					t.Parallel()
					h := good.Clone()
					test.alter(h)
					_, err := v.Verify(h, []byte(vectorBody))
					wantRefusal(t, err, test.want, h)
					refusal, _ := errors.AsType[*webhook.Error](err)
					if test.want != webhook.ReasonMixedHeaders && refusal.Header != name {
						t.Errorf("names header %q, want %q", refusal.Header, name)
					}
				})
			}
		}
	}
	for _, h := range []http.Header{nil, {}, {"Content-Type": {"application/json"}}} {
		_, err := v.Verify(h, []byte(vectorBody))
		wantRefusal(t, err, webhook.ReasonMissingHeader, h)
	}
}

// The reference libraries print the parsed integer again. Verify signs the text as sent, which must
// be canonical.
func TestVerifyTimestampText(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, vectorTime, vectorSecret)
	for _, text := range []string{
		"+1731705121", "-1731705121", "01731705121", "001731705121", "0", "-0", " 1731705121", "1731705121 ",
		"1731705121\n", "\t1731705121", "1731705121.0", "1731705121.", "1.731705121e9", "0x6737b961", "1_731_705_121",
		"1731705121,1731705121", "1731705121, 1731705121", "1000000000000", "9223372036854775808",
		"18446744075441256737", strings.Repeat("1", 5000), "１７３１７０５１２１", "1731705121\x00", "now", "1:2", "1/2",
	} {
		// Well signed both for the text as sent and for the text that a library would print.
		signatures := sign(t, vectorSecret, vectorID, text, vectorBody) + " " + vectorSignature
		h := headers("svix", vectorID, text, signatures)
		_, err := v.Verify(h, []byte(vectorBody))
		wantRefusal(t, err, webhook.ReasonBadTimestamp, h)
	}
	for _, text := range []string{"1", "10", "999999999999"} { // canonical: only the clock refuses
		h := headers("svix", vectorID, text, sign(t, vectorSecret, vectorID, text, vectorBody))
		_, err := v.Verify(h, []byte(vectorBody))
		want := webhook.ReasonStaleTimestamp
		if len(text) == 12 {
			want = webhook.ReasonFutureTimestamp
		}
		wantRefusal(t, err, want, h)
	}
}

func TestVerifyID(t *testing.T) {
	t.Parallel()
	v, s := newVerifier(t, vectorTime, vectorSecret), newSigner(t, vectorSecret)
	for _, id := range []string{"m", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "!~/-+=,:\"'", strings.Repeat("m", 256)} {
		got, err := v.Verify(s.Sign(id, vectorTime, []byte(vectorBody)), []byte(vectorBody))
		if err != nil || got.ID != id {
			t.Errorf("%q: message %+v, error %v", id, got, err)
		}
	}
	for _, id := range []string{
		" ", "msg_12 ", " msg_12", "msg 12", "msg.12", "msg_12.", ".msg_12", "msg_\t12", "msg_12\r\n", "msg_\x0012",
		"msg_\x7f12", "msg_é12", "msg_\xff12", strings.Repeat("m", 257),
	} {
		h := s.Sign(id, vectorTime, []byte(vectorBody))
		_, err := v.Verify(h, []byte(vectorBody))
		wantRefusal(t, err, webhook.ReasonBadID, h)
	}
}

// A signature for one id, time and body is valid for no other.
func TestVerifyAmbiguousContent(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, vectorTime, vectorSecret)
	signature := sign(t, vectorSecret, "a", "1731705121", "1731705121.{}")
	if signature != sign(t, vectorSecret, "a.1731705121", "1731705121", "{}") {
		t.Fatal("the contents should be the same")
	}
	got, err := v.Verify(headers("svix", "a", vectorTimestamp, signature), []byte("1731705121.{}"))
	if err != nil || got.ID != "a" {
		t.Errorf("message %+v, error %v", got, err)
	}
	h := headers("svix", "a.1731705121", vectorTimestamp, signature)
	_, err = v.Verify(h, []byte("{}"))
	wantRefusal(t, err, webhook.ReasonBadID, h)
}
