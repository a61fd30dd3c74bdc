package auth_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func TestVerifyAcceptsTokensOfLibraries(t *testing.T) {
	t.Parallel()
	joseSigner := func(alg jose.SignatureAlgorithm, key any) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
			(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
		if err != nil {
			t.Fatal(err)
		}
		token, err := josejwt.Signed(signer).Claims(payload()).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	golangJWT := func(method jwt.SigningMethod, key any) string {
		unsigned := jwt.NewWithClaims(method, jwt.MapClaims(payload()))
		unsigned.Header["kid"] = kid
		token, err := unsigned.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	rs256 := newVerifier(t, nil)
	hs256 := newVerifier(t, func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(t) })
	for _, test := range []struct {
		name     string
		verifier *auth.Verifier
		token    string
	}{
		{"go-jose RS256", rs256, joseSigner(jose.RS256, key())},
		{"go-jose HS256", hs256, joseSigner(jose.HS256, []byte(secret))},
		{"golang-jwt RS256", rs256, golangJWT(jwt.SigningMethodRS256, key())},
		{"golang-jwt HS256", hs256, golangJWT(jwt.SigningMethodHS256, []byte(secret))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			claims, refusal := verify(t, test.verifier, test.token)
			if refusal != "" || claims.Subject != "user_1" || claims.SessionID != "sess_1" {
				t.Errorf("claims %+v, refusal %q", claims, refusal)
			}
		})
	}
}

// Each case changes a good token in one way.
func TestVerifyClaims(t *testing.T) {
	t.Parallel()
	const (
		malformed  = "invalid_token/malformed"
		badPayload = "invalid_token_payload"
		expired    = "invalid_token/expired"
		early      = "invalid_token/not_yet_valid"
		future     = "invalid_token/issued_in_future"
		badIssuer  = "invalid_token/issuer"
		badParty   = "invalid_token/authorized_party"
	)
	v, unix := newVerifier(t, nil), now.Unix()
	for _, test := range []struct {
		name   string
		change object
		want   string
	}{
		{"sub missing", object{"sub": nil}, badPayload},
		{"sub empty", object{"sub": ""}, badPayload},
		{"sub a number", object{"sub": 5}, badPayload},
		{"sub only in another case", object{"sub": nil, "SUB": "user_2", "Sub": "user_3"}, badPayload},
		{"sub also in another case", object{"SUB": "user_2"}, ""},
		{"sid missing", object{"sid": nil}, badPayload},
		{"sid empty", object{"sid": ""}, badPayload},
		{"sid a list", object{"sid": []string{"sess_1"}}, badPayload},
		{"machine", object{"sub": "mch_1"}, "invalid_token/category"},
		{"machine without sid", object{"sub": "mch_1", "sid": nil}, "invalid_token/category"},

		{"exp missing", object{"exp": nil}, malformed},
		{"exp text", object{"exp": strconv.FormatInt(unix+60, 10)}, malformed},
		{"exp true", object{"exp": true}, malformed},
		{"exp negative", object{"exp": -1}, malformed},
		{"exp minus zero", object{"exp": raw("-0")}, malformed},
		{"exp huge", object{"exp": raw("1e300")}, malformed},
		{"exp overflow", object{"exp": raw("1e999")}, malformed},
		{"exp after the year 9999", object{"exp": 253402300800}, malformed},
		{"exp in the year 9999", object{"exp": 253402300799}, ""},
		{"exp with exponent", object{"exp": raw("1.8e9")}, ""},
		{"exp with fraction", object{"exp": float64(unix) + 30.5}, ""},
		{"exp at the leeway, less a fraction", object{"exp": float64(unix) - 4.1}, expired},
		{"exp within the leeway", object{"exp": unix - 4}, ""},
		{"exp at the leeway", object{"exp": unix - 5}, expired},
		{"exp zero", object{"exp": 0}, expired},

		{"nbf missing", object{"nbf": nil}, ""},
		{"nbf within the leeway", object{"nbf": unix + 5}, ""},
		{"nbf beyond the leeway", object{"nbf": unix + 6}, early},
		{"nbf text", object{"nbf": "0"}, malformed},
		{"nbf negative", object{"nbf": -5}, malformed},
		{"nbf overflow", object{"nbf": raw("9223372036854775808")}, malformed},
		{"iat missing", object{"iat": nil}, ""},
		{"iat within the leeway", object{"iat": unix + 5}, ""},
		{"iat beyond the leeway", object{"iat": unix + 6}, future},
		{"iat text", object{"iat": "0"}, malformed},
		{"iat null", object{"iat": raw("null")}, malformed},
		{"nbf null", object{"nbf": raw("null")}, malformed},
		{"exp null", object{"exp": raw("null")}, malformed},
		{"aud null", object{"aud": raw("null")}, malformed},
		{"azp null", object{"azp": raw("null")}, malformed},
		{"sts null", object{"sts": raw("null")}, malformed},
		{"sub null", object{"sub": raw("null")}, badPayload},
		{"sid null", object{"sid": raw("null")}, badPayload},

		{"iss missing", object{"iss": nil}, badIssuer},
		{"iss a number", object{"iss": 5}, malformed},
		{"iss with a slash", object{"iss": issuer + "/"}, badIssuer},
		{"iss in another case", object{"iss": "https://Clerk.example.com"}, badIssuer},
		{"iss prefix", object{"iss": "https://clerk.evil"}, badIssuer},
		{"iss longer", object{"iss": issuer + ".evil"}, badIssuer},
		{"iss development", object{"iss": "https://x.clerk.accounts.dev.evil"}, badIssuer},

		{"azp missing", object{"azp": nil}, badParty},
		{"azp empty", object{"azp": ""}, badParty},
		{"azp another", object{"azp": "https://evil.example.com"}, badParty},
		{"azp longer", object{"azp": origin + ".evil"}, badParty},
		{"azp a list", object{"azp": []string{origin}}, malformed},
		{"aud of any kind", object{"aud": "whoever"}, ""},
		{"aud a number", object{"aud": 5}, malformed},
		{"aud a mixed list", object{"aud": []any{"a", 5}}, malformed},
		{"jti a number", object{"jti": 5}, malformed},

		{"sts missing", object{"sts": nil}, ""},
		{"sts pending", object{"sts": "pending"}, "invalid_token/pending"},
		{"sts empty", object{"sts": ""}, "invalid_token/status"},
		{"sts unknown", object{"sts": "expired"}, "invalid_token/status"},
		{"sts in another case", object{"sts": "Active"}, "invalid_token/status"},
		{"sts a number", object{"sts": 1}, malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			claims, refusal := verify(t, v, signRS256(t, key(), header(), with(payload(), test.change)))
			if refusal != test.want || claims != nil && claims.Subject != "user_1" {
				t.Errorf("refusal %q, want %q", refusal, test.want)
			}
		})
	}
}

