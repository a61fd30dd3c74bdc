package auth_test

import (
	"context"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"
	clerkjwt "github.com/clerk/clerk-sdk-go/v2/jwt"
	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// permissionPayload returns a payload with the claims about permissions only.
func permissionPayload(features, names, masks string) object {
	o := object{"id": "org_1", "rol": "admin", "per": names, "fpm": masks}
	return with(payload(), object{"fea": features, "pla": nil, "o": o})
}

// The published examples.
func TestPermissionsAsDocumented(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, features, names, masks, want string }{
		{"documentation", "o:dashboard,o:teams", "manage,read", "3,2", "dashboard:manage dashboard:read teams:read"},
		{
			"two features", "o:repositories,o:projects", "read,create,update,delete,revoke", "7,21",
			"repositories:read repositories:create repositories:update projects:read projects:update projects:revoke",
		},
		{
			"a zero mask keeps alignment", "o:repositories,o:impersonation,o:billing", "manage,read,update", "6,0,3",
			"repositories:read repositories:update billing:manage billing:read",
		},
		{
			"mixed scopes", "o:repositories,uo:projects,u:goldprofileborder", "read,create,update,delete,revoke", "7,21,0",
			"repositories:read repositories:create repositories:update projects:read projects:update projects:revoke",
		},
		{"fewer masks than features", "o:a,o:b,o:c,o:d", "read,manage", "1,2,3", "a:read b:manage c:read c:manage"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkPermissions(t, test.features, test.names, test.masks, test.want)
			// Compare with Clerk's own SDK.
			token := signRS256(t, key(), header(), permissionPayload(test.features, test.names, test.masks))
			claims, err := clerkjwt.Verify(t.Context(), &clerkjwt.VerifyParams{
				Token: token, Clock: clock{}, JWK: &clerk.JSONWebKey{Key: &key().PublicKey, Algorithm: "RS256", KeyID: kid},
			})
			if err != nil {
				t.Fatal(err)
			}
			ours := claimsOf(t, permissionPayload(test.features, test.names, test.masks))
			if diff := cmp.Diff(claims.ActiveOrganizationPermissions, ours.Organization.Permissions); diff != "" {
				t.Error(diff)
			}
			if claims.ActiveOrganizationRole != ours.Organization.Role || claims.ActiveOrganizationID != ours.Organization.ID {
				t.Errorf("%+v, want %+v", ours.Organization, claims)
			}
		})
	}
}

// A malformed claim grants nothing.
func TestPermissionsMalformed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, features, names, masks, want string }{
		{"user feature first: positions count in the whole list", "u:gold,o:a,o:b", "read,manage", "3,1,2", "a:read b:manage"},
		{"both scopes, either order", "ou:a,uo:b", "read", "1,1", "a:read b:read"},
		{"user scope only", "u:a", "read", "1", ""},
		{"scope that contains an o", "foo:a,oo:b,org:c,O:d", "read", "1,1,1,1", ""},
		{"no scope", "a,:b,o:c", "read", "1,1,1", "c:read"},
		{"slug empty", "o:,o:b", "read", "1,1", "b:read"},
		{"slug with a colon", "o:a:b,o:c", "read", "1,1", "c:read"},
		{"name empty", "o:a", "read,,manage", "7", "a:read a:manage"},
		{"name with a colon", "o:a", "x:read,manage", "3", "a:manage"},
		{"mask with a letter", "o:a,o:b", "read", "1x,1", "b:read"},
		{"mask negative", "o:a,o:b", "read", "-1,1", "b:read"},
		{"mask with plus", "o:a,o:b", "read", "+1,1", "b:read"},
		{"mask with fraction", "o:a,o:b", "read", "1.5,1", "b:read"},
		{"mask with exponent", "o:a,o:b", "read", "1e1,1", "b:read"},
		{"mask with underscore", "o:a,o:b", "read", "1_0,1", "b:read"},
		{"mask in hexadecimal", "o:a,o:b", "read", "0x1,1", "b:read"},
		{"mask with space", "o:a,o:b", "read", " 1,1", "b:read"},
		{"mask in other digits", "o:a,o:b", "read", "١,1", "b:read"},
		{"mask empty", "o:a,o:b", "read", ",1", "b:read"},
		{"bits beyond the names", "o:a", "read,manage", "255", "a:read a:manage"},
		{"more masks than features", "o:a", "read", "1,1,1", "a:read"},
		{"no features", "", "read", "1", ""},
		{"no names", "o:a", "", "1", ""},
		{"no masks", "o:a", "read", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkPermissions(t, test.features, test.names, test.masks, test.want)
		})
	}
}

