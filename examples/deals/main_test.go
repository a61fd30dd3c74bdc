package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerktest"
)

// logBuffer collects what a program prints, while it runs.
type logBuffer struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{}
}

func newLogBuffer() *logBuffer { return &logBuffer{written: make(chan struct{}, 1)} }

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.written <- struct{}{}:
	default:
	}
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs the program until the end of the test, and returns what it prints once that matches a
// pattern.
func start(t *testing.T, run func(context.Context, func(string) string, io.Writer) error, env map[string]string, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, ended := newLogBuffer(), make(chan error, 1)
	go func() { ended <- run(ctx, func(name string) string { return env[name] }, out) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return out.waitFor(t, pattern, ended)
}

// waitFor waits until the text matches a pattern, and returns what it matches.
func (b *logBuffer) waitFor(t *testing.T, pattern string, ended chan error) []string {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		if match := regexp.MustCompile(pattern).FindStringSubmatch(b.String()); match != nil {
			return match
		}
		select {
		case <-b.written:
		case err := <-ended:
			ended <- nil
			t.Fatalf("the program ended: %v\n%s", err, b)
		case <-timeout:
			t.Fatalf("the program did not print %s:\n%s", pattern, b)
		}
	}
}

// What the demo prints works when it is pasted into a terminal.
func TestDemo(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PORT": "0"}
	if os.Getenv("DEALS_TEST_POSTGRES") != "" {
		env["DATABASE_URL"] = databaseURL(t)
	}
	text := start(t, runDemo, env, `(?s)\n(  url=.*-X DELETE \$deal\n)`)[1]
	text = strings.ReplaceAll(strings.Replace(text, "Then try:", "", 1), "\n  curl", "\n  echo; curl -s")
	shell := exec.CommandContext(t.Context(), "bash", "-e", "-u", "-c", text)
	var faults bytes.Buffer
	shell.Stderr = &faults
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, &faults, out)
	}
	rest := string(out)
	for _, want := range []string{
		`{"deals":[{"id":"`, `"title":"Analytical Engine","stage":"Sourced"`, "id,title,stage", "X-Upgrade-Url: https://deals.example.com/pricing",
		`"name":"Cobol Partners"`, `"stage":"Negotiation"`, "reverification-error", `"title":"Analytical Engine","stage":"Negotiation"`,
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Errorf("the output does not continue with %s:\n%s", want, out)
		}
		rest = after
	}
}

// The service with the keys of a Clerk: here, of one that is emulated.
func TestService(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	keys := clerk.Config()
	address := start(t, runService, map[string]string{
		"CLERK_SECRET_KEY": keys.SecretKey, "CLERK_API_URL": keys.APIURL, "CLERK_WEBHOOK_SIGNING_SECRET": keys.WebhookSecrets[0],
		"PORT": "0", "DATABASE_URL": databaseURL(t),
	}, `address=\S*:(\d+)`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+address[1]+"/api/auth/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+clerk.Token(ada))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || !strings.Contains(string(body), ada) {
		t.Errorf("GET /api/auth/me: %d %s", response.StatusCode, body)
	}
}

func TestMistakesAtTheStart(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"a database that cannot be opened": {"DATABASE_URL": t.TempDir()},
		"a port that is none":              {"PORT": "http" + "s://"},
	} {
		for _, run := range []func(context.Context, func(string) string, io.Writer) error{runDemo, runService} {
			settings := func(setting string) string {
				if setting == "DATABASE_URL" && env[setting] == "" {
					return databaseURL(t)
				}
				return env[setting]
			}
			if err := run(t.Context(), settings, io.Discard); err == nil {
				t.Errorf("%s: the program ended without an error", name)
			}
		}
	}
}
