package clerksync_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
)

const machineResource = "https://api.example.com/mcp"

var machineKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newMachineGate is a gate whose instance signs with a key of this test.
func newMachineGate(t *testing.T, changes ...func(*clerksync.Config)) *gate {
	t.Helper()
	return newMachineGateAt(t, clerktest.New(t), filepath.Join(t.TempDir(), "clerk.db"), changes...)
}

func newMachineGateAt(t *testing.T, c *clerktest.Clerk, path string, changes ...func(*clerksync.Config)) *gate {
	t.Helper()
	g := openMachineGateAt(t, c, path, changes...)
	c.SendTo(g.m.WebhookHandler())
	return g
}

// openMachineGateAt is a gate that hears no webhooks yet.
func openMachineGateAt(t *testing.T, c *clerktest.Clerk, path string, changes ...func(*clerksync.Config)) *gate {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(&machineKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return openGateAt(t, c, path, append([]func(*clerksync.Config){func(c *clerksync.Config) {
		c.StalePolicy, c.JWTKey = clerksync.StaleTrust, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
		c.OAuthResources, c.MachineCallers = []string{machineResource}, map[string][]string{"mch_1": {"deals:read"}}
	}}, changes...)...)
}

// sign returns a JWT of the instance.
func (g *gate) sign(header, claims map[string]any) string {
	g.Helper()
	now := time.Now().Unix()
	all := map[string]any{"iss": g.clerk.Keys().Issuer, "iat": now, "nbf": now, "exp": now + 3600, "jti": "jti_1"}
	maps.Copy(all, claims)
	header["alg"] = "RS256"
	var parts []string
	for _, part := range []map[string]any{header, all} {
		text, err := json.Marshal(part)
		if err != nil {
			g.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, machineKey(), crypto.SHA256, digest[:])
	if err != nil {
		g.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (g *gate) accessToken(claims map[string]any) string {
	all := map[string]any{"client_id": "client_1", "aud": machineResource, "scope": "deals:read"}
	maps.Copy(all, claims)
	return g.sign(map[string]any{"typ": "at+jwt"}, all)
}

// Clerk does not end OAuth access tokens when the user is banned or leaves the organization. The
// mirror refuses them with the next request.
func TestOAuthTokensEndWithTheirUser(t *testing.T) {
	t.Parallel()
	rule := auth.All(auth.Accept(auth.OAuth), auth.Scope("deals:read"))
	for name, test := range map[string]struct {
		deed func(g *gate, user, organization string)
		code string
	}{
		"banned":                    {func(g *gate, user, _ string) { g.clerk.Ban(user) }, "user_inactive"},
		"locked":                    {func(g *gate, user, _ string) { g.clerk.Lock(user) }, "user_inactive"},
		"deleted":                   {func(g *gate, user, _ string) { g.clerk.DeleteUser(user) }, "user_inactive"},
		"no member any more":        {func(g *gate, user, organization string) { g.clerk.RemoveMember(organization, user) }, "organization_inactive"},
		"the organization is gone":  {func(g *gate, _, organization string) { g.clerk.DeleteOrganization(organization) }, "organization_inactive"},
		"the sessions are revoked":  {func(g *gate, user, _ string) { g.clerk.SignOut(user) }, ""},
		"another organization ends": {func(g *gate, user, _ string) { g.clerk.DeleteOrganization(g.clerk.CreateOrganization("Other", user)) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newMachineGate(t)
			user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
			organization := g.clerk.CreateOrganization("Engines", user)
			g.clerk.Settle()
			token := g.accessToken(map[string]any{"sub": user, "org_id": organization})
			g.passes(token, auth.All(rule, auth.MinRole("growth"), auth.Permission("org:sys_memberships:manage"), auth.OrgRole("admin")))
			g.passes(token, rule) // both facts and token are remembered now
			test.deed(g, user, organization)
			g.clerk.Settle()
			if test.code == "" {
				g.passes(token, rule)
				return
			}
			g.refused(token, rule, http.StatusUnauthorized, test.code)
		})
	}
}

// Of a user who is known only from a membership it is not known whether the user is locked. So a
// machine token of the user does not count until the user was read.
func TestMachineTokensOfUsersKnownFromOtherObjects(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	locked, active := c.CreateUser(clerktest.User{Email: "ada@example.com"}), c.CreateUser(clerktest.User{Email: "grace@example.com"})
	c.Lock(locked)
	path := filepath.Join(t.TempDir(), "clerk.db")
	g := newMachineGateAt(t, c, path, func(c *clerksync.Config) { c.DisableOnDemandUsers = true })
	c.CreateOrganization("Engines", locked)
	c.CreateOrganization("Looms", active)
	c.Settle()
	accept := auth.Accept(auth.OAuth)
	for _, user := range []string{locked, active} {
		stored, err := g.m.Users().ByClerkID(t.Context(), user)
		if err != nil || !stored.Stub {
			t.Fatalf("stored: %+v, %v", stored, err)
		}
		g.refused(g.accessToken(map[string]any{"sub": user}), accept, http.StatusUnauthorized, "user_not_registered")
	}
	g = newMachineGateAt(t, c, path) // which reads users from Clerk
	g.passes(g.accessToken(map[string]any{"sub": active}), accept)
	g.refused(g.accessToken(map[string]any{"sub": locked}), accept, http.StatusUnauthorized, "user_inactive")
}

// While the mirror is not proven to be fresh, a machine token does not count before its user and
// the membership were read: it may have missed that the user is banned.
func TestMachineTokensWhileTheMirrorIsNotProven(t *testing.T) {
	t.Parallel()
	accept := auth.Accept(auth.OAuth)
	for name, test := range map[string]struct {
		missed func(g *gate, user, organization string)
		status int
		code   string
	}{
		"nothing":     {func(*gate, string, string) {}, 200, ""},
		"a ban":       {func(g *gate, user, _ string) { g.clerk.Ban(user) }, 401, "user_inactive"},
		"a lock":      {func(g *gate, user, _ string) { g.clerk.Lock(user) }, 401, "user_inactive"},
		"a deletion":  {func(g *gate, user, _ string) { g.clerk.DeleteUser(user) }, 401, "user_not_registered"},
		"its removal": {func(g *gate, user, organization string) { g.clerk.RemoveMember(organization, user) }, 401, "organization_inactive"},
		"the end of the organization": {
			func(g *gate, _, organization string) { g.clerk.DeleteOrganization(organization) }, 401, "organization_inactive",
		},
		"a ban during an outage": {func(g *gate, user, _ string) {
			g.clerk.Ban(user)
			g.clerk.SetFaults(clerktest.Faults{API: clerktest.APIFaults{ServerError: 1}})
		}, 503, "verification_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clerktest.New(t)
			path := filepath.Join(t.TempDir(), "clerk.db")
			g := openMachineGateAt(t, c, path, func(c *clerksync.Config) { c.StalePolicy = clerksync.StaleAskClerk })
			var deaf atomic.Bool
			c.SendTo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !deaf.Load() {
					g.m.WebhookHandler().ServeHTTP(w, r)
				}
			}))
			user := c.CreateUser(clerktest.User{Email: "ada@example.com"})
			organization := c.CreateOrganization("Engines", user)
			c.Settle()
			deaf.Store(true)
			test.missed(g, user, organization)
			token := g.accessToken(map[string]any{"sub": user, "org_id": organization})
			for range 3 {
				if test.status == http.StatusOK {
					g.passes(token, accept)
				} else {
					g.refused(token, accept, test.status, test.code)
				}
			}
		})
	}
}

