package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// lockedBuffer is output that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until the output contains a text.
func (l *lockedBuffer) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(l.String(), text) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("no %q in\n%s", text, l)
		}
	}
}

// tailed is a tail that runs.
type tailed struct {
	out, messages lockedBuffer
	stop          func() error
}

func startTail(t *testing.T, c tailCommand, environ ...string) *tailed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	run := &tailed{}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, &process{environ: environ, stdout: &run.out, stderr: &run.messages}) }()
	run.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = run.stop() })
	return run
}

// createdWhileTailing creates users until a tail from now on prints one: when it begins is not seen
// from outside. It returns that user.
func createdWhileTailing(t *testing.T, c *clerktest.Clerk, run *tailed, name string) (id string) {
	t.Helper()
	for i := range 40 {
		id = c.CreateUser(clerktest.User{Email: fmt.Sprintf("%s%d@example.com", name, i)})
		c.Settle()
		for range 25 {
			if strings.Contains(run.out.String(), id) {
				return id
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	t.Fatalf("it prints nothing: %s", &run.messages)
	return ""
}

// The command follows the database next to a running server, and the server itself.
func TestTailFollows(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, c.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	c.SendTo(m.WebhookHandler())
	token := strings.Repeat("operator", 5)
	operators := httptest.NewServer(operatorHandler(m, &config.Config{OperatorListen: "127.0.0.1:0", OperatorToken: token, AdminRole: "off"}, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler)))
	t.Cleanup(operators.CloseClientConnections)
	before := c.CreateUser(clerktest.User{Email: "before@example.com"})
	c.Settle()

	environ := []string{"DATABASE_URL=sqlite:" + path, "CLERKSYNC_OPERATOR_TOKEN=" + token, "CLERKSYNC_LOG_LEVEL=error"}
	for name, url := range map[string]string{"database": "", "server": operators.URL} {
		all := startTail(t, tailCommand{From: "beginning", sourceFlags: sourceFlags{Server: url}}, environ...)
		all.out.await(t, "user.created                     "+before)
		now := startTail(t, tailCommand{From: "now", sourceFlags: sourceFlags{Server: url}, JSON: true, Kind: []kindFlag{{clerk.KindUser}}, Type: []string{"user.created"}}, environ...)
		ada := createdWhileTailing(t, c, now, name)
		organization := c.CreateOrganization("Engines", ada)
		c.Settle()
		all.out.await(t, organization)
		of := startTail(t, tailCommand{From: "beginning", sourceFlags: sourceFlags{Server: url}, Organization: organization}, environ...)
		of.out.await(t, organization)
		for _, run := range []*tailed{all, now, of} {
			if err := run.stop(); err != nil || run.messages.String() != "" {
				t.Errorf("%s: %v, %s", name, err, &run.messages)
			}
		}
		if out := all.out.String(); strings.Contains(out, "\x1b") || !strings.Contains(out, "Z  user.created") {
			t.Errorf("%s: outside of a terminal it prints\n%s", name, out)
		}
		if strings.Contains(of.out.String(), before) {
			t.Errorf("%s: of an organization:\n%s", name, &of.out)
		}
		lines := strings.Split(strings.TrimSpace(now.out.String()), "\n")
		var change struct{ Type, ID string }
		if err := json.Unmarshal([]byte(lines[0]), &change); err != nil || len(lines) != 1 || change.Type != "user.created" || change.ID != ada {
			t.Errorf("%s: from now on it prints %q, %v", name, lines, err)
		}
	}
}

func TestTailRefusals(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	environ := []string{"DATABASE_URL=sqlite:" + path, "CLERKSYNC_LOG_LEVEL=error"}
	var out bytes.Buffer
	if code := Main([]string{"tail"}, environ, &out, &out); code != 1 || !strings.Contains(out.String(), "there is no database yet") {
		t.Errorf("exit code %d: %s", code, &out)
	}
	if code := Main([]string{"migrate"}, environ, &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	notOurs := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(notOurs.Close)
	unauthorized := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(unauthorized.Close)
	elsewhere := httptest.NewServer(http.RedirectHandler(notOurs.URL, http.StatusFound))
	t.Cleanup(elsewhere.Close)
	token := "CLERKSYNC_OPERATOR_TOKEN=" + strings.Repeat("operator", 5)
	for _, c := range []struct {
		args    []string
		environ []string
		want    int
		says    string
	}{
		{[]string{"--kind", "accounts"}, nil, 2, "there is no kind \"accounts\"\nUse one of: organizations, "},
		{[]string{"--type", "user.vanished"}, nil, 1, "type has a value that is not allowed. Allowed: KIND.OPERATION"},
		{[]string{"--from", "yesterday"}, nil, 2, "--from yesterday: use now, beginning, or a cursor such as 184-1f0c22ab\nTry clerksync tail --help"},
		{[]string{"--from", "7-00c0ffee"}, nil, 1, "another history: it was restored from a copy, or a failover lost changes; take a new snapshot\nRun clerksync tail --from beginning"},
		{[]string{"--server", "localhost"}, []string{token}, 2, "is not the URL of a server"},
		{[]string{"--server", "http://127.0.0.1:1"}, nil, 1, "Set CLERKSYNC_OPERATOR_TOKEN"},
		{[]string{"--server", notOurs.URL}, []string{token}, 1, "has no such route (404 Not Found)\nUse the URL of its operator listener"},
		{[]string{"--server", unauthorized.URL}, []string{token}, 1, "has no such route (401 Unauthorized)"},
		{[]string{"--server", elsewhere.URL}, []string{token}, 1, "has no such route (302 Found)"},
	} {
		out.Reset()
		if code := Main(append([]string{"tail"}, c.args...), append(c.environ, environ...), &out, &out); code != c.want || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v: exit code %d, want %d with %q in\n%s", c.args, code, c.want, c.says, &out)
		}
	}
}

// answering returns a reader of pages that a function makes up.
func answering(page func(mirror.FeedQuery) (mirror.FeedPage, error)) pageReader {
	return func(_ context.Context, q mirror.FeedQuery) (a apiclient.Answer[mirror.FeedPage], err error) {
		if a.Value, err = page(q); err == nil {
			a.JSON, err = json.Marshal(a.Value)
		}
		return a, err
	}
}

// It goes on after an outage, from where it was, and says so once.
func TestTailGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	var out, messages bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	calls, pauses := 0, []int{}
	run := &tail{
		out: &out, messages: &messages, json: true,
		pause: func(_ context.Context, attempt int) { pauses = append(pauses, attempt) },
		read: answering(func(q mirror.FeedQuery) (mirror.FeedPage, error) {
			calls++
			switch {
			case calls == 1 && q.After == mirror.FeedStart:
				return mirror.FeedPage{}, &mirror.CursorGoneError{Cursor: q.After, Reason: mirror.CursorExpired, Oldest: "4-00c0ffee"}
			case calls == 2 && q.After == "4-00c0ffee" && q.Wait == 0:
				return mirror.FeedPage{Changes: []mirror.Change{{Kind: clerk.KindUser, ID: "user_5"}}, Next: "5-00c0ffee"}, nil
			case calls <= 5 && q.After == "5-00c0ffee" && q.Wait > 0:
				return mirror.FeedPage{}, errors.New("connection refused")
			case calls == 6 && q.After == "5-00c0ffee":
				return mirror.FeedPage{Changes: []mirror.Change{{Kind: clerk.KindUser, ID: "user_6"}}, Next: "6-00c0ffee"}, nil
			}
			cancel()
			return mirror.FeedPage{}, ctx.Err()
		}),
	}
	if err := run.follow(ctx, mirror.FeedQuery{After: mirror.FeedStart}); err != nil {
		t.Error(err)
	}
	if calls != 7 || strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), "user_5") || !strings.Contains(out.String(), "user_6") {
		t.Errorf("%d calls, printed\n%s", calls, &out)
	}
	want := "The change feed cannot be read: connection refused\nTrying again until it can be.\nThe change feed can be read again.\n"
	if messages.String() != want || len(pauses) != 3 || pauses[2] != 3 {
		t.Errorf("it says %q, pauses %v", &messages, pauses)
	}
}

