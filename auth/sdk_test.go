package auth_test

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/clerktest"
	clerkjwt "github.com/clerk/clerk-sdk-go/v2/jwt"
	"github.com/clerksync/clerksync/auth"
)

// A verifier accepts the tokens of the test helper of Clerk's own SDK.
func TestSDKTokens(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]object{"version 2": payload(), "version 1": payloadV1()} {
		token, public := clerktest.GenerateJWT(t, p, kid)
		v := newVerifier(t, func(c *auth.Config) { c.Keys = auth.StaticKey(public.(*rsa.PublicKey)) })
		claims, refusal := verify(t, v, token)
		if refusal != "" || claims.Subject != "user_1" || claims.Organization.Role != "org:admin" {
			t.Errorf("%s: %+v, %q", name, claims, refusal)
		}
	}
}

// sdkAccepts calls Clerk's SDK, so that the tests show when a shortcoming was fixed there.
func sdkAccepts(t *testing.T, token string, change func(*clerkjwt.VerifyParams)) bool {
	t.Helper()
	params := &clerkjwt.VerifyParams{
		Token: token, Clock: clock{}, JWK: &clerk.JSONWebKey{Key: &key().PublicKey, Algorithm: "RS256", KeyID: kid},
		AuthorizedPartyHandler: func(azp string) bool { return azp == "" || azp == origin }, // as AuthorizedPartyMatches has it
	}
	if change != nil {
		change(params)
	}
	_, err := clerkjwt.Verify(t.Context(), params)
	return err == nil
}

// The tests below are numbered like the shortcomings of clerk-sdk-go v2.4.2 that this package
// does not share.

// 1. Without a given key its Verify fetches the key set over the network on every call.
func TestSDKShortcoming01FetchOnEveryCall(t *testing.T) {
	signRS256(t, key(), header(), payload())
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		v := newVerifier(t, func(c *auth.Config) { c.Keys = keys })
		for i := range 50 { // also where no token comes twice
			token := signRS256(t, key(), header(), with(payload(), object{"jti": strconv.Itoa(i)}))
			if _, refusal := verify(t, v, token); refusal != "" {
				t.Fatal(refusal)
			}
		}
		if s.count() != 1 {
			t.Errorf("%d fetches", s.count())
		}
	})
}

// 2. Its cache slides, does not use old keys on errors, shares no fetches and does not remember
// unknown ids. See TestRemoteKeySetRemoved, TestRemoteKeySetOutage, TestRemoteKeySetShareOneFetch
// and TestRemoteKeySetFlood for each of these. Here they are tested together.
func TestSDKShortcoming02Cache(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		for range 3600 { // a busy hour, with a forged token beside each good one, and an outage in its second half
			try(t, keys, kid, key())
			try(t, keys, "ins_forged", key())
			if s.count() == 30 {
				s.answer(503, "")
			}
			time.Sleep(time.Second)
		}
		expect(t, keys, kid, key(), nil)
		if n := s.count(); n > 6*60 {
			t.Errorf("%d fetches in an hour", n)
		}
		synctest.Wait()
	})
}

// 3. Its cache is shared by the process, by key id alone, so that one instance's key verifies
// another's tokens.
func TestSDKShortcoming03SharedCache(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, _ := setup(t, nil)
		other, s := setup(t, nil)
		s.answer(200, jwks(t, jwk(kid, &otherKey().PublicKey)))
		for range 3 {
			try(t, one, kid, key())
			try(t, other, kid, otherKey())
		}
		if _, err := try(t, one, kid, otherKey()); err == nil {
			t.Error("the other instance's key verifies")
		}
		if _, err := try(t, other, kid, key()); err == nil {
			t.Error("the first instance's key verifies")
		}
	})
}

// shortcoming is a token that the SDK treats differently.
type shortcoming struct {
	point    string
	header   object
	payload  object
	config   func(*auth.Config)
	sdk      func(*clerkjwt.VerifyParams)
	accepted bool // by the SDK
	want     string
}

// Points 4 to 8: what its Verify accepts and should not, or refuses and should not.
func TestSDKShortcoming04To08Verify(t *testing.T) {
	t.Parallel()
	const anotherHost = "https://accounts.example.com"
	for _, test := range []shortcoming{
		{point: "4. leeway 0: a clock that is a second behind refuses fresh tokens", payload: object{"nbf": now.Unix() + 1}, accepted: false},
		{point: "5. exp is optional: such a token never expires", payload: object{"exp": nil}, accepted: true, want: "invalid_token/malformed"},
		{point: "5. sub is optional", payload: object{"sub": nil}, accepted: true, want: "invalid_token_payload/"},
		{point: "5. sid is optional", payload: object{"sid": nil}, accepted: true, want: "invalid_token_payload/"},
		{point: "6. issuer by prefix", payload: object{"iss": "https://clerk.evil"}, accepted: true, want: "invalid_token/issuer"},
		{point: "6. issuer by part", payload: object{"iss": "https://x.clerk.accounts.dev.evil"}, accepted: true, want: "invalid_token/issuer"},
		{
			point: "6. satellites check no issuer at all", payload: object{"iss": "https://evil.example"}, accepted: true, want: "invalid_token/issuer",
			sdk: func(p *clerkjwt.VerifyParams) { p.IsSatellite = true },
		},
		{
			point: "6. Frontend API hosts of another name are refused", payload: object{"iss": anotherHost}, accepted: false,
			config: func(c *auth.Config) { c.Issuer = anotherHost },
		},
		{point: "7. an absent azp passes any list", payload: object{"azp": nil}, accepted: true, want: "invalid_token/authorized_party"},
		{point: "8. sts is ignored", payload: object{"sts": "pending"}, accepted: true, want: "invalid_token/pending"},
		{
			point: "8. the category is ignored: a template's token is a session to it", header: object{"cat": "cl_B7d4PD222AAA"},
			accepted: true, want: "invalid_token/category",
		},
		{
			point: "8. a machine's token too, by category", header: object{"cat": "cl_B7d4PD333AAA"}, payload: object{"sub": "mch_1"},
			accepted: true, want: "invalid_token/category",
		},
		{point: "8. a machine's token too, by subject", payload: object{"sub": "mch_1"}, accepted: true, want: "invalid_token/category"},
		{point: "8. typ is ignored: an OAuth access token too", header: object{"typ": "at+jwt"}, accepted: true, want: "invalid_token/category"},
	} {
		t.Run(test.point, func(t *testing.T) {
			t.Parallel()
			token := signRS256(t, key(), with(header(), test.header), with(payload(), test.payload))
			if got := sdkAccepts(t, token, test.sdk); got != test.accepted {
				t.Errorf("the SDK accepts: %t, want %t", got, test.accepted)
			}
			_, err := newVerifier(t, test.config).Verify(t.Context(), token)
			if got := reasonOf(err); err != nil && got != test.want || (err == nil) != (test.want == "") {
				t.Errorf("Verify returns %v, want %q", err, test.want)
			}
		})
	}
}

