package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// newKey makes an API key at Clerk and returns its id.
func (c *console) newKey(subject, name string) string {
	c.Helper()
	var key struct{ ID string }
	c.clerk.Call(http.MethodPost, "/v1/api_keys", map[string]any{"name": name, "subject": subject, "scopes": []string{"deals:read"}}, &key)
	return key.ID
}

// newM2MToken makes an opaque M2M token of a new machine and returns the ids of both.
func (c *console) newM2MToken() (machine, id string) {
	c.Helper()
	var m struct {
		ID        string
		SecretKey string `json:"secret_key"`
	}
	c.clerk.Call(http.MethodPost, "/v1/machines", map[string]any{"name": "billing"}, &m)
	var token struct{ ID string }
	c.clerk.Call(http.MethodPost, "/_emulator/m2m_tokens", map[string]any{"machine_id": m.ID}, &token)
	return m.ID, token.ID
}

// says runs a command on the database and on the server, and checks what it prints.
func (c *console) says(code int, args, want string) {
	c.Helper()
	if out, messages := c.run(code, strings.Fields(args)...); out+messages != want+"\n" {
		c.Errorf("%s: it prints\n%s%s\nand should print\n%s", args, out, messages, want)
	}
}

// Keys are listed as Clerk has them, and say how they ended.
func TestKeysList(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	key := c.newKey(c.ada, "Deploy\x1b[31m script")
	machine, token := c.newM2MToken()
	for subject, want := range map[string]string{c.ada: key, "ada@example.com": key, machine: token} {
		out, messages := c.run(0, "keys", "list", subject)
		if lines := strings.Split(out, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], want+"  active ") || messages != "" || strings.Contains(out, "\x1b") {
			t.Errorf("%s: it prints\n%s%s", subject, out, messages)
		}
	}
	out, _ := c.run(0, "keys", "list", c.ada, "--json")
	var page struct{ Data []mirror.Key }
	if err := json.Unmarshal([]byte(out), &page); err != nil || len(page.Data) != 1 || page.Data[0].ID != key || page.Data[0].Subject != c.ada ||
		page.Data[0].State != mirror.KeyActive || page.Data[0].Scopes[0] != "deals:read" || page.Data[0].Kind != "api_key" {
		t.Errorf("as JSON: %s %v", out, err)
	}
	c.says(0, "keys list "+c.engines, "Clerk lists no keys of "+c.engines+".")
	c.says(1, "keys list odd", "error: subject must be an id. Allowed: the id of a user (user_…), an organization (org_…) or a machine (mch_…)")
	c.says(1, "keys list zoe@example.com", "error: user \"zoe@example.com\" not found\nSearch: clerksync users list")
	c.says(1, "keys list mch_none", "error: list the keys of mch_none: not found\nClerk says: No machine was found with id mch_none")
	c.run(0, "keys", "revoke", key)
	if out, _ := c.run(0, "keys", "list", c.ada); !strings.Contains(out, key+"  revoked") {
		t.Errorf("a revoked key is listed as\n%s", out)
	}
}