// Lines fit a terminal, and colors come with words that mean the same.
func TestTailLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.Local)
	changes := []mirror.Change{
		{At: at, Kind: clerk.KindUser, ID: "user_2aKVMw5avm5Z6HryZGmQ5YxmE06", Operation: mirror.Created, ClerkUserID: "user_2aKVMw5avm5Z6HryZGmQ5YxmE06"},
		{At: at, Kind: clerk.KindUser, ID: "user_2aKVMw5avm5Z6HryZGmQ5YxmE06", Operation: mirror.Updated, Fields: []string{"first_name", "last_name", "public_metadata"}},
		{At: at, Kind: clerk.KindMembership, ID: "orgmem_2aKVMw5avm5Z6HryZGmQ5YxmE06", Operation: mirror.Deleted, ClerkUserID: "user_1", ClerkOrganizationID: "org_1"},
	}
	wide := &tail{terminal: terminal{width: 200, colour: true}}
	for i, want := range []string{
		"12:00:00  \x1b[32muser.created                   \x1b[0m  user_2aKVMw5avm5Z6HryZGmQ5YxmE06",
		"12:00:00  user.updated                     user_2aKVMw5avm5Z6HryZGmQ5YxmE06    \x1b[2mfirst_name, last_name, public_metadata\x1b[0m",
		"12:00:00  \x1b[31morganization_membership.deleted\x1b[0m  orgmem_2aKVMw5avm5Z6HryZGmQ5YxmE06  \x1b[2muser_1  org_1\x1b[0m",
	} {
		if got := wide.line(&changes[i]); got != want {
			t.Errorf("%q\nwant\n%q", got, want)
		}
	}
	narrow := &tail{terminal: terminal{width: 100}}
	for i := range changes {
		if line := narrow.line(&changes[i]); visible(line) > 100 {
			t.Errorf("%d columns: %s", visible(line), line)
		}
	}
}