// raw is a JSON number that encoding/json would not write like this.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// Duplicate keys, at any depth, and other JSON that two readers could read differently.
func TestVerifyPayloadSyntax(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, nil)
	for name, body := range map[string]string{
		"empty":            ``,
		"array":            `[]`,
		"text":             `"user_1"`,
		"truncated":        `{"sub":"user_1"`,
		"trailing data":    text(t, payload()) + `x`,
		"duplicate sub":    `{"sub":"user_2",` + text(t, payload())[1:],
		"duplicate nested": `{"x":{"y":{"a":1,"a":2}},` + text(t, payload())[1:],
		"invalid UTF-8":    "{\"x\":\"\xc3\x28\"," + text(t, payload())[1:],
		"lone surrogate":   `{"x":"\ud800",` + text(t, payload())[1:],
		"nested token":     signRS256(t, key(), header(), payload()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, refusal := verify(t, v, signRS256(t, key(), header(), body)); refusal != "invalid_token/malformed" {
				t.Errorf("refusal %q", refusal)
			}
		})
	}
}

func TestVerifyOptions(t *testing.T) {
	t.Parallel()
	hs256 := func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(t) }
	template := object{"sid": nil, "azp": nil, "nbf": nil, "v": nil, "sts": nil, "fea": nil, "pla": nil, "o": nil, "fva": nil}
	both := func(changes ...func(*auth.Config)) func(*auth.Config) {
		return func(c *auth.Config) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	audience := func(c *auth.Config) { c.Audience = []string{"api", "web"} }
	minute := func(c *auth.Config) { c.Leeway = time.Minute }
	for _, test := range []struct {
		name    string
		config  func(*auth.Config)
		header  object
		payload object
		want    string
	}{
		{"template token", hs256, object{"alg": "HS256", "kid": nil}, template, ""},
		{"template category", hs256, object{"alg": "HS256", "cat": "cl_B7d4PD222AAA"}, template, ""},
		{"machine category", hs256, object{"alg": "HS256", "cat": "cl_B7d4PD333AAA"}, template, "invalid_token/category"},
		{"template without exp", hs256, object{"alg": "HS256"}, with(template, object{"exp": raw("null")}), "invalid_token/malformed"},
		{"template of another page", hs256, object{"alg": "HS256"}, object{"azp": "https://evil.example"}, "invalid_token/authorized_party"},
		{"template for a machine", hs256, object{"alg": "HS256"}, object{"sub": "mch_1"}, "invalid_token/category"},
		{"template with a numeric sid", hs256, object{"alg": "HS256"}, object{"sid": 5}, "invalid_token_payload"},

		{"any issuer", func(c *auth.Config) { c.Issuer = "" }, nil, object{"iss": "https://x.example"}, ""},
		{"any party", func(c *auth.Config) { c.AuthorizedParties = nil }, nil, object{"azp": "https://x.example"}, ""},
		{"any party, none", func(c *auth.Config) { c.AuthorizedParties = nil }, nil, object{"azp": nil}, ""},
		{
			"second party", func(c *auth.Config) { c.AuthorizedParties = []string{"http://localhost:3000", origin} },
			nil, nil, "",
		},
		{"missing party allowed", func(c *auth.Config) { c.DangerouslyAllowMissingAuthorizedParty = true }, nil, object{"azp": nil}, ""},
		{
			"missing party allowed, but another", func(c *auth.Config) { c.DangerouslyAllowMissingAuthorizedParty = true },
			nil,
			object{"azp": "https://x.example"},
			"invalid_token/authorized_party",
		},
		{"audience missing", audience, nil, nil, "invalid_token/audience"},
		{"audience another", audience, nil, object{"aud": "app"}, "invalid_token/audience"},
		{"audience text", audience, nil, object{"aud": "web"}, ""},
		{"audience list", audience, nil, object{"aud": []string{"app", "api"}}, ""},
		{"audience empty list", audience, nil, object{"aud": []string{}}, "invalid_token/audience"},
		{"audience and template", both(hs256, audience), object{"alg": "HS256"}, template, "invalid_token/audience"},
		{"pending allowed", func(c *auth.Config) { c.DangerouslyAllowPendingSessions = true }, nil, object{"sts": "pending"}, ""},
		{
			"pending allowed, but unknown", func(c *auth.Config) { c.DangerouslyAllowPendingSessions = true },
			nil,
			object{"sts": "removed"},
			"invalid_token/status",
		},
		{"longer leeway, iat and nbf", minute, nil, object{"iat": now.Unix() + 60, "nbf": now.Unix() + 60}, ""},
		{"longer leeway, iat beyond it", minute, nil, object{"iat": now.Unix() + 61}, "invalid_token/issued_in_future"},
		{"longer leeway, nbf beyond it", minute, nil, object{"nbf": now.Unix() + 61}, "invalid_token/not_yet_valid"},
		{"longer leeway, exp just passed", minute, nil, object{"exp": now.Unix() - 4}, ""},
		{"longer leeway does not prolong a token", minute, nil, object{"exp": now.Unix() - 5}, "invalid_token/expired"},
		{"shorter leeway", func(c *auth.Config) { c.Leeway = 1 }, nil, object{"exp": now.Unix() - 1}, "invalid_token/expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, test.config)
			h, p := with(header(), test.header), with(payload(), test.payload)
			token := signRS256(t, key(), h, p)
			if h["alg"] == "HS256" {
				token = signHS256(t, []byte(secret), h, p)
			}
			if _, refusal := verify(t, v, token); refusal != test.want {
				t.Errorf("refusal %q, want %q", refusal, test.want)
			}
		})
	}
}

