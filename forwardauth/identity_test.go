package forwardauth_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
)

func signedIdentity(t *testing.T, now time.Time) string {
	t.Helper()
	f := &fake{org: &auth.ActiveOrganization{ID: "org_1", Role: "org:member"}}
	h := handler(t, f, forwardauth.Config{TrustedProxies: proxies, IdentitySecret: secret, Now: func() time.Time { return now }})
	return check(t, h, "GET", verify, nginx, "X-Original-URI: /x").Header().Get("X-Clerk-Identity")
}

// Two other implementations can read the signed identity.
func TestIdentityIsAJWS(t *testing.T) {
	t.Parallel()
	text := signedIdentity(t, time.Now())
	token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return []byte(secret), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience("clerksync-upstream://example.com/**"), jwt.WithIssuer("clerksync"),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"sub": "user_1", "sid": "sess_1", "org": "org_1", "org_role": "org:member", "role": "growth", "act": ""}
	claims, _ := token.Claims.(jwt.MapClaims)
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("%s = %v", name, claims[name])
		}
	}
	if token.Header["typ"] != "clerksync-identity+jwt" || claims["exp"].(float64)-claims["iat"].(float64) != 60 {
		t.Errorf("%v %v", token.Header, claims)
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify([]byte(secret)); err != nil {
		t.Error(err)
	}
}

func TestVerifyIdentity(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	here := forwardauth.Audience{Host: "example.com", Path: "/x"}
	text := signedIdentity(t, now)
	id, err := forwardauth.VerifyIdentity(secret, text, here, now)
	if err != nil || id != (forwardauth.Identity{
		UserID: "user_1", SessionID: "sess_1", OrganizationID: "org_1", OrganizationRole: "org:member", Role: "growth",
		IssuedAt: now, ExpiresAt: now.Add(time.Minute),
	}) {
		t.Errorf("%+v, %v", id, err)
	}
	for skew, good := range map[time.Duration]bool{
		-6 * time.Second: false, -5 * time.Second: true, 59 * time.Second: true, 64 * time.Second: true, 65 * time.Second: false, time.Hour: false,
	} {
		if _, err := forwardauth.VerifyIdentity(secret, text, here, now.Add(skew)); (err == nil) != good {
			t.Errorf("after %s: %v", skew, err)
		}
	}
	made := func(method jwt.SigningMethod, typ string, claims jwt.MapClaims, key any) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["typ"] = typ
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "clerksync", "aud": "clerksync-upstream://example.com/x", "sub": "user_1", "sid": "", "org": "", "org_role": "", "role": "", "act": "", "kind": "session", "machine": "", "client": "", "scope": "", "iat": now.Unix(), "exp": now.Unix() + 60}
		change(c)
		return c
	}
	nothing := func(jwt.MapClaims) {}
	const typ = "clerksync-identity+jwt"
	parts := strings.Split(text, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"` + typ + `"}`))
	for name, bad := range map[string]string{
		"empty": "", "three empty parts": "..", "one part": parts[0], "no signature": parts[0] + "." + parts[1] + ".",
		"two of them": text + "," + text, "padding": text + "=", "white space": " " + text, "none": unsigned + "." + parts[1] + ".",
		"none with a signature": unsigned + "." + parts[1] + "." + parts[2], "another payload": parts[0] + "." + parts[0] + "." + parts[2],
		"four parts": text + ".x", "long": text + strings.Repeat("x", 5000), "last bits": text[:len(text)-1] + flipped(text[len(text)-1]),
		"HS512":                    made(jwt.SigningMethodHS512, typ, claims(nothing), []byte(secret)),
		"another type":             made(jwt.SigningMethodHS256, "JWT", claims(nothing), []byte(secret)),
		"another secret":           made(jwt.SigningMethodHS256, typ, claims(nothing), []byte(strings.ToUpper(secret))),
		"audience":                 made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["aud"] = "other" }), []byte(secret)),
		"audiences":                made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["aud"] = []string{"clerksync-upstream://example.com/x"} }), []byte(secret)),
		"audience without a place": made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["aud"] = "clerksync-upstream" }), []byte(secret)),
		"issuer":                   made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["iss"] = "other" }), []byte(secret)),
		"no kind":                  made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["kind"] = "" }), []byte(secret)),
		"a session of nobody":      made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["sub"], c["org"], c["machine"] = "", "org_1", "mch_1" }), []byte(secret)),
		"a key of nobody":          made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["sub"], c["kind"] = "", "api_key" }), []byte(secret)),
		"nobody":                   made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["sub"] = "" }), []byte(secret)),
		"long life":                made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["exp"] = now.Unix() + 61 }), []byte(secret)),
		"no end":                   made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { delete(c, "exp") }), []byte(secret)),
		"more":                     made(jwt.SigningMethodHS256, typ, claims(func(c jwt.MapClaims) { c["admin"] = true }), []byte(secret)),
	} {
		if id, err := forwardauth.VerifyIdentity(secret, bad, here, now); err == nil || id != (forwardauth.Identity{}) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	good := made(jwt.SigningMethodHS256, typ, claims(nothing), []byte(secret))
	if _, err := forwardauth.VerifyIdentity(secret, good, here, now); err != nil {
		t.Errorf("the cases are wrong in more than they say: %v", err)
	}
	if _, err := forwardauth.VerifyIdentity("short", text, here, now); err == nil {
		t.Error("a short secret is taken")
	}
	if _, err := forwardauth.New(&fake{}, forwardauth.Config{IdentitySecret: "short"}); err == nil {
		t.Error("a short secret signs")
	}
}

// An identity counts only at its host and on its route.
func TestIdentityAtAnotherPlace(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	h := handler(t, &fake{}, forwardauth.Config{
		Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, IdentitySecret: secret, Now: func() time.Time { return now },
	})
	for _, c := range []struct {
		target     string // the identity is made for
		host, path string // where it is used
		good       bool
	}{
		{"/app/x?a=b", "app.example.com", "/app/x", true},
		{"/app/x", "APP.example.com:443", "/app/x?c=d", true},
		{"/app/x", "app.example.com", "/app/other/page", true}, // the same route
		{"/app/x", "app.example.com", "/app", true},
		{"/app/x", "app.example.com", "/appx", false},
		{"/app/x", "app.example.com", "/APP/x", false},
		{"/app/x", "app.example.com", "/admin/x", false},
		{"/app/x", "app.example.com", "/app/../admin/x", false},
		{"/app/x", "app.example.com", "", false},
		{"/open", "app.example.com", "/open", true},
		{"/open", "app.example.com", "/open/x", false},
		{"/app/x", "other.example.com", "/app/x", false},
		{"/app/x", "app.example.com:8443", "/app/x", false},
		{"/app/x", "app.example.com.evil.example", "/app/x", false},
		{"/app/x", "", "/app/x", false},
		{"/app/x", "app.example.com/app", "/app/x", false},
	} {
		text := check(t, h, "GET", verify, nginx, "X-Original-URI: "+c.target, "X-Forwarded-Host: app.example.com").Header().Get("X-Clerk-Identity")
		id, err := forwardauth.VerifyIdentity(secret, text, forwardauth.Audience{Host: c.host, Path: c.path}, now)
		if (err == nil) != c.good || c.good != (id.UserID == "user_1") {
			t.Errorf("made for %s, used at %s%s: %+v, %v", c.target, c.host, c.path, id, err)
		}
	}
}

// flipped returns another character that decodes to the same bytes, as the last one of an unpadded
// text may.
func flipped(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return fmt.Sprintf("%c", alphabet[strings.IndexByte(alphabet, c)^1])
}
