package emulator_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"
	clerkhttp "github.com/clerk/clerk-sdk-go/v2/http"
	"github.com/clerk/clerk-sdk-go/v2/jwks"
	"github.com/clerk/clerk-sdk-go/v2/jwt"

	"github.com/clerksync/clerksync/internal/emulator"
)

// verify has the SDK verify a token with the keys that the instance publishes.
func verify(t *testing.T, config *sdk.ClientConfig, token string) (*sdk.SessionClaims, error) {
	t.Helper()
	return jwt.Verify(t.Context(), &jwt.VerifyParams{Token: token, JWKSClient: jwks.NewClient(config)})
}

// member makes a user with a custom role in an organization, and a plan that has features.
func member(t *testing.T, c *clerk) (user, org string) {
	t.Helper()
	user = c.user("ada@example.com")
	org = c.organization("Acme", "")
	for _, key := range []string{"invoices:read", "invoices:pay", "reports:read"} {
		c.made("/v1/organization_permissions", object{"name": key, "key": key})
	}
	c.made("/v1/organization_roles", object{
		"name": "Clerk", "key": "clerk", "permissions": []string{"org:invoices:pay", "org:reports:read", "org:sys_memberships:read"},
	})
	c.made("/v1/organizations/"+org+"/memberships", object{"user_id": user, "role": "org:clerk"})
	c.call("POST", "/_emulator/subscriptions", object{"payer": user, "plan": "pro", "features": []string{"export", "reports"}})
	c.call("POST", "/_emulator/subscriptions", object{"payer": org, "plan": "team", "features": []string{"invoices"}})
	return user, org
}

func TestSDKVerifiesTokens(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	user, org := member(t, c)
	for name, test := range map[string]struct {
		order emulator.TokenOrder
		role  string // of the organization; none is active where it is empty
	}{
		"version 2":                 {emulator.TokenOrder{OrganizationID: org}, "org:clerk"},
		"version 1":                 {emulator.TokenOrder{OrganizationID: org, Version: 1}, "org:clerk"},
		"version 2, no org":         {emulator.TokenOrder{}, ""},
		"version 1, no org":         {emulator.TokenOrder{Version: 1}, ""},
		"of an hour, from a page":   {emulator.TokenOrder{ExpiresIn: new(3600), AZP: "https://app.example.com"}, ""},
		"impersonated":              {emulator.TokenOrder{Actor: object{"sub": "user_admin"}}, ""},
		"pending, which it ignores": {emulator.TokenOrder{Pending: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			order := test.order
			order.UserID = user
			claims, err := verify(t, config, c.token(order))
			if err != nil {
				t.Fatal(err)
			}
			inside, version := test.role != "", 1
			if inside && order.Version != 1 { // the SDK says 1 also of version 2 without an organization
				version = 2
			}
			life := map[bool]int64{true: 60, false: 3600}[order.ExpiresIn == nil]
			if claims.Subject != user || !strings.HasPrefix(claims.SessionID, "sess_") || claims.Issuer != c.Issuer || claims.ID == "" || claims.Version != version ||
				claims.AuthorizedParty != order.AZP || *claims.Expiry-*claims.IssuedAt != life || *claims.NotBefore > *claims.IssuedAt ||
				claims.FactorVerificationAge != [2]int64{0, -1} {
				t.Errorf("claims %+v", claims)
			}
			var actor struct{ Sub string }
			if len(claims.Actor) > 0 {
				decode(t, claims.Actor, &actor)
			}
			if want, _ := order.Actor["sub"].(string); actor.Sub != want {
				t.Errorf("actor %s", claims.Actor)
			}
			if claims.HasRole("org:clerk") != inside || (claims.ActiveOrganizationID == org) != inside || (claims.ActiveOrganizationSlug == "acme") != inside {
				t.Errorf("organization %q %q, role %q", claims.ActiveOrganizationID, claims.ActiveOrganizationSlug, claims.ActiveOrganizationRole)
			}
			for permission, granted := range map[string]bool{
				"org:invoices:pay": true, "org:reports:read": true, "org:invoices:read": false, "org:reports:pay": false, "org:sys_memberships:read": false,
			} {
				if got := claims.HasPermission(permission); got != (granted && inside) {
					t.Errorf("%s: %v", permission, got)
				}
			}
		})
	}
}

