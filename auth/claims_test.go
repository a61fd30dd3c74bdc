package auth_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// claimsOf verifies a token with this payload and returns its claims.
func claimsOf(t *testing.T, payload any) *auth.Claims {
	t.Helper()
	claims, refusal := verify(t, newVerifier(t, nil), signRS256(t, key(), header(), payload))
	if refusal != "" {
		t.Fatal(refusal)
	}
	return claims
}

func payloadV1() object {
	return with(payload(), object{
		"v": nil, "fea": nil, "pla": nil, "o": nil, "sts": nil,
		"org_id": "org_1", "org_slug": "acme", "org_role": "org:admin",
		"org_permissions": []string{"org:dashboard:manage", "org:dashboard:read", "org:teams:read"},
	})
}

// Both versions give the same identity.
func TestClaims(t *testing.T) {
	t.Parallel()
	want := &auth.Claims{
		Subject: "user_1", SessionID: "sess_1", Issuer: issuer, AuthorizedParty: origin, TokenID: "abc",
		IssuedAt: now, NotBefore: now.Add(-10 * time.Second), ExpiresAt: now.Add(time.Minute),
		Version: 2, Status: "active",
		Organization: &auth.ActiveOrganization{
			ID: "org_1", Slug: "acme", Role: "org:admin",
			Permissions: []string{"org:dashboard:manage", "org:dashboard:read", "org:teams:read"},
		},
		Features:   auth.Scoped{Organization: []string{"dashboard", "teams"}, Present: true},
		Plans:      auth.Scoped{User: []string{"free"}, Organization: []string{"pro"}, Present: true},
		FactorAges: &[2]int{3, -1},
		Raw:        json.RawMessage(text(t, payload())),
	}
	v2 := claimsOf(t, payload())
	if diff := cmp.Diff(want, v2); diff != "" {
		t.Error(diff)
	}
	v1 := claimsOf(t, payloadV1())
	// Version 1 has no features and plans; everything else, the identity, is the same.
	if diff := cmp.Diff(v2, v1, cmpopts.IgnoreFields(auth.Claims{}, "Version", "Features", "Plans", "Raw")); diff != "" {
		t.Error(diff)
	}
	if v1.Version != 1 {
		t.Errorf("version %d", v1.Version)
	}
	if diff := cmp.Diff(auth.Scoped{}, v1.Features); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsOrganization(t *testing.T) {
	t.Parallel()
	o := func(changes object) object {
		return object{"o": with(object{"id": "org_1", "rol": "admin", "per": "read", "fpm": "1"}, changes)}
	}
	only := func(id, role string, permissions ...string) *auth.ActiveOrganization {
		return &auth.ActiveOrganization{ID: id, Role: role, Permissions: permissions}
	}
	v1 := with(payloadV1(), object{"org_slug": nil, "org_permissions": nil})
	for _, test := range []struct {
		name    string
		payload object
		want    *auth.ActiveOrganization
	}{
		{"plain", with(payload(), o(nil)), only("org_1", "org:admin", "org:dashboard:read")},
		{"role with prefix", with(payload(), o(object{"rol": "org:admin"})), only("org_1", "org:admin", "org:dashboard:read")},
		{"role missing", with(payload(), o(object{"rol": nil})), only("org_1", "", "org:dashboard:read")},
		{"role empty", with(payload(), o(object{"rol": ""})), only("org_1", "", "org:dashboard:read")},
		{"role only a prefix", with(payload(), o(object{"rol": "org:"})), only("org_1", "", "org:dashboard:read")},
		{"role a list", with(payload(), o(object{"rol": []string{"admin"}})), only("org_1", "", "org:dashboard:read")},
		{"role as ROL", with(payload(), o(object{"rol": nil, "ROL": "admin"})), only("org_1", "", "org:dashboard:read")},
		{"id missing", with(payload(), o(object{"id": nil})), nil},
		{"id empty", with(payload(), o(object{"id": ""})), nil},
		{"o missing", with(payload(), object{"o": nil}), nil},
		{"o null", with(payload(), object{"o": raw("null")}), nil},
		{"o text", with(payload(), object{"o": "org_1"}), nil},
		{"o a list", with(payload(), object{"o": []string{"org_1"}}), nil},
		{"per a list", with(payload(), o(object{"per": []string{"read"}})), only("org_1", "org:admin")},
		{"fpm a number", with(payload(), o(object{"fpm": 1})), only("org_1", "org:admin")},
		{"fea a list", with(with(payload(), o(nil)), object{"fea": []string{"o:dashboard"}}), only("org_1", "org:admin")},
		{"version 2 with claims of version 1", with(payload(), object{"o": nil, "org_id": "org_2"}), nil},
		{"version 1 with claims of version 2", with(payload(), object{"v": nil}), nil},
		{"version text", with(payload(), object{"v": "2"}), nil},
		{"version unknown", with(payload(), object{"v": 3}), nil},
		{"v1 role without prefix", with(v1, object{"org_role": "admin"}), only("org_1", "org:admin")},
		{"v1 without role", with(v1, object{"org_role": nil}), only("org_1", "")},
		{"v1 permissions malformed", with(v1, object{"org_permissions": []any{"org:a:read", 5}}), only("org_1", "org:admin")},
		{"v1 permissions text", with(v1, object{"org_permissions": "org:a:read"}), only("org_1", "org:admin")},
		{"v1 without organization", with(v1, object{"org_id": nil}), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := claimsOf(t, test.payload).Organization
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An absent claim must not be read as "just now". The official SDK reads [0,0], with which a
// step-up rule passes.
func TestClaimsFactorAges(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]*[2]int{
		`null`: nil, `[]`: nil, `[0]`: nil, `[0,0,0]`: nil, `["0","0"]`: nil, `[0,null]`: nil, `[-2,0]`: nil, `[0.5,0]`: nil,
		`[0,99999999999999999999]`: nil, `{"0":0,"1":0}`: nil, `"0,0"`: nil, `0`: nil,
		`[0,0]`: {0, 0}, `[-1,-1]`: {-1, -1}, `[ 7 , -1 ]`: {7, -1},
	} {
		if diff := cmp.Diff(want, claimsOf(t, with(payload(), object{"fva": raw(value)})).FactorAges); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
	if got := claimsOf(t, with(payload(), object{"fva": nil})).FactorAges; got != nil {
		t.Errorf("absent: %v", got)
	}
}

// A claim act of any form sets Actor.
func TestClaimsActor(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]*auth.Actor{
		`null`: nil,
		`{"sub":"user_9","iss":"https://x","sid":"sess_9"}`: {Subject: "user_9", Issuer: "https://x", SessionID: "sess_9"},
		`{"sub":"agent_1","type":"agent"}`:                  {Subject: "agent_1", Type: "agent"},
		`{"sub":5}`:                                         {},
		`{}`:                                                {},
		`"user_9"`:                                          {},
		`false`:                                             {},
	} {
		if diff := cmp.Diff(want, claimsOf(t, with(payload(), object{"act": raw(value)})).Actor); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}

func TestClaimsDecode(t *testing.T) {
	t.Parallel()
	claims := claimsOf(t, with(payload(), object{"metadata": object{"role": "growth", "seats": 12}}))
	var custom struct {
		Metadata struct {
			Role  string `json:"role"`
			Seats int    `json:"seats"`
		} `json:"metadata"`
	}
	if err := claims.Decode(&custom); err != nil || custom.Metadata.Role != "growth" || custom.Metadata.Seats != 12 {
		t.Errorf("%+v, %v", custom, err)
	}
	var wrong struct {
		Metadata int `json:"metadata"`
	}
	if err := claims.Decode(&wrong); err == nil {
		t.Error("an object decoded into a number")
	}
}
