package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
)

// Secrets as Clerk makes them, and what looks like one.
const (
	apiKey      = "ak_2dE4fG/hI6jK8lM+nO1pQ3rS5tU7vW9xY0zA2bC4dE6="
	oauthOpaque = "oat_2dE4fG1hI6jK8lM0nO1pQ3rS5tU7vW9xY0zA2bC4dE6f"
	m2mOpaque   = "mt_2dE4fG1hI6jK8lM0nO1pQ3rS5tU7vW9xY0zA2bC4dE6f"
	apiKeyID    = "ak_0123456789abcdef0123456789abcdef"
	resource    = "https://api.example.com/mcp"
)

var address = netip.MustParseAddr("192.0.2.1")

// opaque is what Clerk would say about opaque tokens, and how often it was asked.
type opaque struct {
	claims *auth.Claims
	err    error
	asked  int
}

func (o *opaque) VerifyOpaque(context.Context, auth.OpaqueToken) (*auth.Claims, error) {
	o.asked++
	return o.claims, o.err
}

func newMachineVerifier(t testing.TB, clerk *opaque, change func(*auth.MachineConfig)) *auth.MachineVerifier {
	t.Helper()
	config := auth.MachineConfig{
		Keys: auth.StaticKey(&key().PublicKey), Issuer: issuer, Resources: []string{resource},
		Callers: map[string][]string{"mch_1": {"deals:read"}}, Now: func() time.Time { return now },
	}
	if clerk != nil {
		config.Opaque = clerk
	}
	if change != nil {
		change(&config)
	}
	v, err := auth.NewMachineVerifier(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func oauthHeader() object { return object{"alg": "RS256", "typ": "at+jwt", "kid": kid} }

func oauthPayload() object {
	return object{
		"iss": issuer, "sub": "user_1", "client_id": "client_1", "jti": "oat_1", "aud": resource, "scope": "openid deals:read",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 86400,
	}
}

func m2mHeader() object {
	return object{"alg": "RS256", "typ": "JWT", "cat": "cl_B7d4PD333AAA", "kid": kid}
}

func m2mPayload() object {
	return object{"iss": issuer, "sub": "mch_1", "jti": "mt_1", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 3600, "scopes": "admin"}
}

// outcomeOf returns the reason or else the code of a refusal, "unavailable", or "".
func outcomeOf(err error) string {
	if refused, ok := errors.AsType[*auth.Error](err); ok {
		if refused.Reason != "" {
			return refused.Reason
		}
		return refused.Code
	}
	if _, ok := errors.AsType[*auth.UnavailableError](err); ok {
		return "unavailable"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestMachineTokensThatAreJWTs(t *testing.T) {
	t.Parallel()
	all := auth.KindsOf(auth.APIKey, auth.OAuth, auth.M2M)
	for _, test := range []struct {
		name            string
		header, payload object
		change          func(*auth.MachineConfig)
		want            string
	}{
		{name: "OAuth", header: oauthHeader(), payload: oauthPayload()},
		{name: "OAuth, the long type", header: with(oauthHeader(), object{"typ": "application/at+jwt"}), payload: oauthPayload()},
		{name: "OAuth, several audiences", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": []string{"x", resource}})},
		{
			name: "OAuth for the host, with a slash", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": "https://a.example.com/"}),
			change: func(c *auth.MachineConfig) { c.Resources = []string{"https://a.example.com"} },
		},
		{
			name: "OAuth for the host, without the slash", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": "https://a.example.com"}),
			change: func(c *auth.MachineConfig) { c.Resources = []string{"https://a.example.com/"} },
		},
		{
			name: "OAuth for a path with a slash", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": "https://a.example.com/x/"}),
			change: func(c *auth.MachineConfig) { c.Resources = []string{"https://a.example.com/x"} }, want: auth.ReasonAudience,
		},
		{name: "OAuth without an audience", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": nil}), want: auth.ReasonAudience},
		{name: "OAuth for another resource", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": "https://other.example.com"}), want: auth.ReasonAudience},
		{
			name: "OAuth where no resource is configured", header: oauthHeader(), payload: with(oauthPayload(), object{"aud": nil}),
			change: func(c *auth.MachineConfig) { c.Resources = nil },
		},
		{name: "OAuth of another issuer", header: oauthHeader(), payload: with(oauthPayload(), object{"iss": "https://other.example.com"}), want: auth.ReasonIssuer},
		{name: "OAuth without an issuer", header: oauthHeader(), payload: with(oauthPayload(), object{"iss": nil}), want: auth.ReasonIssuer},
		{name: "OAuth of a machine", header: oauthHeader(), payload: with(oauthPayload(), object{"sub": "mch_1"}), want: auth.ReasonCategory}, // mch_ wins
		{name: "OAuth of an organization", header: oauthHeader(), payload: with(oauthPayload(), object{"sub": "org_1"}), want: auth.CodeInvalidTokenPayload},
		{name: "OAuth without a subject", header: oauthHeader(), payload: with(oauthPayload(), object{"sub": nil}), want: auth.CodeInvalidTokenPayload},
		{name: "OAuth, a subject that is no text", header: oauthHeader(), payload: with(oauthPayload(), object{"sub": 7}), want: auth.ReasonMalformed},
		{name: "OAuth, expired", header: oauthHeader(), payload: with(oauthPayload(), object{"exp": now.Unix() - 60}), want: auth.ReasonExpired},
		{name: "OAuth without an end", header: oauthHeader(), payload: with(oauthPayload(), object{"exp": nil}), want: auth.ReasonMalformed},
		{name: "OAuth, not yet valid", header: oauthHeader(), payload: with(oauthPayload(), object{"nbf": now.Unix() + 60}), want: auth.ReasonNotYetValid},
		{name: "OAuth, from the future", header: oauthHeader(), payload: with(oauthPayload(), object{"iat": now.Unix() + 60}), want: auth.ReasonIssuedInFuture},
		{name: "OAuth with the category of sessions", header: with(oauthHeader(), object{"cat": "cl_B7d4PD111AAA"}), payload: oauthPayload(), want: auth.ReasonCategory},
		{name: "OAuth with alg none", header: with(oauthHeader(), object{"alg": "none"}), payload: oauthPayload(), want: auth.ReasonAlgorithm},
		{name: "M2M", header: m2mHeader(), payload: m2mPayload()},
		{name: "M2M without a category", header: with(m2mHeader(), object{"cat": nil}), payload: m2mPayload()},
		{name: "M2M with the category that says nothing", header: with(m2mHeader(), object{"cat": "cl_I7d4PD111III"}), payload: m2mPayload(), want: auth.ReasonCategory},
		{name: "M2M with the category of sessions", header: with(m2mHeader(), object{"cat": "cl_B7d4PD111AAA"}), payload: m2mPayload(), want: auth.ReasonCategory},
		{name: "M2M of a machine that may not call", header: m2mHeader(), payload: with(m2mPayload(), object{"sub": "mch_2"}), want: auth.ReasonMachine},
		{name: "M2M, a longer machine", header: m2mHeader(), payload: with(m2mPayload(), object{"sub": "mch_11"}), want: auth.ReasonMachine},
		{name: "M2M, no machine", header: m2mHeader(), payload: with(m2mPayload(), object{"sub": "mch_"}), want: auth.CodeInvalidTokenPayload},
		{
			name: "M2M where no callers are configured", header: m2mHeader(), payload: m2mPayload(), want: auth.ReasonMachine,
			change: func(c *auth.MachineConfig) { c.Callers, c.MachineID = nil, "mch_9" },
		},
		{name: "a session token", header: header(), payload: payload(), want: auth.ReasonKind},
		{
			name: "no keys", header: m2mHeader(), payload: m2mPayload(), want: "unavailable",
			change: func(c *auth.MachineConfig) { c.Keys, c.Opaque = nil, &opaque{} },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newMachineVerifier(t, nil, test.change)
			token := signRS256(t, key(), test.header, test.payload)
			for range 2 { // the second one may be remembered
				claims, err := v.Verify(t.Context(), all, token, address)
				if got := outcomeOf(err); got != test.want || (claims != nil) != (err == nil) {
					t.Fatalf("got %q (%v), want %q", got, err, test.want)
				}
				if err == nil && claims.Kind == auth.Session {
					t.Error("the claims are those of a session")
				}
			}
			for kind := range all {
				if set := auth.KindsOf(auth.Kind(kind)); set != auth.KindsOf(auth.KindOf(token)) {
					if claims, err := v.Verify(t.Context(), set, token, address); err == nil {
						t.Errorf("accepted as %s: %+v", set, claims)
					}
				}
			}
			forged := token[:len(token)-4] + "AAAA"
			if claims, err := v.Verify(t.Context(), all, forged, address); err == nil {
				t.Errorf("a forged signature is accepted: %+v", claims)
			}
			if claims, err := newVerifier(t, nil).Verify(t.Context(), token); err == nil && auth.KindOf(token) != auth.Session {
				t.Errorf("the verifier of session tokens accepts it: %+v", claims)
			}
		})
	}
}

func TestMachineClaims(t *testing.T) {
	t.Parallel()
	v := newMachineVerifier(t, nil, nil)
	claims, err := v.Verify(t.Context(), auth.KindsOf(auth.OAuth), signRS256(t, key(), oauthHeader(), with(oauthPayload(), object{
		"scp": []string{"deals:read", "deals:write"}, "org_id": "org_1", "act": object{"sub": "user_2"},
	})), address)
	if err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "user_1" || claims.ClientID != "client_1" || !slices.Equal(claims.Scopes, []string{"deals:read", "deals:write"}) ||
		claims.Organization == nil || claims.Organization.ID != "org_1" || claims.Actor == nil || claims.Actor.Subject != "user_2" {
		t.Errorf("claims of an OAuth access token: %+v", claims)
	}
	claims, err = v.Verify(t.Context(), auth.KindsOf(auth.M2M), signRS256(t, key(), m2mHeader(), m2mPayload()), address)
	if err != nil {
		t.Fatal(err)
	}
	if claims.MachineID != "mch_1" || !slices.Equal(claims.Scopes, []string{"deals:read"}) {
		t.Errorf("a machine has scopes %q, want those of the configuration and not those that it wrote itself", claims.Scopes)
	}
}

// Only a space separates scopes (RFC 6749 section 3.3). Other white space must not make two of one.
func TestScopesOfOAuthTokens(t *testing.T) {
	t.Parallel()
	v := newMachineVerifier(t, nil, nil)
	for _, test := range []struct {
		scope any
		want  []string
	}{
		{" a  b ", []string{"a", "b"}},
		{"a\u00a0admin", []string{"a\u00a0admin"}},
		{"a\u0085admin\u2003b c", []string{"a\u0085admin\u2003b", "c"}},
		{"a\tadmin\r\nb", []string{"a\tadmin\r\nb"}},
		{"", nil},
		{nil, nil},
	} {
		claims, err := v.Verify(t.Context(), auth.KindsOf(auth.OAuth), signRS256(t, key(), oauthHeader(), with(oauthPayload(), object{"scope": test.scope})), address)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(claims.Scopes, test.want) {
			t.Errorf("%q: %q, want %q", test.scope, claims.Scopes, test.want)
		}
	}
}

// What a program does with the configuration later changes nothing.
func TestMachineConfigIsCopied(t *testing.T) {
	t.Parallel()
	scopes, callers := []string{"deals:read"}, map[string][]string{}
	callers["mch_1"] = scopes
	v := newMachineVerifier(t, nil, func(c *auth.MachineConfig) { c.Callers = callers })
	scopes[0], callers["mch_2"] = "admin", scopes
	for machine, want := range map[string]string{"mch_1": "", "mch_2": auth.ReasonMachine} {
		claims, err := v.Verify(t.Context(), auth.KindsOf(auth.M2M), signRS256(t, key(), m2mHeader(), with(m2mPayload(), object{"sub": machine})), address)
		if outcomeOf(err) != want || err == nil && claims.Scopes[0] != "deals:read" {
			t.Errorf("%s: %+v, %v", machine, claims, err)
		}
	}
}

func TestOpaqueMachineTokens(t *testing.T) {
	t.Parallel()
	userKey := &auth.Claims{Kind: auth.APIKey, KeyID: apiKeyID, Subject: "user_1", Scopes: []string{"deals:read"}}
	machine := &auth.Claims{Kind: auth.M2M, KeyID: "mt_1", Subject: "mch_1", Audience: []string{"mch_9"}, Scopes: []string{"mch_9"}}
	grant := &auth.Claims{Kind: auth.OAuth, KeyID: "oat_1", Subject: "user_1"}
	own := func(c *auth.MachineConfig) { c.Callers, c.MachineID = nil, "mch_9" }
	for _, test := range []struct {
		name, token string
		claims      *auth.Claims
		err         error
		change      func(*auth.MachineConfig)
		want        string
		unasked     bool
	}{
		{name: "a user's key", token: apiKey, claims: userKey},
		{name: "an organization's key", token: apiKey, claims: &auth.Claims{Kind: auth.APIKey, KeyID: apiKeyID, Subject: "org_1"}},
		{name: "a machine's key", token: apiKey, claims: &auth.Claims{Kind: auth.APIKey, KeyID: apiKeyID, Subject: "mch_1"}, want: auth.CodeInvalidTokenPayload},
		{name: "a directory's key", token: apiKey, claims: &auth.Claims{Kind: auth.APIKey, KeyID: apiKeyID, Subject: "scim_1"}, want: auth.CodeInvalidTokenPayload},
		{name: "a key that is an OAuth token", token: apiKey, claims: grant, want: auth.CodeInvalidTokenPayload},
		{name: "an expired key", token: apiKey, claims: &auth.Claims{Kind: auth.APIKey, Subject: "user_1", ExpiresAt: now.Add(-time.Minute)}, want: auth.ReasonExpired},
		{name: "an unknown key", token: apiKey, err: &auth.Error{Code: auth.CodeInvalidToken, Reason: auth.ReasonUnknown}, want: auth.ReasonUnknown},
		{name: "an outage", token: apiKey, err: errors.New("no route to host"), want: "unavailable"},
		{name: "the id of a key", token: apiKeyID, want: auth.ReasonMalformed, unasked: true},
		{name: "too short", token: "ak_abc", want: auth.ReasonMalformed, unasked: true},
		{name: "too long", token: "ak_" + strings.Repeat("x", 600), want: auth.ReasonMalformed, unasked: true},
		{name: "other characters", token: apiKey + "\x00", want: auth.ReasonMalformed, unasked: true},
		{name: "OAuth where an audience is required", token: oauthOpaque, claims: grant, want: auth.ReasonAudience},
		{name: "OAuth", token: oauthOpaque, claims: grant, change: func(c *auth.MachineConfig) { c.Resources = nil }},
		{name: "M2M", token: m2mOpaque, claims: machine},
		{name: "M2M for us", token: m2mOpaque, claims: machine, change: own},
		{
			name: "M2M for others", token: m2mOpaque, want: auth.ReasonAudience, change: own,
			claims: &auth.Claims{Kind: auth.M2M, KeyID: "mt_1", Subject: "mch_1", Audience: []string{"mch_8"}},
		},
		{name: "M2M of another machine", token: m2mOpaque, claims: &auth.Claims{Kind: auth.M2M, KeyID: "mt_1", Subject: "mch_2"}, want: auth.ReasonMachine},
		{
			name: "M2M where nobody may call", token: m2mOpaque, claims: machine, want: auth.ReasonMachine, unasked: true,
			change: func(c *auth.MachineConfig) { c.Callers = nil },
		},
		{name: "no secret key", token: apiKey, want: "unavailable", unasked: true, change: func(c *auth.MachineConfig) { c.Opaque = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clerk := &opaque{claims: test.claims, err: test.err}
			v := newMachineVerifier(t, clerk, test.change)
			claims, err := v.Verify(t.Context(), auth.KindsOf(auth.APIKey, auth.OAuth, auth.M2M), test.token, address)
			if got := outcomeOf(err); got != test.want {
				t.Fatalf("got %q (%v), want %q", got, err, test.want)
			}
			if test.unasked != (clerk.asked == 0) {
				t.Errorf("Clerk was asked %d times", clerk.asked)
			}
			if err == nil && claims.Kind == auth.M2M && slices.Contains(claims.Scopes, "mch_9") {
				t.Error("a receiver is a scope")
			}
			if err != nil && strings.Contains(err.Error(), test.token) {
				t.Errorf("the error quotes the token: %v", err)
			}
			asked := clerk.asked
			if _, err := v.Verify(t.Context(), auth.KindsOf(auth.Session), test.token, address); outcomeOf(err) != auth.ReasonKind || clerk.asked != asked {
				t.Errorf("a route for sessions: %v, and Clerk was asked %d times more", err, clerk.asked-asked)
			}
		})
	}
}

func TestMachineConfig(t *testing.T) {
	t.Parallel()
	keys := auth.StaticKey(&key().PublicKey)
	hmac, err := auth.HMACKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]auth.MachineConfig{
		"no keys":               {},
		"no issuer":             {Keys: keys},
		"keys of HS256":         {Keys: hmac, Issuer: issuer},
		"an issuer with a path": {Keys: keys, Issuer: issuer + "/"},
		"an empty resource":     {Keys: keys, Issuer: issuer, Resources: []string{""}},
		"a caller that is none": {Keys: keys, Issuer: issuer, Callers: map[string][]string{"user_1": nil}},
		"an empty scope":        {Keys: keys, Issuer: issuer, Callers: map[string][]string{"mch_1": {""}}},
		"our id is none":        {Keys: keys, Issuer: issuer, MachineID: "ak_1"},
		"much leeway":           {Keys: keys, Issuer: issuer, Leeway: time.Hour},
	} {
		if _, err := auth.NewMachineVerifier(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]auth.Kind{
		"":                                     auth.Session,
		"x":                                    auth.Session,
		apiKey:                                 auth.APIKey,
		oauthOpaque:                            auth.OAuth,
		m2mOpaque:                              auth.M2M,
		unsigned(t, header(), payload()) + ".": auth.Session,
		unsigned(t, oauthHeader(), oauthPayload()) + ".":                              auth.OAuth,
		unsigned(t, m2mHeader(), m2mPayload()) + ".":                                  auth.M2M,
		unsigned(t, oauthHeader(), m2mPayload()) + ".":                                auth.M2M,
		unsigned(t, header(), with(payload(), object{"sub": []string{"mch_"}})) + ".": auth.Session,
	} {
		if got := auth.KindOf(token); got != want {
			t.Errorf("%.20q is %s, want %s", token, got, want)
		}
	}
	for kind := range auth.M2M + 1 {
		if parsed, ok := auth.ParseKind(kind.String()); !ok || parsed != kind {
			t.Errorf("%s is read as %s, %v", kind, parsed, ok)
		}
	}
	if _, ok := auth.ParseKind("any"); ok {
		t.Error("there is no kind any")
	}
}

// A token is accepted by one of the two verifiers at most, and none panics.
func FuzzKindOf(f *testing.F) {
	f.Add(apiKey)
	f.Add(m2mOpaque + "\n")
	f.Add(unsigned(f, oauthHeader(), oauthPayload()) + ".")
	f.Add(unsigned(f, m2mHeader(), m2mPayload()) + ".")
	f.Add(signRS256(f, key(), m2mHeader(), m2mPayload()))
	f.Add(signRS256(f, key(), oauthHeader(), oauthPayload()))
	clerk := &opaque{err: errors.New("not asked")}
	machines, sessions := newMachineVerifier(f, clerk, nil), newVerifier(f, nil)
	f.Fuzz(func(t *testing.T, token string) {
		kind := auth.KindOf(token)
		_, machineErr := machines.Verify(t.Context(), auth.KindsOf(auth.APIKey, auth.OAuth, auth.M2M), token, address)
		_, sessionErr := sessions.Verify(t.Context(), token)
		if machineErr == nil && (kind == auth.Session || sessionErr == nil) || sessionErr == nil && kind != auth.Session {
			t.Errorf("%q is %s: %v, %v", token, kind, machineErr, sessionErr)
		}
	})
}
