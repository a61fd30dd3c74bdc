package auth_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/auth"
	"github.com/golang-jwt/jwt/v5"
)

// Each case changes a
// good token in one way.
func TestVerifyHeader(t *testing.T) {
	t.Parallel()
	const malformed, category, algorithm = "invalid_token/malformed", "invalid_token/category", "invalid_token/algorithm"
	v := newVerifier(t, nil)
	for _, test := range []struct {
		name   string
		header any
		want   string
	}{
		{"plain", header(), ""},
		{"no typ", with(header(), object{"typ": nil}), ""},
		{"typ in lower case", with(header(), object{"typ": "jwt"}), ""},
		{"no kid", with(header(), object{"kid": nil}), ""},
		{"session category", with(header(), object{"cat": "cl_B7d4PD111AAA"}), ""},
		{"ignored category", with(header(), object{"cat": "cl_I7d4PD111III"}), ""},
		{"unknown parameters", with(header(), object{"oiat": 5, "x": object{"y": []int{1}}}), ""},
		{"keys of its own", with(header(), object{
			"jku": "https://evil.example", "jwk": object{"kty": "RSA"}, "x5u": "https://evil.example", "x5c": []string{"AA"},
		}), ""},
		{"alg in an escape", `{"alg":"RS\u0032\u00356"}`, ""},
		{"alg none", with(header(), object{"alg": "none"}), algorithm},
		{"alg None", with(header(), object{"alg": "None"}), algorithm},
		{"alg NONE", with(header(), object{"alg": "NONE"}), algorithm},
		{"alg nOnE", with(header(), object{"alg": "nOnE"}), algorithm},
		{"alg empty", with(header(), object{"alg": ""}), algorithm},
		{"alg in lower case", with(header(), object{"alg": "rs256"}), algorithm},
		{"alg RS384", with(header(), object{"alg": "RS384"}), algorithm},
		{"alg RS512", with(header(), object{"alg": "RS512"}), algorithm},
		{"alg PS256", with(header(), object{"alg": "PS256"}), algorithm},
		{"alg HS256", with(header(), object{"alg": "HS256"}), algorithm},
		{"alg a list", with(header(), object{"alg": []string{"RS256"}}), algorithm},
		{"alg missing", with(header(), object{"alg": nil}), algorithm},
		{"alg under another case", `{"ALG":"RS256"}`, algorithm},
		{"alg twice", `{"alg":"RS256","alg":"RS256"}`, malformed},
		{"alg twice, by escape", `{"alg":"RS256","\u0061lg":"none"}`, malformed},
		{"crit", with(header(), object{"crit": []string{"exp"}}), malformed},
		{"crit empty", with(header(), object{"crit": []string{}}), malformed},
		{"crit null", `{"alg":"RS256","crit":null}`, malformed},
		{"b64 false", with(header(), object{"b64": false}), malformed},
		{"b64 true", with(header(), object{"b64": true}), malformed},
		{"kid a number", with(header(), object{"kid": 5}), malformed},
		{"typ at+jwt", with(header(), object{"typ": "at+jwt"}), category},
		{"typ application/at+jwt", with(header(), object{"typ": "application/at+jwt"}), category},
		{"typ empty", with(header(), object{"typ": ""}), category},
		{"typ a number", with(header(), object{"typ": 5}), category},
		{"template category", with(header(), object{"cat": "cl_B7d4PD222AAA"}), category},
		{"machine category", with(header(), object{"cat": "cl_B7d4PD333AAA"}), category},
		{"unknown category", with(header(), object{"cat": "cl_B7d4PD999AAA"}), category},
		{"category null", `{"alg":"RS256","cat":null}`, category},
		{"array", `["RS256"]`, malformed},
		{"text", `"RS256"`, malformed},
		{"empty", ``, malformed},
		{"not JSON", `{alg:"RS256"}`, malformed},
		{"trailing data", `{"alg":"RS256"}{}`, malformed},
		{"invalid UTF-8", "{\"alg\":\"RS256\",\"x\":\"\xff\"}", malformed},
		{"deep", `{"alg":"RS256","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, refusal := verify(t, v, signRS256(t, key(), test.header, payload())); refusal != test.want {
				t.Errorf("refusal %q, want %q", refusal, test.want)
			}
		})
	}
}

// There is one way to write a token, of at most 16 KiB.
func TestVerifySerialization(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, nil)
	good := signRS256(t, key(), header(), payload())
	parts := strings.Split(good, ".")
	if _, refusal := verify(t, v, good); refusal != "" {
		t.Fatal(refusal)
	}
	const malformed, badSignature = "invalid_token/malformed", "invalid_token/signature"
	for _, test := range []struct{ name, token, want string }{
		{"empty", "", "authentication_required"},
		{"one part", parts[0], malformed},
		{"two parts", parts[0] + "." + parts[1], malformed},
		{"four parts", good + ".", malformed},
		{"JWE", "a.b.c.d.e", malformed},
		{"many dots", strings.Repeat(".", 16<<10), malformed},
		{"only dots", "..", malformed},
		{"JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, malformed},
		{"no signature", parts[0] + "." + parts[1] + ".", badSignature},
		{"short signature", parts[0] + "." + parts[1] + "." + parts[2][:336], badSignature},
		{"long signature", good + "AAAA", badSignature},
		{"other payload", parts[0] + "." + encode([]byte(text(t, with(payload(), object{"sub": "user_2"})))) + "." + parts[2], badSignature},
		{"padded", good + "==", malformed},
		{"trailing bits", good[:len(good)-1] + nextInAlphabet(good[len(good)-1]), malformed},
		{"line break", good[:40] + "\n" + good[40:], malformed},
		{"carriage return at the end", good + "\r", malformed},
		{"space at the end", good + " ", malformed},
		{"standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+", malformed},
		{"signed over line breaks", signWithBreak(t), malformed},
		{"too large", good + strings.Repeat("A", 16<<10), "invalid_token/too_large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, refusal := verify(t, v, test.token); refusal != test.want {
				t.Errorf("refusal %q, want %q", refusal, test.want)
			}
		})
	}
	limit := func(size int) string { // a token of exactly this size
		pad := ""
		for {
			token := signRS256(t, key(), header(), with(payload(), object{"x": pad}))
			if len(token) >= size {
				return token
			}
			pad += strings.Repeat("x", max(1, (size-len(token))*3/4))
		}
	}
	if token := limit(16<<10 - 3); len(token) > 16<<10 {
		t.Errorf("a token of %d bytes", len(token))
	} else if _, refusal := verify(t, v, token); refusal != "" {
		t.Errorf("%d bytes: %q", len(token), refusal)
	}
	if _, refusal := verify(t, v, limit(16<<10+1)); refusal != "invalid_token/too_large" {
		t.Errorf("one byte more: %q", refusal)
	}
}

// nextInAlphabet changes the lowest bit of the last character. Of a text of 256 bytes, four bits
// are unused there.
func nextInAlphabet(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

func signWithBreak(t *testing.T) string {
	content := unsigned(t, header(), payload())
	content = content[:10] + "\n" + content[10:]
	return content + "." + encode(sign(key(), content))
}

// A verifier that lets the token choose HS256 would take the public
// RSA key, in some form, for the secret.
func TestVerifyAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	pkix, err := x509.MarshalPKIXPublicKey(&key().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	rs256 := newVerifier(t, nil)
	for name, public := range map[string][]byte{
		"PEM": block, "PEM trimmed": []byte(strings.TrimSpace(string(block))), "DER": pkix,
		"PKCS1": x509.MarshalPKCS1PublicKey(&key().PublicKey), "modulus": key().N.Bytes(),
	} {
		for _, alg := range []string{"HS256", "RS256"} {
			token := signHS256(t, public, with(header(), object{"alg": alg}), payload())
			if _, refusal := verify(t, rs256, token); refusal == "" {
				t.Errorf("%s accepted as %s secret", name, alg)
			}
		}
	}
	hs256 := newVerifier(t, func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(t) })
	for _, alg := range []string{"RS256", "HS256", "none"} {
		token := signRS256(t, key(), with(header(), object{"alg": alg}), payload())
		if _, refusal := verify(t, hs256, token); refusal == "" {
			t.Errorf("RSA signature with alg %s accepted by an HS256 verifier", alg)
		}
	}
	pss, err := jwt.SigningMethodPS256.Sign(unsigned(t, header(), payload()), key())
	if err != nil {
		t.Fatal(err)
	}
	if _, refusal := verify(t, rs256, unsigned(t, header(), payload())+"."+encode(pss)); refusal != "invalid_token/signature" {
		t.Errorf("PSS under the name RS256: %q", refusal)
	}
	if _, refusal := verify(t, rs256, signRS256(t, otherKey(), header(), payload())); refusal != "invalid_token/signature" {
		t.Errorf("other key: %q", refusal)
	}
}
