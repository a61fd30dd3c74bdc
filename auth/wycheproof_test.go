package auth

import (
	"context"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

// wycheproofFile is what the tests need of a file of vectors about JOSE.
type wycheproofFile struct {
	TestGroups []struct {
		Comment string
		Public  json.RawMessage
		Private json.RawMessage
		Tests   []wycheproofTest
	}
}

type wycheproofTest struct {
	TcID    int
	Comment string
	Result  string
	JWS     any // text, or an object for the JSON serialization
	JWE     any
}

func readWycheproof(t *testing.T, name string) (file wycheproofFile) {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

func (test *wycheproofTest) token(t *testing.T) string {
	t.Helper()
	value := test.JWS
	if value == nil {
		value = test.JWE
	}
	if token, ok := value.(string); ok {
		return token
	}
	text, err := json.Marshal(value)
	if err != nil || value == nil {
		t.Fatalf("test %d has no token: %v", test.TcID, err)
	}
	return string(text)
}

// wycheproofKeys returns the key sets that can be configured with a vector's key: a JWK set for
// RS256 and a secret for HS256, if the key is fit for it.
func wycheproofKeys(t *testing.T, public, private json.RawMessage) (list []KeySet) {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	asSet := func(key json.RawMessage) string {
		if json.Unmarshal(key, &set) == nil && set.Keys != nil {
			return string(key)
		}
		return `{"keys":[` + string(key) + `]}`
	}
	for _, text := range []json.RawMessage{public, private} {
		if text == nil {
			continue
		}
		if keys, err := parseJWKSet([]byte(asSet(text))); err == nil {
			list = append(list, setKeys{keys})
		}
	}
	var single struct{ Kty, Alg, Use, K string }
	if len(set.Keys) == 1 {
		private = set.Keys[0]
	}
	if err := json.Unmarshal(private, &single); err != nil {
		t.Fatal(err)
	}
	secret, err := strictBase64.DecodeString(single.K)
	if err == nil && single.Kty == "oct" && single.Alg == HS256 && single.Use != "enc" {
		if keys, err := HMACKey(string(secret)); err == nil {
			list = append(list, keys)
		}
	}
	return list
}

// setKeys is a key set that is not fetched.
type setKeys struct{ set *jwkSet }

func (k setKeys) Algorithm() string { return RS256 }

func (k setKeys) VerifySignature(_ context.Context, keyID string, signed, signature []byte) error {
	if key := k.set.keys[keyID]; key != nil {
		return key.verify(signed, signature)
	}
	return ErrUnknownKey
}

// wycheproofExceptions are vectors with another expected result than this package's, and why.
var wycheproofExceptions = map[string]struct {
	accept bool
	reason string
}{
	"base64 InvalidCharacterInsertedInHeader":  {false, "a character outside of the alphabet (RFC 4648 section 3.3)"},
	"base64 InvalidCharacterInsertedInPayload": {false, "a character outside of the alphabet (RFC 4648 section 3.3)"},
	"base64 invalidBase64Padding":              {true, "lost its padding: the same text as the vector ValidMac"},
	"base64 invalidBase64PaddingInPayload":     {true, "lost its padding: the same text as the vector ValidMac"},
	"jws_keyset acceptsValid":                  {false, "a set of secrets: those are configured, never read from a set"},
}

// Wycheproof's vectors for signatures. RS256 and HS256 must match exactly, and
// every other algorithm is refused.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	accepted, refused := map[string]int{}, 0
	for _, name := range []string{"json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"} {
		for _, group := range readWycheproof(t, name).TestGroups {
			keys := wycheproofKeys(t, group.Public, group.Private)
			for _, test := range group.Tests {
				token := test.token(t)
				algorithm := headerAlgorithm(token)
				want := test.Result == "valid" && (algorithm == RS256 || algorithm == HS256)
				if exception, ok := wycheproofExceptions[group.Comment+" "+test.Comment]; ok {
					want = exception.accept
				}
				got := false
				for _, set := range append(keys, &staticKey{err: ErrSignature}) {
					if _, err := verifyJWS(t.Context(), set, token, Session); err == nil {
						got = true
						if set.Algorithm() != algorithm {
							t.Errorf("%s %d: %s accepted as %s", name, test.TcID, algorithm, set.Algorithm())
						}
					}
				}
				if got != want {
					t.Errorf("%s %d (%s, %s): accepted %t, want %t", name, test.TcID, group.Comment, test.Comment, got, want)
				}
				if got {
					accepted[algorithm]++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("accepted %v, refused %d", accepted, refused)
	if accepted[RS256] < 8 || accepted[HS256] < 8 || refused < 400 {
		t.Errorf("accepted %v, refused %d: these are not the vectors", accepted, refused)
	}
}

func headerAlgorithm(token string) string {
	header, _, _ := strings.Cut(token, ".")
	text, err := strictBase64.DecodeString(header)
	if err != nil {
		return ""
	}
	o, err := parseObject(string(text))
	if err != nil {
		return ""
	}
	algorithm, _ := o.text("alg")
	return algorithm
}

// All JWE is refused, valid or not, before a key is used.
func TestWycheproofEncryption(t *testing.T) {
	t.Parallel()
	count := 0
	for _, name := range []string{"json_web_encryption_test.json", "json_web_crypto_test.json"} {
		for _, group := range readWycheproof(t, name).TestGroups {
			for _, test := range group.Tests {
				if test.JWE == nil {
					continue
				}
				count++
				for _, algorithm := range []string{RS256, HS256} {
					if _, err := verifyJWS(t.Context(), believer(algorithm), test.token(t), Session); err == nil {
						t.Errorf("%s %d accepted", name, test.TcID)
					}
				}
			}
		}
	}
	if count < 100 {
		t.Errorf("%d tokens", count)
	}
}

// believer accepts every signature.
type believer string

func (b believer) Algorithm() string { return string(b) }

func (believer) VerifySignature(context.Context, string, []byte, []byte) error { return nil }