// What is revoked is refused here, at Clerk where Clerk can do that, and is listed.
func TestKeysRevoke(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	key := c.newKey(c.ada, "Deploy script")
	c.says(0, "keys revoke "+key, "Revoked "+key+" here and at Clerk.")
	c.says(0, "keys revoke mt_jwt jti_1 --expires 4102444800", "Revoked mt_jwt here, and not at Clerk.\nRevoked jti_1 here, and not at Clerk.")
	c.says(1, "keys revoke ak_none", "error: ak_none is refused here, but not revoked at Clerk: not found\nClerk says: No API key was found with id ak_none")
	c.newKey(c.engines, "Export")
	c.newKey(c.engines, "Import")
	if out, _ := c.once(0, "keys", "revoke", "--subject", c.engines); out != "Revoked the keys and tokens of "+c.engines+" here and at Clerk. Valid at Clerk were 2.\n" {
		t.Errorf("a subject: %s", out)
	}
	c.says(0, "keys revoke --subject ada@example.com", "Revoked the keys and tokens of "+c.ada+" here and at Clerk. Valid at Clerk were 0.")
	if out, _ := c.once(0, "keys", "revoke", "jti_2", "--json"); !strings.HasPrefix(out, `{"where":"local","cursor":"`) {
		t.Errorf("as JSON: %s", out)
	}
	for args, want := range map[string]string{
		"keys revoke":                               "error: name keys, or a subject with --subject\n",
		"keys revoke ak_1 --subject user_1":         "error: name keys, or a subject with --subject\n",
		"keys revoke --subject user_1 --expires 1":  "error: --expires is about JWTs that are named, and not about a subject\n",
		"keys revoke jti_1 --expires soon":          "error: --expires: use the claim exp of the JWT, such as 1767225600, or a time such as 2026-01-01T00:00:00Z\n",
		"keys revoke jti_1 --expires 4102444800000": "error: --expires: use the claim exp of the JWT",
		"keys revocations --limit 0":                "error: --limit must be a number from 1 to 200\n",
	} {
		if out, messages := c.run(2, strings.Fields(args)...); out != "" || !strings.HasPrefix(messages, want) {
			t.Errorf("%s: %s%s", args, out, messages)
		}
	}
	out, _ := c.run(0, "keys", "revocations")
	for what, ends := range map[string]string{
		"jti_1  key or token": "2100-01-02", key + "  key or token": "20", "ak_none  key or token": "20", c.ada + "  all until then": "never",
	} {
		what, more, _ := strings.Cut(what, "  ")
		if !strings.Contains(strings.Join(strings.Fields(out), " "), what+" "+more) || !ending(out, what, ends) {
			t.Errorf("no %q that ends %s in\n%s", what, ends, out)
		}
	}
	c.says(0, "keys revocations --id ak_other", "ak_other was not revoked here.")
	if out, _ := c.run(0, "keys", "revocations", "--id", "jti_1", "--json"); !strings.Contains(out, `"ends_at":"2100-01-02T00:00:00.000Z"`) {
		t.Errorf("as JSON: %s", out)
	}
}

// ending reports whether the last columns of the line about an id begin with a text.
func ending(out, id, text string) bool {
	for line := range strings.Lines(out) {
		if columns := strings.Fields(line); columns[0] == id {
			return strings.HasPrefix(columns[len(columns)-1], text) || strings.HasPrefix(columns[len(columns)-2], text)
		}
	}
	return false
}

// While Clerk cannot be asked, keys are refused here, which the error says, with what to do.
func TestKeysWithoutClerk(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	key := c.newKey(c.ada, "Deploy script")
	for _, test := range []struct {
		faults clerktest.APIFaults
		reason string
		remedy string
	}{
		{clerktest.APIFaults{TooMany: 1}, "too many requests to Clerk", "Find out what else uses its secret key"},
		{clerktest.APIFaults{ServerError: 1}, "Clerk cannot be reached", "See status.clerk.com and check the network"},
	} {
		c.clerk.SetFaults(clerktest.Faults{API: test.faults})
		for args, what := range map[string]string{
			"keys list " + c.ada:             "list the keys of " + c.ada,
			"keys revoke " + key:             key + " is refused here, but not revoked at Clerk",
			"keys revoke --subject " + c.ada: c.ada + " is refused here, but not revoked at Clerk",
		} {
			_, messages := c.once(1, strings.Fields(args)...)
			if !strings.HasPrefix(messages, "error: "+what+": "+test.reason+"\n") || !strings.Contains(messages, "\n"+test.remedy+"\n") {
				t.Errorf("%s: %s", args, messages)
			}
		}
	}
	c.environ = with(c.environ, "CLERK_SECRET_KEY=")
	for args, want := range map[string]string{
		"keys list " + c.ada:                       "error: no Clerk secret key is configured, so nothing can be read from Clerk\nSet CLERK_SECRET_KEY\n",
		"keys revoke " + key:                       "Revoked " + key + " here, and not at Clerk.\n",
		"keys revocations --id " + key + " --json": "",
	} {
		code := 0
		if strings.HasPrefix(want, "error") {
			code = 1
		}
		if out, messages := c.once(code, strings.Fields(args)...); want != "" && out+messages != want {
			t.Errorf("%s: %s%s", args, out, messages)
		}
	}
	if out, _ := c.once(0, "keys", "revocations", "--id", key); !ending(out, key, "never") {
		t.Errorf("Clerk was not asked, and the revocation is to end: %s", out)
	}
}