// The facts that the SDK does not look at.
func TestTokenClaims(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user, org := member(t, c)
	parts := func(order emulator.TokenOrder) (header, payload object) {
		order.UserID = user
		token, err := sdkDecode(t, c.token(order))
		if err != nil {
			t.Fatal(err)
		}
		return token[0], token[1]
	}
	header, payload := parts(emulator.TokenOrder{OrganizationID: org})
	o := payload["o"].(object)
	for name, test := range map[string]struct{ got, want any }{
		"alg": {header["alg"], "RS256"}, "typ": {header["typ"], "JWT"}, "kid": {header["kid"], c.ID}, "cat": {header["cat"], "cl_B7d4PD111AAA"},
		"sts": {payload["sts"], "active"}, "pla": {payload["pla"], "u:pro,o:team"}, "fea": {payload["fea"], "o:invoices,uo:reports,u:export"},
		"o.rol": {o["rol"], "clerk"}, "o.per": {o["per"], "pay,read"}, "o.fpm": {o["fpm"], "1,2"}, "o.slg": {o["slg"], "acme"},
		"org_id": {payload["org_id"], nil}, "azp": {payload["azp"], nil},
	} {
		if test.got != test.want {
			t.Errorf("%s is %v, want %v", name, test.got, test.want)
		}
	}
	if _, payload = parts(emulator.TokenOrder{Pending: true}); payload["sts"] != "pending" {
		t.Errorf("sts of a pending session is %v", payload["sts"])
	}
	if _, payload = parts(emulator.TokenOrder{OrganizationID: org, Version: 1}); payload["org_role"] != "org:clerk" || payload["v"] != nil || payload["fea"] != nil {
		t.Errorf("version 1: %v", payload)
	}
	c.made("/v1/jwt_templates", object{"name": "backend", "claims": object{
		"mail": "{{user.primary_email_address}}", "hello": "Hi {{user.id}}!", "org": []any{object{"id": "{{org.id}}"}}, "none": "{{user.nothing}}",
	}})
	header, payload = parts(emulator.TokenOrder{OrganizationID: org, Template: "backend"})
	if header["cat"] != "cl_B7d4PD222AAA" || payload["sub"] != user || payload["sid"] != nil || payload["mail"] != "ada@example.com" ||
		payload["hello"] != "Hi "+user+"!" || payload["org"].([]any)[0].(object)["id"] != org || payload["none"] != nil || payload["v"] != nil {
		t.Errorf("by template: %v %v", header, payload)
	}
}

// sdkDecode reads header and payload without verifying.
func sdkDecode(t testing.TB, token string) (parts [2]object, err error) {
	t.Helper()
	for i, part := range strings.SplitN(token, ".", 3)[:2] {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return parts, err
		}
		if err := json.Unmarshal(b, &parts[i]); err != nil {
			return parts, err
		}
	}
	return parts, nil
}

func TestSDKMiddleware(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{Seed: 1001}) // the middleware keeps keys for the whole process, by their ids
	other := newClerk(t, emulator.Options{Seed: 1002})
	ada, stranger := c.user("ada@example.com"), other.user("ada@example.com")
	good := c.token(emulator.TokenOrder{UserID: ada})
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	older := c.token(emulator.TokenOrder{UserID: ada})
	c.RotateKeys()
	protected := clerkhttp.RequireHeaderAuthorization(clerkhttp.JWKSClient(jwks.NewClient(config)))(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			claims, _ := sdk.SessionClaimsFromContext(r.Context())
			_, _ = w.Write([]byte(claims.Subject))
		}))
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"good":                      {good, http.StatusOK},
		"of the key before":         {older, http.StatusOK},
		"of the new key":            {c.token(emulator.TokenOrder{UserID: ada}), http.StatusOK},
		"expired":                   {c.token(emulator.TokenOrder{UserID: ada, ExpiresIn: new(-1)}), http.StatusUnauthorized},
		"expired at once":           {c.token(emulator.TokenOrder{UserID: ada, ExpiresIn: new(-3600)}), http.StatusUnauthorized},
		"of another instance":       {other.token(emulator.TokenOrder{UserID: stranger}), http.StatusUnauthorized},
		"with another's signature":  {header + "." + payload + "." + strings.Split(older, ".")[2], http.StatusUnauthorized},
		"with another's payload":    {header + "." + strings.Split(older, ".")[1] + "." + signature, http.StatusUnauthorized},
		"none":                      {"", http.StatusForbidden},
		"garbage, which it ignores": {"garbage", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+test.token)
			w := httptest.NewRecorder()
			protected.ServeHTTP(w, r)
			if w.Code != test.want || test.want == http.StatusOK && w.Body.String() != ada {
				t.Errorf("%d %s, want %d", w.Code, w.Body, test.want)
			}
		})
	}
}

// Keys before the last two are no longer published, and what they signed is refused.
func TestRotatedKeysArePublishedForAWhile(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	ada := c.user("ada@example.com")
	token := c.token(emulator.TokenOrder{UserID: ada, ExpiresIn: new(600)})
	for rotation, accepted := range []bool{true, true, false} {
		if _, err := verify(t, config, token); (err == nil) != accepted {
			t.Errorf("after %d rotations: %v", rotation, err)
		}
		kid := c.call("POST", "/_emulator/keys/rotate", nil)["kid"]
		set := must(jwks.NewClient(config).Get(t.Context(), &jwks.GetParams{}))(t)
		if len(set.Keys) != 2 || set.Keys[1].KeyID != kid {
			t.Errorf("after %d rotations: %s", rotation+1, set.Response.RawJSON)
		}
	}
}

// Tokens live by real time, or no verifier could judge them; the PEM suffices for that.
func TestTokenTimesAreRealOnAnAdvancedClock(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	c.Advance(28 * time.Hour)
	key, err := sdk.JSONWebKeyFromPEM(c.Keys("").PEM)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jwt.Verify(t.Context(), &jwt.VerifyParams{Token: c.token(emulator.TokenOrder{UserID: ada}), JWK: key})
	if err != nil || claims.Subject != ada {
		t.Errorf("claims %+v, error %v", claims, err)
	}
	if at := c.call("GET", "/v1/users/"+ada, nil)["last_sign_in_at"].(float64); time.UnixMilli(int64(at)).Before(time.Now().Add(27 * time.Hour)) {
		t.Error("the sign-in is not at the hour of the instance's clock")
	}
}
