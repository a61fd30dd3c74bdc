package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

var regexpPlace = regexp.MustCompile(`^\nMore: --all, or --page (\S+)\n$`)

// console is a mirror of an emulated Clerk, a server that serves it to operators, and what commands
// need to reach either.
type console struct {
	*testing.T
	clerk   *clerktest.Clerk
	mirror  *clerksync.Mirror
	server  string
	environ []string

	ada, grace, engines string // users, and an organization
}

func newConsole(t *testing.T) *console {
	t.Helper()
	c := &console{T: t, clerk: clerktest.New(t)}
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := c.clerk.Config()
	settings.DisableBackfill, settings.DisableReconcile = true, true // a job that reads Clerk does not wait for them
	if c.mirror, err = clerksync.New(t.Context(), db, settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.mirror.Close() })
	c.clerk.SendTo(c.mirror.WebhookHandler())
	token := strings.Repeat("operator", 5)
	cfg := &config.Config{OperatorListen: "127.0.0.1:0", OperatorToken: token, AdminRole: "off"}
	server := httptest.NewServer(operatorHandler(c.mirror, cfg, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	c.server = server.URL
	keys := c.clerk.Keys()
	c.environ = []string{
		"DATABASE_URL=sqlite:" + path, "CLERKSYNC_OPERATOR_TOKEN=" + token, "CLERKSYNC_LOG_LEVEL=error",
		"CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL, "CLERK_ISSUER=" + keys.Issuer, "CLERK_JWT_KEY=" + keys.PEM,
	}

	c.ada = c.clerk.CreateUser(clerktest.User{
		Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace", Role: "solo", PrivateMetadata: map[string]any{"secret": "unseen"},
	})
	c.grace = c.clerk.CreateUser(clerktest.User{Email: "grace@example.com", FirstName: "Grace\x1b[31m", LastName: "한글"})
	c.engines = c.clerk.CreateOrganization("Analytical Engines", c.ada)
	c.clerk.AddMember(c.engines, c.grace, "org:member")
	c.clerk.SignIn(c.ada)
	c.clerk.Revoke(c.clerk.SignIn(c.ada))
	c.clerk.Settle()
	c.clerk.SetRole(c.ada, "growth")
	c.clerk.Ban(c.grace)
	c.clerk.Settle()
	return c
}

// run runs a command on the database, and again on the server. Both must print the same. It returns
// what is on stdout and stderr.
func (c *console) run(want int, args ...string) (stdout, stderr string) {
	c.Helper()
	stdout, stderr = c.once(want, args...)
	out, messages := c.once(want, append(slices.Clone(args), "--server", c.server)...)
	if out != stdout || messages != stderr {
		c.Errorf("%v: with --server it prints\n%s%s\nand without\n%s%s", args, out, messages, stdout, stderr)
	}
	return stdout, stderr
}

func (c *console) once(want int, args ...string) (stdout, stderr string) {
	c.Helper()
	var out, messages bytes.Buffer
	if code := Main(args, c.environ, &out, &messages); code != want {
		c.Errorf("%v: exit code %d, want %d: %s%s", args, code, want, &out, &messages)
	}
	return out.String(), messages.String()
}

// Commands that list and show print the same from a database and from a server.
func TestRecords(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for _, tc := range []struct {
		args   string
		has    []string // on stdout
		hasNot string
		says   string // all of stderr
	}{
		{"users", []string{"USER EMAIL", c.ada + " ada@example.com", "Ada Lovelace", "growth", "active", "banned"}, "unseen", ""},
		{"users list ada", []string{c.ada}, c.grace, ""},
		{"user list --inactive", []string{c.grace, `Grace\u001b[31m 한글`}, c.ada, ""},
		{"users list --active", []string{c.ada}, c.grace, ""},
		{"users list --role growth", []string{c.ada}, c.grace, ""},
		{"users list --organization " + c.engines, []string{c.ada, c.grace}, "org:", ""},
		{"users list zoe", nil, "USER", "No user is found by \"zoe\". A search finds ids, and how names, words of names and e-mail addresses begin.\n"},
		{"users list --role enterprise", nil, "USER", "No user matches.\n"},
		{"users list --all --limit 1", []string{c.ada, c.grace}, "", ""},
		{"users list --all --json", []string{`"clerk_user_id":"` + c.ada + `"`, `"email":"grace@example.com"`}, "next_cursor", ""},
		{"users show ADA@example.com", []string{"user " + c.ada, "e-mail ada@example.com", "role growth", "Sessions (2)", "revoked", "Memberships (1)", "Analytical Engines", "org:admin"}, "unseen", ""},
		{"users show " + c.grace, []string{"state banned", "Sessions: none", "org:member"}, "\x1b", ""},
		{"organizations", []string{c.engines, "Analytical Engines"}, "user_", ""},
		{"org list none", nil, "ORG", "No organization is found by \"none\". A search finds ids, and how names and slugs begin.\n"},
		{"organizations show " + c.engines, []string{"Members (2)", c.ada, "grace@example.com", "org:admin"}, "unseen", ""},
		{"organization show analytical-engines", []string{"slug analytical-engines", "Members (2)"}, "unseen", ""},
		{"sessions --user ada@example.com --status revoked", []string{"SESSION ", c.ada, "revoked"}, "active", ""},
		{"sessions --user " + c.grace, nil, "SESSION", "No session matches.\n"},
		{"deliveries --type user.created", []string{"RECEIVED", "applied user.created", "msg_"}, "user.updated", ""},
		{"deliveries --text nowhere", nil, "RECEIVED", "No delivery matches.\n"},
		{"users timeline ada@example.com", []string{"user.created", "user.updated public_metadata, updated_at msg_", "role_changed solo → growth msg_", "session.created"}, c.grace, ""},
		{"users timeline " + c.ada + " --type audit", []string{"role_changed"}, "user.created", ""},
		{"users timeline " + c.ada + " --type drift", nil, "WHEN", "Nothing is recorded about this user.\n"},
		{"audit", []string{"role_changed " + c.ada + " solo → growth"}, "ada@", ""},
		{"audit --user grace@example.com --action operator", nil, "WHEN", "No entry of the audit matches.\n"},
		{"drift --kind memberships", nil, "FOUND", "No drift was found.\n"},
	} {
		stdout, stderr := c.run(0, strings.Fields(tc.args)...)
		stdout = strings.Join(strings.FieldsFunc(stdout, func(r rune) bool { return r == ' ' }), " ") // alignment is TestTableFits
		for _, want := range tc.has {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: no %q in\n%s", tc.args, want, stdout)
			}
		}
		if tc.hasNot != "" && strings.Contains(stdout, tc.hasNot) || stderr != tc.says {
			t.Errorf("%s: it prints %q and\n%s", tc.args, stderr, stdout)
		}
		if len(tc.has) == 0 && stdout != "" {
			t.Errorf("%s: nothing is not data, but it prints\n%s", tc.args, stdout)
		}
	}
	if out, _ := c.once(4, "status", "--server", c.server); !strings.Contains(out, "✗ Not in sync:") || !strings.Contains(out, "\nmemberships ") {
		t.Errorf("status of the server:\n%s", out)
	}
	list, _ := c.run(0, "deliveries", "--type", "user.created", "--subject", c.ada)
	message := regexp.MustCompile(`msg_\w+`).FindString(list)
	if out, _ := c.run(0, "deliveries", "show", message); !strings.Contains(out, "\nChanged (1)\n") || !strings.Contains(out, "user.created  "+c.ada) || strings.Contains(out, "unseen") {
		t.Errorf("a delivery is shown as\n%s", out)
	}
	sessions, _ := c.run(0, "sessions", "--status", "revoked")
	session := regexp.MustCompile(`sess_\w+`).FindString(sessions)
	if out, _ := c.run(0, "sessions", "show", session); !strings.Contains(out, "status       revoked") || !strings.Contains(out, c.ada) {
		t.Errorf("a session is shown as\n%s", out)
	}
	c.run(1, "sessions", "show", "sess_none")
	stdout, _ := c.run(0, "users", "show", c.ada, "--json")
	var detail struct{ User mirror.User }
	if err := json.Unmarshal([]byte(stdout), &detail); err != nil || detail.User.ClerkUserID != c.ada || strings.Contains(stdout, "unseen") {
		t.Errorf("%v: %s", err, stdout)
	}
}

