package auth_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
)

const leeway = 5 * time.Second // the default

// joseSubject verifies with go-jose and returns the subject.
func joseSubject(token string, k any, alg jose.SignatureAlgorithm) (string, error) {
	parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return "", err
	}
	var claims josejwt.Claims
	if err := parsed.Claims(k, &claims); err != nil {
		return "", err
	}
	return claims.Subject, claims.ValidateWithLeeway(josejwt.Expected{Issuer: issuer, Time: now}, leeway)
}

// golangSubject verifies with golang-jwt and returns the subject.
func golangSubject(token string, k any, alg string) (string, error) {
	parsed, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return k, nil },
		jwt.WithValidMethods([]string{alg}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(issuer), jwt.WithLeeway(leeway), jwt.WithJSONNumber(), jwt.WithTimeFunc(clock{}.Now))
	if err != nil {
		return "", err
	}
	return parsed.Claims.GetSubject()
}

// Two libraries accept every token that this package accepts, and read the same subject
// from it.
func FuzzVerifyToken(f *testing.F) {
	good := signRS256(f, key(), header(), payload())
	f.Add(good)
	f.Add(good + "=")
	f.Add(good[:30] + "\n" + good[30:])
	f.Add(signRS256(f, key(), header(), payloadV1()))
	f.Add(signHS256(f, []byte(secret), with(header(), object{"alg": "HS256"}), payload()))
	f.Add(unsigned(f, object{"alg": "none"}, payload()) + ".")
	f.Add("....")
	rs256 := newVerifier(f, nil)
	hs256 := newVerifier(f, func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(f) })
	f.Fuzz(func(t *testing.T, token string) {
		claims, refusal := verify(t, rs256, token)
		if refusal == "" {
			judge(t, token, claims.Subject, &key().PublicKey, auth.RS256)
		}
		if again, refusedAgain := verify(t, rs256, token); refusedAgain != refusal || again != claims { // by what is remembered
			t.Errorf("%q, then %q", refusal, refusedAgain)
		}
		if claims, refusal := verify(t, hs256, token); refusal == "" {
			judge(t, token, claims.Subject, []byte(secret), auth.HS256)
		}
	})
}

func judge(t *testing.T, token, subject string, k any, alg string) {
	t.Helper()
	if got, err := joseSubject(token, k, jose.SignatureAlgorithm(alg)); err != nil || got != subject {
		t.Errorf("go-jose: %q, %v, want %q", got, err, subject)
	}
	if got, err := golangSubject(token, k, alg); err != nil || got != subject {
		t.Errorf("golang-jwt: %q, %v, want %q", got, err, subject)
	}
}

// Any header and payload, well signed. The algorithm is HS256, which is quick to sign. The
// rules of RS256 go beyond it.
func FuzzVerifyClaims(f *testing.F) {
	plain := object{"alg": "HS256", "typ": "JWT"}
	f.Add(text(f, plain), text(f, payload()))
	f.Add(`{"alg":"HS256","crit":["b64"],"b64":false}`, text(f, payloadV1()))
	f.Add(`{"alg":"HS256","kid":"a","cat":"cl_B7d4PD222AAA"}`, `{"sub":"u","exp":1.9e9,"nbf":0.5,"iat":null,"aud":["a","b"]}`)
	f.Add(`{"alg":"none"}`, `{"sub":"u","SUB":"v","exp":1900000000,"sts":"pending","act":{}}`)
	for name := range payload() { // libraries differ on null: none of them may be stricter than we are
		f.Add(text(f, plain), text(f, with(payload(), object{name: raw("null")})))
	}
	f.Add(text(f, plain), text(f, with(payload(), object{"aud": raw("null")})))
	f.Add(text(f, plain), text(f, with(payload(), object{"aud": []string{}, "nbf": 0, "iat": 1e-9})))
	hs256 := newVerifier(f, func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(f) })
	rs256 := newVerifier(f, func(c *auth.Config) { c.Keys = anySignature{} })
	f.Fuzz(func(t *testing.T, header, payload string) {
		if claims, refusal := verify(t, hs256, signHS256(t, []byte(secret), header, payload)); refusal == "" {
			// go-jose also reads parameters that this package ignores, so the libraries get a
			// header without them.
			judge(t, signHS256(t, []byte(secret), plain, payload), claims.Subject, []byte(secret), auth.HS256)
		}
		claims, refusal := verify(t, rs256, unsigned(t, header, payload)+".")
		if refusal != "" {
			return
		}
		if claims.Subject == "" || claims.SessionID == "" || claims.Issuer != issuer || claims.AuthorizedParty != origin ||
			claims.Status != auth.StatusActive || !now.Before(claims.ExpiresAt.Add(leeway)) {
			t.Errorf("accepted %+v", claims)
		}
	})
}
