package auth

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A key id in constant use must not stay unknown permanently.
func TestMissingKeyIDsAreNotExtended(t *testing.T) {
	t.Parallel()
	now := time.Now()
	keys, err := NewRemoteKeySet(RemoteKeySetConfig{URL: "https://clerk.example.com", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	keys.setMissing("a")
	now = now.Add(missingFor - time.Second)
	if keys.setMissing("a"); !keys.isMissing("a") {
		t.Error("forgotten too early")
	}
	now = now.Add(time.Second)
	if keys.isMissing("a") {
		t.Error("extended")
	}
}

// Many tokens during one slow fetch leave many unknown key ids at once. They must not fill the
// memory, and must not keep later ids out for longer than 30 seconds.
func TestMissingKeyIDsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	keys, err := NewRemoteKeySet(RemoteKeySetConfig{URL: "https://clerk.example.com", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxMissing {
		keys.setMissing(strconv.Itoa(i))
	}
	if n := len(keys.missing); n != maxMissing {
		t.Errorf("%d ids kept", n)
	}
	now = now.Add(missingFor)
	if keys.isMissing("0") {
		t.Error("still missing")
	}
	if keys.setMissing("new"); !keys.isMissing("new") || len(keys.missing) != 1 {
		t.Errorf("%d ids kept, new among them: %t", len(keys.missing), keys.isMissing("new"))
	}
}

// Whatever a server sends, a set is refused, or every key of it is fit for RS256,
// was meant for it, and was not published with its private parts.
func FuzzParseJWKSet(f *testing.F) {
	modulus := strings.Repeat("_", 342)[:341] + "w" // 2048 bits, all set
	f.Add(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"ins_1","n":"` + modulus + `","e":"AQAB"}]}`)
	f.Add(`{"keys":[{"kty":"RSA","kid":"a","n":"` + modulus + `","e":"AQ"},{"kty":"oct","k":"AA"},{"kty":"EC","d":"AA"}]}`)
	f.Add(`{"keys":[null,{"kty":"RSA","kid":"a","n":"` + modulus + `","e":"AQAB","d":"AA"},{"kty":"RSA","kid":"b","n":"` + modulus + `","e":"AQAB"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		set, err := parseJWKSet([]byte(body))
		if err != nil {
			return
		}
		var doc map[string]json.RawMessage
		var list []json.RawMessage
		if err := errors.Join(json.Unmarshal([]byte(body), &doc), json.Unmarshal(doc["keys"], &list)); err != nil {
			t.Fatal(err)
		}
		if len(set.keys) == 0 || len(list) > maxKeys {
			t.Errorf("%d usable keys of %d", len(set.keys), len(list))
		}
		meant := make(map[any]bool)
		for _, text := range list {
			var jwk map[string]any
			if json.Unmarshal(text, &jwk) != nil {
				continue
			}
			private := jwk["d"] != nil || jwk["p"] != nil
			if jwk["kty"] == "RSA" && (jwk["use"] == nil || jwk["use"] == "sig") && !private {
				meant[jwk["kid"]] = true
			}
		}
		again, err := parseJWKSet(set.body)
		if err != nil || !again.sameKeys(set) || len(again.skipped) > 0 {
			t.Errorf("the stored set has other keys: %v", err)
		}
		for id, key := range set.keys {
			if err := checkRSA(key.key); err != nil || !meant[id] {
				t.Errorf("key %q: %v, meant %t", id, err, meant[id])
			}
		}
	})
}
