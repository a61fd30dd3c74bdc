package auth_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
)

const (
	issuer = "https://clerk.example.com"
	origin = "https://app.example.com"
	secret = "0123456789abcdef0123456789abcdef"
	kid    = "ins_2abc"
)

// now is the current time of all tests outside of a synctest bubble.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Keys are generated once, because that takes longer than most tests.
var (
	key      = sync.OnceValue(newKey)
	otherKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

type object = map[string]any

// with returns a copy of o with changes; a nil value removes the key.
func with(o, changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
		} else {
			o[name] = value
		}
	}
	return o
}

func header() object { return object{"alg": "RS256", "typ": "JWT", "kid": kid} }

// payload returns the payload of a version 2 token as Clerk documents it.
func payload() object {
	return object{
		"sub": "user_1", "sid": "sess_1", "iss": issuer, "azp": origin, "jti": "abc", "v": 2, "sts": "active",
		"iat": now.Unix(), "nbf": now.Unix() - 10, "exp": now.Unix() + 60, "fva": []int{3, -1},
		"pla": "u:free,o:pro", "fea": "o:dashboard,o:teams",
		"o": object{"id": "org_1", "slg": "acme", "rol": "admin", "per": "manage,read", "fpm": "3,2"},
	}
}

func text(t testing.TB, value any) string {
	t.Helper()
	if s, ok := value.(string); ok {
		return s
	}
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unsigned returns header and payload encoded; each is a JSON text or a value to marshal.
func unsigned(t testing.TB, header, payload any) string {
	t.Helper()
	return encode([]byte(text(t, header))) + "." + encode([]byte(text(t, payload)))
}

// signRS256 signs any text, which libraries refuse to do.
func signRS256(t testing.TB, k *rsa.PrivateKey, header, payload any) string {
	t.Helper()
	content := unsigned(t, header, payload)
	return content + "." + encode(sign(k, content))
}

func sign(k *rsa.PrivateKey, content string) []byte {
	digest := sha256.Sum256([]byte(content))
	signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return signature
}

func signHS256(t testing.TB, secret []byte, header, payload any) string {
	t.Helper()
	content := unsigned(t, header, payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(content))
	return content + "." + encode(mac.Sum(nil))
}

// newVerifier returns a verifier with the test key and a configuration that change has modified.
func newVerifier(t testing.TB, change func(*auth.Config)) *auth.Verifier {
	t.Helper()
	config := auth.Config{
		Keys: auth.StaticKey(&key().PublicKey), Issuer: issuer, AuthorizedParties: []string{origin},
		Now: func() time.Time { return now },
	}
	if change != nil {
		change(&config)
	}
	v, err := auth.NewVerifier(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func hmacKeys(t testing.TB) auth.KeySet {
	t.Helper()
	keys, err := auth.HMACKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// verify returns the claims, or code and reason of the refusal as "code" or "code/reason".
func verify(t testing.TB, v *auth.Verifier, token string) (*auth.Claims, string) {
	t.Helper()
	claims, err := v.Verify(t.Context(), token)
	if err == nil {
		return claims, ""
	}
	if claims != nil {
		t.Error("claims together with an error")
	}
	var refusal *auth.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("error is %T: %v", err, err)
	}
	if refusal.Reason == "" {
		return nil, refusal.Code
	}
	return nil, refusal.Code + "/" + refusal.Reason
}

// clock always returns now, for libraries that need an interface.
type clock struct{}

func (clock) Now() time.Time { return now }