// Where nothing unproven may count, a machine token waits until the mirror is ready. The token of a
// machine depends on nothing that is stored.
func TestMachineTokensWhileNothingUnprovenCounts(t *testing.T) {
	t.Parallel()
	g := openMachineGateAt(t, clerktest.New(t), filepath.Join(t.TempDir(), "clerk.db"), func(c *clerksync.Config) { c.StalePolicy = clerksync.StaleDeny })
	g.clerk.SendTo(g.m.WebhookHandler())
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	g.clerk.Settle()
	token, accept := g.accessToken(map[string]any{"sub": user}), auth.Accept(auth.OAuth, auth.M2M)
	g.refused(token, accept, http.StatusServiceUnavailable, "verification_unavailable")
	g.passes(g.sign(map[string]any{"typ": "JWT", "cat": "cl_B7d4PD333AAA"}, map[string]any{"sub": "mch_1"}), accept)
	if _, err := g.m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	g.passes(token, accept)
}

// A route accepts the kinds that its rule names, and says how to authenticate.
func TestRoutesAcceptTheKindsThatTheyName(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t)
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	g.clerk.Settle()
	now := time.Now().Unix()
	tokens := map[string]string{
		"session": g.sign(map[string]any{"typ": "JWT", "cat": "cl_B7d4PD111AAA"}, map[string]any{"sub": user, "sid": "sess_1", "v": 2, "exp": now + 60}),
		"oauth":   g.accessToken(map[string]any{"sub": user}),
		"m2m":     g.sign(map[string]any{"typ": "JWT", "cat": "cl_B7d4PD333AAA"}, map[string]any{"sub": "mch_1", "scopes": "admin"}),
		"api_key": "ak_2dE4fG1hI6jK8lM0nO1pQ3rS5tU7vW9xY0zA2bC4dE6f",
	}
	for _, test := range []struct {
		token     string
		rule      auth.Rule
		status    int
		reason    string
		challenge string
	}{
		{"session", nil, 200, "", ""},
		{"oauth", nil, 401, "kind", `Bearer error="invalid_token"`},
		{"m2m", nil, 401, "kind", `Bearer error="invalid_token"`},
		{"api_key", nil, 401, "kind", `Bearer error="invalid_token"`},
		{"session", auth.Accept(auth.OAuth), 401, "kind", `Bearer error="invalid_token"`},
		{"oauth", auth.Accept(auth.OAuth), 200, "", ""},
		{"m2m", auth.Accept(auth.OAuth), 401, "kind", `Bearer error="invalid_token"`},
		{"m2m", auth.Accept(auth.M2M), 200, "", ""},
		{"m2m", auth.All(auth.Accept(auth.M2M), auth.Machine("mch_2")), 403, "machine", ""},
		{"m2m", auth.All(auth.Accept(auth.M2M), auth.Scope("admin")), 403, "scope", `Bearer error="insufficient_scope", scope="admin"`},
		{"m2m", auth.All(auth.Accept(auth.M2M, auth.OAuth), auth.MinRole("solo")), 403, "role", ""},
		{"session", auth.Accept(auth.Session, auth.M2M), 200, "", ""},
		{"", auth.Accept(auth.M2M), 401, "", "Bearer"},
	} {
		w, problem := g.try(tokens[test.token], test.rule, nil)
		if reason, _ := problem["reason"].(string); w.Code != test.status || reason != test.reason || w.Header().Get("WWW-Authenticate") != test.challenge {
			t.Errorf("%s at %v: %d %q %q, want %d %q %q", test.token, test.rule, w.Code, reason, w.Header().Get("WWW-Authenticate"), test.status,
				test.reason, test.challenge)
		}
	}
	w, _ := g.try("", auth.Accept(auth.OAuth), func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__session", Value: tokens["oauth"]}) })
	if w.Code != http.StatusUnauthorized {
		t.Errorf("an access token in a cookie: %d", w.Code)
	}
}

// A machine is no user: nothing in the context may be taken for one.
func TestAMachineIsNoUser(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t)
	token := g.sign(map[string]any{"typ": "JWT"}, map[string]any{"sub": "mch_1"})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	caller, err := g.m.Authorize(r, auth.Accept(auth.M2M))
	if err != nil {
		t.Fatal(err)
	}
	if caller.User.ID != "" || caller.Claims.MachineID != "mch_1" || caller.Session != nil || caller.EmailVerified() {
		t.Errorf("%+v", caller)
	}
	if w, _ := g.try(token, auth.All(auth.Accept(auth.M2M), auth.Func("user", func(*auth.Subject) auth.Decision {
		return auth.Allow()
	})), nil); w.Code != http.StatusOK || w.Body.String() != "" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
