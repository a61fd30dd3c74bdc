package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/mirror"
)

// An operator changes a user at Clerk, and sees at once what became of it, from a database and from
// a server.
func TestUserChanges(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	role := func() string {
		u, err := c.mirror.Users().ByClerkID(t.Context(), c.ada)
		if err != nil {
			t.Fatal(err)
		}
		return u.Role
	}
	for _, where := range [][]string{nil, {"--server", c.server}} {
		says := func(args, want string) {
			t.Helper()
			if out, messages := c.once(0, append(strings.Fields(args), where...)...); out != want+"\n" || messages != "" {
				t.Errorf("%s: it prints %q and %q, want %q", args, out, messages, want)
			}
		}
		says("users role ada@example.com enterprise", "ada@example.com ("+c.ada+") has the role enterprise at Clerk.")
		if role() != "enterprise" {
			t.Errorf("the role is %s", role())
		}
		says("users role "+c.ada+" solo", c.ada+" has the role solo at Clerk.")
		says("users ban "+c.ada, c.ada+" is banned at Clerk.")
		says("users unban "+c.ada, c.ada+" is no longer banned at Clerk.")
		says("users lock "+c.ada, c.ada+" is locked at Clerk.")
		says("users unlock "+c.ada, c.ada+" is no longer locked at Clerk.")
		session := c.clerk.SignIn(c.ada)
		c.clerk.SignIn(c.ada)
		says("sessions revoke "+session, "Revoked "+session+" at Clerk.")
		if stored, err := c.mirror.Sessions().ByClerkID(t.Context(), session); err != nil || stored.Status != mirror.SessionRevoked {
			t.Errorf("the session is %s, %v", stored.Status, err)
		}
		says("users revoke ada@example.com", "Revoked 1 session of ada@example.com ("+c.ada+") at Clerk.")
		says("users revoke "+c.ada, c.ada+" has no session that could be revoked.")
		out, _ := c.once(0, append([]string{"users", "ban", c.ada, "--json"}, where...)...)
		if !strings.HasPrefix(out, `{"where":"clerk","cursor":"`) {
			t.Errorf("as JSON: %s", out)
		}
		for args, want := range map[string]string{
			"users role ada@example.com owner":     "role",
			"users ban zoe@example.com":            `user "zoe@example.com" not found`,
			"users unlock user_2aKVxxxxxxxxxxxxxx": `user "user_2aKVxxxxxxxxxxxxxx" not found`,
			"sessions revoke sess_none":            `session "sess_none" not found`,
		} {
			code := 1
			if strings.HasPrefix(args, "users role") {
				code = 2
			}
			if _, messages := c.once(code, append(strings.Fields(args), where...)...); !strings.Contains(messages, want) {
				t.Errorf("%s: no %q in %s", args, want, messages)
			}
		}
	}
	audit, _ := c.run(0, "audit", "--all")
	for _, want := range []string{" cli:", " operator ", "POST /api/users/{id}/role", "command"} {
		if !strings.Contains(audit, want) {
			t.Errorf("no %q in the audit:\n%s", want, audit)
		}
	}
}

// erase asks first, names the user and what follows, and tells no personal data.
func TestUsersErase(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for answer, want := range map[string]int{"no\n": 1, "": 1, "y\n": 1} {
		var out, messages bytes.Buffer
		code := run([]string{"users", "erase", "ada@example.com"}, &process{c.environ, strings.NewReader(answer), &out, &messages})
		question := "Delete ada@example.com (" + c.ada + ") at Clerk, and permanently erase all data of the user here? Type yes: Nothing was erased.\n"
		if code != want || out.Len() > 0 || messages.String() != question {
			t.Errorf("%q: exit code %d, %s%s", answer, code, &out, &messages)
		}
	}
	if u, err := c.mirror.Users().ByClerkID(t.Context(), c.ada); err != nil || u.FirstName != "Ada" {
		t.Errorf("%+v, %v", u, err)
	}
	if out, _ := c.once(0, "users", "erase", c.ada, "--yes"); out != "Deleted "+c.ada+" at Clerk, and erased the user here.\n" {
		t.Errorf("it prints %s", out)
	}
	if out, _ := c.once(0, "users", "erase", c.grace, "--yes", "--server", c.server); !strings.HasPrefix(out, "Deleted "+c.grace+" at Clerk") {
		t.Errorf("it prints %s", out)
	}
	if out, messages := c.run(0, "users", "list"); out != "" || !strings.Contains(messages, "There are no users yet") {
		t.Errorf("there are users left: %s%s", out, messages)
	}
	if _, messages := c.once(1, "users", "erase", "user_none", "--yes"); !strings.Contains(messages, "user \"user_none\" not found") {
		t.Errorf("it prints %s", messages)
	}
}

// Without a secret key, changes hold here alone, which each answer says, until they are removed.
func TestOverridesCommand(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.environ = with(c.environ, "CLERK_SECRET_KEY=")
	says := func(args, want string) {
		t.Helper()
		if out, messages := c.once(0, strings.Fields(args)...); out+messages != want+"\n" {
			t.Errorf("%s: it prints %q and %q, want %q", args, out, messages, want)
		}
	}
	const here = " here only: without CLERK_SECRET_KEY, Clerk does not know of it."
	says("overrides", "There are no overrides: everything is as Clerk says.")
	says("users role "+c.ada+" enterprise", c.ada+" has the role enterprise"+here)
	says("users unban "+c.grace, c.grace+" is no longer banned"+here)
	if out, _ := c.run(0, "overrides", "list", "--user", "ada@example.com"); !strings.Contains(out, c.ada+"  role   enterprise  growth") {
		t.Errorf("they are listed as\n%s", out)
	}
	if out, _ := c.run(0, "users", "show", c.ada); !strings.Contains(out, "enterprise") {
		t.Errorf("the user is shown as\n%s", out)
	}
	if _, messages := c.once(1, "users", "lock", c.ada); !strings.Contains(messages, "CLERK_SECRET_KEY") && !strings.Contains(messages, "secret key") {
		t.Errorf("locking needs Clerk: %s", messages)
	}
	says("overrides remove ada@example.com role", "The role of ada@example.com ("+c.ada+") is what Clerk says again.")
	if _, messages := c.run(1, "overrides", "remove", c.ada, "role"); !strings.Contains(messages, "role of "+c.ada+" is not overridden") {
		t.Errorf("removing it twice: %s", messages)
	}
	if out, messages := c.once(0, "users", "erase", c.ada, "--yes"); out != "Erased "+c.ada+" here.\n" || !strings.Contains(messages, "delete the user there too") {
		t.Errorf("it prints %s%s", out, messages)
	}
}