// NewVerifier reports everything that is wrong with a configuration.
func TestNewVerifierReportsMistakes(t *testing.T) {
	t.Parallel()
	keys := auth.StaticKey(&key().PublicKey)
	for name, config := range map[string]auth.Config{
		"no keys":                 {},
		"none":                    {Keys: keys, Algorithm: "none"},
		"RS512":                   {Keys: keys, Algorithm: "RS512"},
		"HS256 with an RSA key":   {Keys: keys, Algorithm: auth.HS256},
		"RS256 with a secret":     {Keys: hmacKeys(t)},
		"no key":                  {Keys: auth.StaticKey(nil)},
		"even exponent":           {Keys: auth.StaticKey(&rsa.PublicKey{N: key().N, E: 2})},
		"negative leeway":         {Keys: keys, Leeway: -1},
		"long leeway":             {Keys: keys, Leeway: 61 * time.Second},
		"issuer is the key set":   {Keys: keys, Issuer: issuer + "/.well-known/jwks.json"},
		"issuer with a slash":     {Keys: keys, Issuer: issuer + "/"},
		"issuer in upper case":    {Keys: keys, Issuer: "https://Clerk.example.com"},
		"issuer with its port":    {Keys: keys, Issuer: issuer + ":443"},
		"issuer without scheme":   {Keys: keys, Issuer: "clerk.example.com"},
		"party with a path":       {Keys: keys, AuthorizedParties: []string{"https://app.example.com/"}},
		"party without scheme":    {Keys: keys, AuthorizedParties: []string{"app.example.com"}},
		"party in upper case":     {Keys: keys, AuthorizedParties: []string{"https://App.example.com"}},
		"party with default port": {Keys: keys, AuthorizedParties: []string{"https://app.example.com:443"}},
		"party null":              {Keys: keys, AuthorizedParties: []string{"null"}},
		"party empty":             {Keys: keys, AuthorizedParties: []string{origin, ""}},
		"party wildcard":          {Keys: keys, AuthorizedParties: []string{"*"}},
		"audience empty":          {Keys: keys, Audience: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v, err := auth.NewVerifier(config); err == nil || v != nil {
				t.Errorf("accepted")
			}
		})
	}
	_, err := auth.NewVerifier(auth.Config{Algorithm: "none", Leeway: -1, AuthorizedParties: []string{"x"}})
	for _, fault := range []string{"algorithm", "keys", "leeway", "party"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%v does not report %s", err, fault)
		}
	}
	if _, err := auth.NewVerifier(auth.Config{Keys: keys, AuthorizedParties: []string{
		"http://localhost:3000", "http://[::1]:8080", "https://app.example.com:8443", "chrome-extension://abcdef", "capacitor://localhost",
	}}); err != nil {
		t.Error(err)
	}
}