// 7. There an empty list of authorized parties accepts every token. Here it accepts those of a
// header, never those of a cookie.
func TestSDKShortcoming07EmptyList(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, func(c *auth.Config) { c.AuthorizedParties = nil })
	token := signRS256(t, key(), header(), payload())
	if _, err := v.VerifyFrom(t.Context(), auth.FromCookie, token); reasonOf(err) != "invalid_token/authorized_party" {
		t.Error(err)
	}
}

// 9. It takes an absent fva for "just verified", so that a step-up passes without a check.
func TestSDKShortcoming09StepUp(t *testing.T) {
	t.Parallel()
	var claims clerk.SessionClaims
	if err := json.Unmarshal([]byte(`{"sub":"user_1"}`), &claims); err != nil {
		t.Fatal(err)
	}
	if claims.NeedsReverification(clerk.SessionReverificationStrict) {
		t.Error("the SDK has fixed it")
	}
	for _, value := range []any{nil, raw("null"), []int{}, []int{0}, []string{"0", "0"}} {
		subject := &auth.Subject{Claims: claimsOf(t, with(payload(), object{"fva": value}))}
		if d := auth.Reverified(auth.Lax()).Check(subject); d.Allowed || d.ClerkError() == nil {
			t.Errorf("fva %v: %+v", value, d)
		}
	}
}

// 10. It knows neither features nor plans, and its name for no role is "org:".
func TestSDKShortcoming10FeaturesAndPlans(t *testing.T) {
	t.Parallel()
	claims := claimsOf(t, with(payload(), object{"o": object{"id": "org_1", "per": "read", "fpm": "1"}}))
	subject := &auth.Subject{Claims: claims}
	if !auth.All(auth.Feature("org:teams"), auth.Plan("org:pro"), auth.Plan("user:free")).Check(subject).Allowed {
		t.Error("features and plans")
	}
	if claims.Organization.Role != "" || auth.OrgRole("org:").Check(subject).Allowed || auth.OrgRole("").Check(subject).Allowed {
		t.Errorf("role %q", claims.Organization.Role)
	}
}

// 11. Masks end at 63 bits, bits beyond the names drop the feature, and any scope with an o in it
// is the organization's.
func TestSDKShortcoming11Masks(t *testing.T) {
	t.Parallel()
	names := strings.Repeat("x,", 69) + "last"
	checkPermissions(t, "o:big", names, "590295810358705651712", "big:last") // 2^69
	checkPermissions(t, "o:a,o:b", "read", "3,1", "a:read b:read")
	checkPermissions(t, "foo:a,o:b", "read", "1,1", "b:read")
}

// 12. It reads the header only, and answers 403 without a body if there is no token. The codes here
// are for 401.
func TestSDKShortcoming12Cookies(t *testing.T) {
	t.Parallel()
	v, reader := newVerifier(t, nil), auth.NewTokenReader(padded)
	good := signRS256(t, key(), header(), payload())
	for cookies, want := range map[string]string{
		"__session=" + good: "", "__session_hVFNfHz9=" + good: "", "": "authentication_required/", "__session=x": "invalid_token/malformed",
	} {
		r := &http.Request{Header: http.Header{"Cookie": {cookies}}}
		token, from := reader.Token(r)
		if _, err := v.VerifyFrom(context.Background(), from, token); err != nil && reasonOf(err) != want || (err == nil) != (want == "") {
			t.Errorf("%.20s: %v, want %q", cookies, err, want)
		}
	}
}

// 13. Its options run for each request, and the first one finds a bad PEM. Here NewVerifier reports
// everything that is wrong.
func TestSDKShortcoming13FaultsAtStart(t *testing.T) {
	t.Parallel()
	if _, err := auth.ParsePublicKey("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"); err == nil {
		t.Error("a bad PEM")
	}
	if _, err := auth.NewVerifier(auth.Config{}); err == nil {
		t.Error("no keys")
	}
}

// 14. There the actor is raw JSON. Here it is a struct, and there is a rule.
func TestSDKShortcoming14Impersonation(t *testing.T) {
	t.Parallel()
	claims := claimsOf(t, with(payload(), object{"act": object{"sub": "user_9"}}))
	if claims.Actor.Subject != "user_9" || auth.NotImpersonated().Check(&auth.Subject{Claims: claims}).Allowed {
		t.Errorf("%+v", claims.Actor)
	}
}