// Masks of more than 64 bits do not fit into an integer.
func TestPermissionsLong(t *testing.T) {
	t.Parallel()
	const count = 300
	names := make([]string, count)
	mask, want := new(big.Int), []string(nil)
	for i := range names {
		names[i] = "p" + big.NewInt(int64(i)).String()
		if i%3 == 0 || i == 63 || i == 64 || i == count-1 {
			mask.SetBit(mask, i, 1)
			want = append(want, "f:"+names[i])
		}
	}
	checkPermissions(t, "o:f", strings.Join(names, ","), mask.String(), strings.Join(want, " "))
}

// checkPermissions compares permissions with want, a list without the prefix "org:".
func checkPermissions(t *testing.T, features, names, masks, want string) {
	t.Helper()
	list := strings.Fields(want)
	for i := range list {
		list[i] = "org:" + list[i]
	}
	got := claimsOf(t, permissionPayload(features, names, masks)).Organization.Permissions
	if diff := cmp.Diff(list, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestScopedLists(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fea  any
		want auth.Scoped
	}{
		{nil, auth.Scoped{}},
		{"", auth.Scoped{Present: true}},
		{"u:a,o:b,uo:c,ou:d", auth.Scoped{User: []string{"a", "c", "d"}, Organization: []string{"b", "c", "d"}, Present: true}},
		{"u:a,x:e,:g,o:,o:h:i, o:j", auth.Scoped{User: []string{"a"}, Present: true}},
		{"u:a,f,o:b", auth.Scoped{User: []string{"a"}, Organization: []string{"b"}, Present: true, Malformed: true}},
		{"u:a,", auth.Scoped{User: []string{"a"}, Present: true, Malformed: true}},
		{[]string{"u:a"}, auth.Scoped{Present: true, Malformed: true}},
		{raw("null"), auth.Scoped{Present: true, Malformed: true}},
	} {
		claims := claimsOf(t, with(payload(), object{"fea": test.fea, "pla": test.fea}))
		for name, got := range map[string]auth.Scoped{"fea": claims.Features, "pla": claims.Plans} {
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s %v: %s", name, test.fea, diff)
			}
		}
	}
}

// Whatever the three lists contain, every granted permission is a feature of the organization with
// a known name.
func FuzzPermissions(f *testing.F) {
	f.Add("o:dashboard,o:teams", "manage,read", "3,2")
	f.Add("u:gold,uo:a,foo:b", "read,,x:y", "1,-1,99999999999999999999999999")
	v, err := auth.NewVerifier(auth.Config{Keys: anySignature{}, Now: clock{}.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, features, names, masks string) {
		names = strings.ToValidUTF8(names, "") // what is not UTF-8 would not arrive as it was sent
		token := unsigned(t, header(), permissionPayload(features, names, masks)) + "."
		claims, err := v.Verify(t.Context(), token)
		if err != nil {
			return // too large
		}
		for _, permission := range claims.Organization.Permissions {
			part := strings.Split(permission, ":")
			if len(part) != 3 || part[0] != "org" || !slices.Contains(claims.Features.Organization, part[1]) ||
				!slices.Contains(strings.Split(names, ","), part[2]) {
				t.Errorf("granted %q", permission)
			}
		}
	})
}

// anySignature accepts every signature, so that a fuzz target need not sign.
type anySignature struct{}

func (anySignature) Algorithm() string { return auth.RS256 }

func (anySignature) VerifySignature(context.Context, string, []byte, []byte) error { return nil }
