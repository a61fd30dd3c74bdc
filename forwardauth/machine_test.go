package forwardauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
)

// The headers say who calls if that is no user, and never name a user who is not the caller.
func TestMachinesInHeaders(t *testing.T) {
	t.Parallel()
	policy := parsePolicy(t, `{"routes":[{"path":"/x","require":{"accept":["session","api_key","oauth","m2m"]}}]}`)
	for name, test := range map[string]struct {
		claims *auth.Claims
		want   map[string]string
	}{
		"a machine": {
			&auth.Claims{Kind: auth.M2M, Subject: "mch_1", MachineID: "mch_1", Scopes: []string{"deals:read", "deals:write"}},
			map[string]string{"X-Clerk-Token-Kind": "m2m", "X-Clerk-Machine-Id": "mch_1", "X-Clerk-Scopes": "deals:read deals:write"},
		},
		"the key of an organization": {
			&auth.Claims{Kind: auth.APIKey, Subject: "org_1", CreatedBy: "user_2", Organization: &auth.ActiveOrganization{ID: "org_1"}},
			map[string]string{"X-Clerk-Token-Kind": "api_key", "X-Clerk-Org-Id": "org_1"},
		},
		"the key of a user": {
			&auth.Claims{Kind: auth.APIKey, Subject: "user_2", Scopes: []string{"a", "b,c", "d e", "f\r\nX-Clerk-Role: admin"}},
			map[string]string{"X-Clerk-Token-Kind": "api_key", "X-Clerk-User-Id": "user_2", "X-Clerk-Scopes": "a", "X-Clerk-Email-Verified": "false"},
		},
		"an application": {
			&auth.Claims{Kind: auth.OAuth, Subject: "user_2", ClientID: "client_1", Scopes: []string{"openid"}},
			map[string]string{
				"X-Clerk-Token-Kind": "oauth", "X-Clerk-User-Id": "user_2", "X-Clerk-Client-Id": "client_1", "X-Clerk-Scopes": "openid",
				"X-Clerk-Email-Verified": "false",
			},
		},
	} {
		h := handler(t, &fake{machine: test.claims}, forwardauth.Config{Policy: policy, TrustedProxies: proxies, IdentitySecret: secret})
		header := check(t, h, "GET", verify, nginx, "X-Original-URI: /x", "X-Forwarded-Host: example.com").Header()
		for _, field := range forwardauth.Headers() {
			switch field {
			case forwardauth.HeaderIdentity, forwardauth.HeaderRole: // the fake has a role for everyone
			default:
				if got := header.Get(field); got != test.want[field] {
					t.Errorf("%s: %s = %q, want %q", name, field, got, test.want[field])
				}
			}
		}
		id, err := forwardauth.VerifyIdentity(secret, header.Get("X-Clerk-Identity"), forwardauth.Audience{Host: "example.com", Path: "/x"}, time.Now())
		if err != nil || id.Kind != test.claims.Kind || id.UserID != test.want["X-Clerk-User-Id"] || id.MachineID != test.want["X-Clerk-Machine-Id"] ||
			id.Scopes != test.want["X-Clerk-Scopes"] || id.ClientID != test.want["X-Clerk-Client-Id"] {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

// A route accepts session tokens only, unless its rule says so.
func TestRoutesOfAPolicyAcceptSessionsOnly(t *testing.T) {
	t.Parallel()
	policy := parsePolicy(t, `{"routes":[{"path":"/public","public":true},{"path":"/x"},{"path":"/y","require":{"min_role":"solo"}},
		{"path":"/z","require":{"accept":["m2m"],"machine":"mch_1"}}]}`)
	for target, want := range map[string]string{"/public": "session", "/x": "session", "/y": "session", "/z": "m2m"} {
		route, err := policy.Match("GET", target)
		if err != nil {
			t.Fatal(err)
		}
		if got := auth.Accepted(route.Rule).String(); got != want {
			t.Errorf("%s accepts %s, want %s", target, got, want)
		}
	}
}

// The scopes of a resource are those that requests to it or below can be asked for.
func TestOAuthScopes(t *testing.T) {
	t.Parallel()
	policy := parsePolicy(t, `{"routes":[
		{"path":"/mcp","methods":["POST"],"require":{"accept":"oauth","scope":["deals:write","deals:read"]}},
		{"path":"/mcp","require":{"accept":["oauth","m2m"],"any":[{"accept":"oauth","scope":"deals:read"},{"accept":"m2m","scope":"jobs"}]}},
		{"path":"/mcp/*/export","require":{"accept":["session","oauth"],"any":[{"accept":"session"},{"scope":"export"}]}},
		{"path":"/mcp/keys","require":{"accept":"api_key","scope":"keys"}},
		{"path":"/mcp/open","public":true},
		{"path":"/other/**","require":{"accept":"oauth","scope":"other"}},
		{"path":"/other/people","require":{"accept":["session","api_key"],"any":[{"accept":"session"},{"scope":"people"}]}},
		{"path":"/**","require":{"accept":"oauth","scope":"any"}}]}`)
	for url, want := range map[string]string{
		"https://a.example.com/mcp":           "any deals:read deals:write export",
		"https://a.example.com/mcp/":          "any deals:read deals:write export",
		"https://a.example.com/mcp/x":         "any export",
		"https://a.example.com/other":         "other",
		"https://a.example.com/other/further": "other",
		"https://a.example.com/third":         "any",
		"https://a.example.com":               "any deals:read deals:write export other",
	} {
		if got := strings.Join(policy.OAuthScopes(url), " "); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if got := (*forwardauth.Policy)(nil).OAuthScopes("https://a.example.com"); got != nil {
		t.Errorf("without a policy: %q", got)
	}
}