// keySetFunc is a key set of another package.
type keySetFunc func() error

func (f keySetFunc) Algorithm() string { return auth.RS256 }

func (f keySetFunc) VerifySignature(context.Context, string, []byte, []byte) error { return f() }

func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("down")
	invalid := func(reason string, cause error) auth.Error {
		return auth.Error{Code: "invalid_token", Reason: reason, Detail: "Invalid authentication token", Err: cause}
	}
	good := signRS256(t, key(), header(), payload())
	for _, test := range []struct {
		name  string
		keys  error
		token string
		want  auth.Error
	}{
		{"none", nil, "", auth.Error{Code: "authentication_required", Detail: "Authentication required"}},
		{"unavailable", cause, good, invalid("keys_unavailable", cause)},
		{"unknown", auth.ErrUnknownKey, good, invalid("unknown_key", auth.ErrUnknownKey)},
		{"signature", auth.ErrSignature, good, invalid("signature", auth.ErrSignature)},
		{
			"payload", nil, signRS256(t, key(), header(), with(payload(), object{"sid": 5})),
			auth.Error{Code: "invalid_token_payload", Detail: "Invalid token payload", Err: errors.New("claim sid is not a string")},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, func(c *auth.Config) { c.Keys = keySetFunc(func() error { return test.keys }) })
			_, err := v.Verify(t.Context(), test.token)
			var got *auth.Error
			if !errors.As(err, &got) {
				t.Fatalf("%T", err)
			}
			sameText := cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
			if diff := cmp.Diff(&test.want, got, sameText); diff != "" {
				t.Error(diff)
			}
			if test.keys != nil && !errors.Is(err, test.keys) {
				t.Error("the cause is not wrapped")
			}
		})
	}
}

// An error must not carry parts of a refused token into a log.
func TestErrorsQuoteNothing(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	v := newVerifier(t, func(c *auth.Config) { c.Audience = []string{"api"} })
	tokens := []string{
		canary, canary + ".." + canary, canary + "!." + canary + "." + canary,
		signRS256(t, key(), canary, payload()), signRS256(t, key(), header(), canary),
		signRS256(t, key(), `{"alg":"`+canary+`"}`, payload()),
		signRS256(t, key(), `{"alg":"RS256","`+canary+`":1,"`+canary+`":2}`, payload()),
		signRS256(t, otherKey(), with(header(), object{"kid": canary}), payload()),
	}
	for _, name := range []string{"typ", "cat", "crit", "b64"} {
		tokens = append(tokens, signRS256(t, key(), with(header(), object{name: canary}), payload()))
	}
	for name := range payload() {
		tokens = append(tokens,
			signRS256(t, key(), header(), with(payload(), object{name: canary})),
			signRS256(t, key(), header(), with(payload(), object{name: object{canary: canary}})))
	}
	refused := 0
	for _, token := range tokens {
		if _, err := v.Verify(t.Context(), token); err != nil {
			refused++
			if strings.Contains(err.Error(), canary) {
				t.Errorf("%v", err)
			}
		}
	}
	if refused != len(tokens) { // all lack the audience
		t.Errorf("%d of %d refused", refused, len(tokens))
	}
}