// Pages are continued where the one before says.
func TestRecordPages(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	first, more := c.run(0, "users", "--limit", "1")
	place := regexpPlace.FindStringSubmatch(more)
	if place == nil || strings.Count(first, "user_") != 1 {
		t.Fatalf("the first page is\n%s%s", first, more)
	}
	second, end := c.run(0, "users", "--limit", "1", "--page", place[1])
	if strings.Count(second, "user_") != 1 || end != "" || strings.Contains(second, c.ada) == strings.Contains(first, c.ada) {
		t.Errorf("the second page is\n%s%s", second, end)
	}
}

// What was asked wrongly, or cannot be answered, is said in the words of the user.
func TestRecordErrors(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for _, tc := range []struct {
		args string
		want int
		says string
	}{
		{"users show ada", 1, "error: user \"ada\" not found\nSearch: clerksync users list\n"},
		{"users show zoe@example.com", 1, "error: user \"zoe@example.com\" not found\nSearch: clerksync users list\n"},
		{"organizations show none", 1, "error: organization \"none\" not found\nSearch: clerksync organizations list\n"},
		{"deliveries show msg_none", 1, "error: delivery \"msg_none\" not found\nSearch: clerksync deliveries list\n"},
		{"sessions --user zoe@example.com", 1, "error: user \"zoe@example.com\" not found\nSearch: clerksync users list\n"},
		{"users list --limit 201", 2, "error: --limit must be a number from 1 to 200\nTry clerksync users list --help\n"},
		{"users list --page x", 2, "error: --page is not a place of this list\nCopy it from the end of the previous page, and use the same filters\nTry clerksync users list --help\n"},
		{"users list --active --inactive", 2, "Try clerksync users list --help\n"},
		{"users list --organisation x", 2, "error: unknown flag --organisation, did you mean \"--organization\"?\nTry clerksync users list --help\n"},
		{"drift --kind person", 2, "error: --kind: there is no kind \"person\"\nUse one of: organizations, "},
		{"sessions --status odd", 2, "Try clerksync sessions list --help\n"},
		{"audit --action odd", 0, "No entry of the audit matches.\n"},
		{"sesions", 2, "Try clerksync COMMAND --help, or clerksync --help\n"},
	} {
		stdout, stderr := c.run(tc.want, strings.Fields(tc.args)...)
		if stdout != "" || !strings.Contains(stderr, tc.says) {
			t.Errorf("%s: no %q in\n%s%s", tc.args, tc.says, stdout, stderr)
		}
	}
	if _, stderr := c.once(2, "users", "--server", c.server, "--database-url", "sqlite:x"); !strings.Contains(stderr, "exclude each other") {
		t.Errorf("both: %s", stderr)
	}
	c.environ = with(c.environ, "CLERKSYNC_OPERATOR_TOKEN="+strings.Repeat("x", 40))
	if _, stderr := c.once(1, "users", "--server", c.server); !strings.Contains(stderr, "does not accept the operator token\nSet CLERKSYNC_OPERATOR_TOKEN") {
		t.Errorf("another token: %s", stderr)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	if _, stderr := c.once(1, "users", "--server", closed.URL); !strings.Contains(stderr, closed.URL+" cannot be reached: nothing listens at this address\n") {
		t.Errorf("no server: %s", stderr)
	}
	public := httptest.NewServer(c.mirror.Handler(clerksync.HandlerOptions{}))
	t.Cleanup(public.Close)
	if _, stderr := c.once(1, "users", "show", c.ada, "--server", public.URL); !strings.Contains(stderr, "has no such route (404 Not Found)\nUse the URL of its operator listener") {
		t.Errorf("the public listener: %s", stderr)
	}
}

// A table fits into the terminal: columns that matter less go first, then texts are shortened.
func TestTableFits(t *testing.T) {
	t.Parallel()
	id := "user_2aKVMw5avm5Z6HryZGmQ5YxmE06"
	now := time.Now()
	for _, width := range []int{60, 80, 100, 120, 0} {
		var out bytes.Buffer
		l := look{terminal: terminal{width: width, colour: true}, now: now}
		tb := &table{w: &out, terminal: l.terminal, columns: userColumns()}
		users := []mirror.User{
			{ClerkUserID: id, Email: "someone.with.a.long.name@subsidiary.example.com", FirstName: "Ada", Role: "growth", IsActive: true, LastActiveAt: now.Add(-time.Hour)},
			{ClerkUserID: id, Email: "한글@example.com", FirstName: "한글한글한글한글한글한글한글한글", Role: "solo", Banned: true},
		}
		if err := tb.print(rowsOf(l, listing[mirror.User]{row: userRow}, users)); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		for _, line := range lines {
			plain := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(line)
			if got := visible(plain); width > 60 && got > width {
				t.Errorf("%d of %d columns: %s", got, width, plain)
			}
			if !strings.HasPrefix(plain, "USER") && !strings.HasPrefix(plain, id) {
				t.Errorf("an id is shortened: %s", plain)
			}
		}
		if names := strings.Contains(lines[0], "NAME"); names != (width == 0 || width >= 100) {
			t.Errorf("%d columns: %s", width, lines[0])
		}
		if len(lines) != 3 || width == 0 && !strings.Contains(out.String(), "someone.with.a.long.name@subsidiary.example.com") {
			t.Errorf("%d columns:\n%s", width, &out)
		}
	}
}
