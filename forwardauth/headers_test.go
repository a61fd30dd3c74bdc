package forwardauth_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// userWith returns a stored user whose primary address has this verification, a JSON text.
func userWith(t *testing.T, email, verification string) mirror.User {
	t.Helper()
	address, err := json.Marshal(email)
	if err != nil {
		t.Fatal(err)
	}
	u := mirror.User{Email: email}
	u.SetPrivate(nil, json.RawMessage(`{"primary_email_address_id": "idn_1", "email_addresses": [
		{"id": "idn_0", "email_address": "other@example.com", "verification": {"status": "verified"}},
		{"id": "idn_1", "email_address": `+string(address)+`, "verification": `+verification+`}]}`))
	return u
}

// Anyone can type in the address of someone else: until Clerk has verified it, an application must
// not see it.
func TestUnverifiedEmailIsNotPassedOn(t *testing.T) {
	t.Parallel()
	altered := userWith(t, "ada@example.com", `{"status": "verified"}`)
	altered.Email = "grace@example.com"
	withoutRaw := mirror.User{Email: "ada@example.com"}
	for name, c := range map[string]struct {
		user            mirror.User
		email, verified string
	}{
		"verified":                 {userWith(t, "ada@example.com", `{"status": "verified"}`), "ada@example.com", "true"},
		"unverified":               {userWith(t, "ada@example.com", `{"status": "unverified"}`), "", "false"},
		"expired":                  {userWith(t, "ada@example.com", `{"status": "expired"}`), "", "false"},
		"another case":             {userWith(t, "ada@example.com", `{"status": "Verified"}`), "", "false"},
		"no verification":          {userWith(t, "ada@example.com", `null`), "", "false"},
		"a list":                   {userWith(t, "ada@example.com", `["verified"]`), "", "false"},
		"no body":                  {withoutRaw, "", "false"},
		"a column that was edited": {altered, "", "false"},
		"not plain":                {userWith(t, "ädä@example.com", `{"status": "verified"}`), "", "false"},
		"no address":               {mirror.User{}, "", "false"},
	} {
		h := handler(t, &fake{user: c.user}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
		for _, path := range []string{"/app/x", "/public/x"} {
			header := check(t, h, "GET", verify, nginx, "X-Original-URI: "+path).Header()
			if header.Get("X-Clerk-Email") != c.email || header.Get("X-Clerk-Email-Verified") != c.verified {
				t.Errorf("%s: %q, verified %q", name, header.Get("X-Clerk-Email"), header.Get("X-Clerk-Email-Verified"))
			}
		}
	}
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	header := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x", "X-Test-User: ").Header()
	for _, name := range []string{"X-Clerk-Email", "X-Clerk-Email-Verified", "X-Clerk-Actor"} {
		if values := header[name]; len(values) != 1 || values[0] != "" {
			t.Errorf("nobody: %s %q", name, values)
		}
	}
}

// An application must be able to tell the user from someone who acts in their name.
func TestImpersonationIsShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actor *auth.Actor
		want  string
	}{
		"nobody else":      {nil, ""},
		"a colleague":      {&auth.Actor{Subject: "user_support"}, "user_support"},
		"without a name":   {&auth.Actor{}, "unknown"},
		"of an odd name":   {&auth.Actor{Subject: "user_1, user_2"}, "unknown"},
		"of another class": {&auth.Actor{Subject: "agent_1", Type: "agent"}, "agent_1"},
	} {
		h := handler(t, &fake{actor: c.actor}, forwardauth.Config{TrustedProxies: proxies, IdentitySecret: secret})
		header := check(t, h, "GET", verify, nginx, "X-Original-URI: /x").Header()
		if got := header.Get("X-Clerk-Actor"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got := identityClaims(t, header)["act"]; got != c.want {
			t.Errorf("%s: the signed identity says %q", name, got)
		}
	}
}

func identityClaims(t *testing.T, header http.Header) jwt.MapClaims {
	t.Helper()
	token, err := jwt.Parse(header.Get("X-Clerk-Identity"), func(*jwt.Token) (any, error) { return []byte(secret), nil })
	if err != nil {
		t.Fatal(err)
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	return claims
}

// An application that reads a user's identity must not be able to use it at another one, or where
// other rules hold.
func TestIdentityIsBoundToHostAndRoute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  any
	}{
		{[]string{nginx, "X-Original-URI: /app/x?a=b", "X-Forwarded-Host: app.example.com"}, "clerksync-upstream://app.example.com/app/**"},
		{[]string{nginx, "X-Original-URI: /growth/x", "X-Forwarded-Host: App.Example.com:443"}, "clerksync-upstream://app.example.com/growth/**"},
		{[]string{caddy, "X-Forwarded-Uri: /public/x", "X-Forwarded-Host: app.example.com:8443"}, "clerksync-upstream://app.example.com:8443/public/**"},
		{[]string{caddy, "X-Forwarded-Uri: /open", "X-Forwarded-Host: [::1]:80"}, "clerksync-upstream://[::1]/open"},
		{[]string{nginx, "X-Original-URI: /app/x"}, "clerksync-upstream://example.com/app/**"}, // Host
	} {
		h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, IdentitySecret: secret})
		header := check(t, h, "GET", verify, c.lines...).Header()
		if got := identityClaims(t, header)["aud"]; got != c.want {
			t.Errorf("%v: %v, want %v", c.lines, got, c.want)
		}
	}
	h := handler(t, &fake{}, forwardauth.Config{TrustedProxies: proxies, IdentitySecret: secret})
	header := check(t, h, "GET", verify, nginx, "X-Original-URI: /anything/at/all").Header()
	if got := identityClaims(t, header)["aud"]; got != "clerksync-upstream://example.com/**" {
		t.Errorf("without a policy: %v", got)
	}
	for _, host := range []string{"app.example.com/admin", "a b", "a@b", "a,b", "ä.example", "a?b", "a#b", `a"b`} {
		header := check(t, h, "GET", verify, nginx, "X-Original-URI: /x", "X-Forwarded-Host: "+host).Header()
		if got := header.Get("X-Clerk-Identity"); got != "" {
			t.Errorf("an identity for the host %q", host)
		}
	}
}

// The header follows Clerk, although Clerk is not read for each request.
func TestEmailHeaderFollowsClerk(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, c.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	ada := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	token := c.TokenFor(clerktest.TokenOptions{UserID: ada, Actor: map[string]any{"sub": "user_support"}})
	h := handlerOf(t, m, forwardauth.Config{TrustedProxies: proxies})
	var object map[string]any
	c.Call(http.MethodGet, "/v1/users/"+ada, nil, &object)
	address := object["email_addresses"].([]any)[0].(map[string]any)["verification"].(map[string]any)
	at := object["updated_at"].(float64)
	for i, status := range []string{"verified", "unverified", "verified"} {
		address["status"], object["updated_at"] = status, at+float64(i)
		body, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Users().Apply(t.Context(), body); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			header := check(t, h, "GET", verify, nginx, "X-Original-URI: /x", "Authorization: Bearer "+token).Header()
			want := map[string]string{"verified": "ada@example.com"}[status]
			if header.Get("X-Clerk-Email") != want || header.Get("X-Clerk-Email-Verified") != strconv.FormatBool(want != "") || header.Get("X-Clerk-Actor") != "user_support" {
				t.Errorf("%s: %v", status, header)
			}
		}
	}
}
