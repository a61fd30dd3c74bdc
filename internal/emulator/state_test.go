package emulator_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/jwt"

	"github.com/clerksync/clerksync/internal/emulator"
)

// populated is an instance that has something of everything.
func populated(t *testing.T) *clerk {
	t.Helper()
	c := newClerk(t, emulator.Options{Users: 3})
	c.listen(nil)
	user, org := member(t, c)
	other := c.user("bob@example.com")
	c.call("PATCH", "/v1/users/"+user+"/metadata", object{"public_metadata": object{"n": 1.5}, "private_metadata": object{"deep": object{"x": nil, "y": 1}}})
	c.call("POST", "/v1/users/"+other+"/lock", nil)
	c.signIn(user, object{"organization_id": org, "actor": object{"sub": "user_admin"}})
	c.signIn(user, object{"pending": true})
	base := "/v1/organizations/" + org
	c.made(base+"/invitations", object{"email_address": "x@example.com", "role": "org:member", "inviter_user_id": user})
	c.made(base+"/domains", object{"name": "acme.example", "verified": true})
	c.made("/v1/invitations", object{"email_address": "y@example.com"})
	c.made("/v1/jwt_templates", object{"name": "backend", "claims": object{"a": "{{user.id}}"}})
	c.made("/v1/jwt_templates", object{"name": "hasura", "custom_signing_key": true, "signing_algorithm": "HS256", "signing_key": strings.Repeat("k", 32)})
	c.made("/v1/actor_tokens", object{"user_id": user, "actor": object{"sub": "user_admin"}})
	c.RotateKeys()
	c.Advance(30 * time.Minute)
	return c
}

// view is what GET returns of everything.
func (c *clerk) view() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	look := func(path string) {
		a := c.do("GET", "/v1"+path, nil)
		if a.status != 200 {
			c.t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
		all[path] = string(a.body)
	}
	for _, path := range []string{
		"/users?limit=500&order_by=last_active_at", "/organizations?include_members_count=true", "/organization_memberships", "/organization_invitations", "/organization_domains",
		"/organization_roles?limit=500", "/organization_permissions?limit=500", "/invitations", "/jwt_templates", "/jwks",
	} {
		look(path)
	}
	for _, u := range c.list("/v1/users?limit=500") {
		look("/sessions?user_id=" + u["id"].(string))
		if u["username"] == nil && c.do("GET", "/v1/users/"+u["id"].(string)+"/billing/subscription", nil).status == 200 {
			look("/users/" + u["id"].(string) + "/billing/subscription")
		}
	}
	return all
}

func (c *clerk) save(path string) {
	c.t.Helper()
	if err := c.Save(path); err != nil {
		c.t.Fatal(err)
	}
}

// restored is an instance that took over a file. Whatever it was before is another's.
func restored(t *testing.T, file string) *clerk {
	t.Helper()
	c := newClerk(t, emulator.Options{Seed: 77, Users: 2})
	if err := c.Load(file); err != nil {
		t.Fatal(err)
	}
	if secret := c.Keys("").WebhookSecret; secret != webhookSecret {
		t.Errorf("webhook secret %q", secret)
	}
	c.key = c.Keys("").SecretKey
	return c
}

func TestStateIsKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	c := populated(t)
	user := c.list("/v1/users?email_address=ada@example.com")[0]["id"].(string)
	old := c.token(emulator.TokenOrder{UserID: user})
	c.save(file)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	d := restored(t, file)
	before, after := c.view(), d.view()
	if len(before) != len(after) {
		t.Errorf("%d views, %d before", len(after), len(before))
	}
	for path, want := range before {
		if got := lockless(after[path]); got != lockless(want) {
			t.Errorf("%s:\n%s\nbefore:\n%s", path, got, lockless(want))
		}
	}
	keys, want := d.Keys(""), c.Keys("")
	if keys.WebhookSecret = webhookSecret; keys != want { // the endpoint is not in the file: who starts it names it
		t.Errorf("keys %+v, before %+v", keys, want)
	}
	if ahead := d.Now().Sub(c.Now()).Abs(); ahead > 2*time.Second {
		t.Errorf("the clocks are %s apart", ahead)
	}
	key, err := sdk.JSONWebKeyFromPEM(keys.PEM)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"an old token": old, "a new token": d.token(emulator.TokenOrder{UserID: user})} {
		if claims, err := jwt.Verify(t.Context(), &jwt.VerifyParams{Token: token, JWK: key}); err != nil || claims.Subject != user {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lockless cuts out how long a lock lasts, which passes by the second.
func lockless(text string) string {
	before, rest, found := strings.Cut(text, `"lockout_expires_in_seconds":1`)
	if !found {
		return text
	}
	_, after, _ := strings.Cut(rest, ",")
	return before + after
}

// What the seed decides continues after a restart: no id is given twice.
func TestRandomSequenceGoesOn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	c := populated(t)
	c.save(file)
	d := restored(t, file)
	d.listen(nil) // events have ids too
	for i := range 3 {
		name := object{"username": strings.Repeat("x", i+4)}
		if a, b := c.made("/v1/users", name), d.made("/v1/users", name); a != b {
			t.Errorf("user %s, without the restart %s", b, a)
		}
	}
}

// What hangs together before still does after.
func TestRestoredObjectsHangTogether(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	populated(t).save(file)
	c := restored(t, file)
	user := c.list("/v1/users?email_address=ada@example.com")[0]["id"].(string)
	org := c.list("/v1/organizations")[0]["id"].(string)
	c.refused(422, "form_identifier_exists", "POST", "/v1/users", object{"email_address": []string{"ada@example.com"}})
	permission := c.list("/v1/organization_permissions?query=invoices:pay")[0]["id"].(string)
	c.call("PATCH", "/v1/organization_permissions/"+permission, object{"key": "org:invoices:settle"})
	parts, err := sdkDecode(t, c.token(emulator.TokenOrder{UserID: user, OrganizationID: org}))
	if err != nil {
		t.Fatal(err)
	}
	if o := parts[1]["o"].(object); o["per"] != "settle,read" || parts[1]["fea"] != "o:invoices,uo:reports,u:export" {
		t.Errorf("claims %v", parts[1])
	}
	c.token(emulator.TokenOrder{UserID: user, Template: "hasura"})
	c.call("DELETE", "/v1/organizations/"+org, nil)
	for _, s := range c.list("/v1/sessions?user_id=" + user) {
		if s["last_active_organization_id"] != nil {
			t.Errorf("session %v", s)
		}
	}
	locked := c.list("/v1/users?email_address=bob@example.com")[0]
	if c.Advance(time.Hour); locked["locked"] != true || c.call("GET", "/v1/users/"+locked["id"].(string), nil)["locked"] != false {
		t.Error("the lock does not end")
	}
}

func TestStateIsWrittenOnlyAfterAChange(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	c := newClerk(t, emulator.Options{})
	written := func() []byte {
		t.Helper()
		c.save(file)
		b, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if written() == nil {
		t.Error("a new instance is not written: its keys would be others after a restart")
	}
	user := c.user("ada@example.com")
	org := c.organization("Acme", user)
	written()
	for name, change := range map[string]func(){
		"nothing":    func() { c.view() },
		"sign-in":    func() { c.signIn(user, object{}) },
		"metadata":   func() { c.call("PATCH", "/v1/users/"+user+"/metadata", object{"public_metadata": object{"a": 1}}) },
		"template":   func() { c.made("/v1/jwt_templates", object{"name": "x"}) },
		"invitation": func() { c.made("/v1/invitations", object{"email_address": "x@example.com"}) },
		"role":       func() { c.made("/v1/organization_roles", object{"name": "x", "key": "x"}) },
		"actor":      func() { c.made("/v1/actor_tokens", object{"user_id": user, "actor": object{"sub": "x"}}) },
		"plan":       func() { c.call("POST", "/_emulator/subscriptions", object{"payer": org, "plan": "x"}) },
		"key":        func() { c.call("POST", "/_emulator/keys/rotate", nil) },
		"secret":     func() { c.call("POST", "/_emulator/webhooks/rotate", nil) },
		"clock":      func() { c.call("POST", "/_emulator/clock", object{"advance": "1h"}) },
		"endpoint":   func() { c.listen(nil) },
	} {
		if change(); (written() != nil) != (name != "nothing") {
			t.Errorf("%s: written or not", name)
		}
	}
}

func TestBrokenStateIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "state.json")
	c := populated(t)
	c.save(file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	victim := newClerk(t, emulator.Options{})
	id := victim.user("ada@example.com")
	replaced := func(old, next string) string {
		t.Helper()
		if !bytes.Contains(whole, []byte(old)) {
			t.Fatalf("no %s in the state", old)
		}
		return strings.Replace(string(whole), old, next, 1)
	}
	for name, content := range map[string]string{
		"empty":                    "",
		"torn":                     string(whole[:len(whole)/2]),
		"null":                     "null",
		"other JSON":               `[1,2]`,
		"of another version":       replaced(`"version":1`, `"version":2`),
		"without keys":             replaced(`"keys":[`, `"keyz":[`),
		"a broken key":             replaced(`"pkcs8":"M`, `"pkcs8":"A`),
		"a broken random source":   replaced(`"random":"`, `"random":"AAAA`),
		"a user without substance": replaced(`"users":[`, `"users":[{},`),
		"a session of nobody":      replaced(`"sessions":[`, `"sessions":[{"id":"sess_x","user_id":"user_x"},`),
		"an empty session":         replaced(`"sessions":[`, `"sessions":[null,`),
		"a member of nothing":      replaced(`"memberships":[`, `"memberships":[{"membership":{},"user_id":"x","organization_id":"y"},`),
		"an empty role":            replaced(`"roles":[`, `"roles":[null,`),
		"an empty plan":            replaced(`"subscriptions":[`, `"subscriptions":[{"payer":"x","subscription":{}},`),
	} {
		broken := filepath.Join(folder, strings.ReplaceAll(name, " ", "_"))
		if err := os.WriteFile(broken, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := victim.Load(broken)
		if err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
		if victim.key != victim.Keys("").SecretKey || len(victim.list("/v1/users")) != 1 {
			t.Fatalf("%s: half of it was taken over", name)
		}
	}
	if err := victim.Load(filepath.Join(folder, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	victim.call("GET", "/v1/users/"+id, nil)
	if err := victim.Save(filepath.Join(folder, "absent", "state.json")); err == nil {
		t.Error("saved into a folder that is not there")
	}
	if err := victim.Save(file); err != nil {
		t.Errorf("what could not be saved is not saved later: %v", err)
	}
	if entries, _ := filepath.Glob(filepath.Join(folder, ".clerksync*")); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// Options of the command line outweigh a saved state.
func TestConfiguredKeyOutlivesTheState(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	populated(t).save(file)
	c := newClerk(t, emulator.Options{SecretKey: "sk_test_mine", Issuer: "https://clerk.example.com/"})
	if err := c.Load(file); err != nil {
		t.Fatal(err)
	}
	if keys := c.Keys(""); keys.SecretKey != "sk_test_mine" || keys.Issuer != "https://clerk.example.com" {
		t.Errorf("keys %+v", keys)
	}
	c.list("/v1/users")
}
