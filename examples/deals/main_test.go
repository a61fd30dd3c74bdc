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

// start runs the program until the end of the test, and waits until what it prints matches a
// pattern. It returns what it prints, and the first group of the match.
func start(t *testing.T, env map[string]string, pattern string) (out *logBuffer, group string) {
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
	return out, out.waitFor(t, pattern, ended)
}

// waitFor waits until the text matches a pattern, and returns the first group.
func (b *logBuffer) waitFor(t *testing.T, pattern string, ended chan error) string {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		if match := regexp.MustCompile(pattern).FindStringSubmatch(b.String()); match != nil {
			return match[1]
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
	printed, text := start(t, env, `(?s)(.*)consumer=welcome`)
	var commands strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "  http") {
			commands.WriteString(strings.Replace(line, "  curl", "echo; curl -s", 1))
		}
	}
	shell := exec.CommandContext(t.Context(), "bash", "-e", "-u", "-c", commands.String())
	var faults bytes.Buffer
	shell.Stderr = &faults
	results, err := shell.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, &faults, results)
	}
	rest := string(results)
	for _, want := range []string{
		`{"deals":[{"id":"`, `"title":"Analytical Engine","stage":"Sourced"`, "id,title,stage", "X-Upgrade-Url: https://deals.example.com/pricing",
		`"stage":"Negotiation"`, "reverification-error", `"title":"Analytical Engine","stage":"Negotiation"`, `"name":"Cobol Partners"`, `"id":"user_`,
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("the results do not go on with %s:\n%s", want, results)
		}
		rest = after
	}
	printed.waitFor(t, "(Welcome to Deals!)", make(chan error))

	page, err := http.DefaultClient.Get(regexp.MustCompile(`http\S+/demo/kate`).FindString(text))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if body, _ := io.ReadAll(page.Body); page.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), `href="/demo/ada"`) {
		t.Errorf("without a cookie, the page is %d %s", page.StatusCode, body)
	}
}

// The service with the keys of a Clerk: here, of one that is emulated.
func TestService(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	keys := clerk.Config()
	_, port := start(t, map[string]string{
		"CLERK_SECRET_KEY": keys.SecretKey, "CLERK_API_URL": keys.APIURL, "CLERK_WEBHOOK_SIGNING_SECRET": keys.WebhookSecrets[0],
		"PORT": "0", "DATABASE_URL": databaseURL(t),
	}, `address=\S*:(\d+)`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/api/auth/me", nil)
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
	used := databaseURL(t)
	start(t, map[string]string{"PORT": "0", "DATABASE_URL": used}, "(Press Ctrl-C)")
	key := clerktest.New(t).Config().SecretKey
	for name, env := range map[string]map[string]string{
		"a database that cannot be opened":     {"DATABASE_URL": t.TempDir()},
		"such a database, with a key":          {"DATABASE_URL": t.TempDir(), "CLERK_SECRET_KEY": key},
		"a port that is none":                  {"PORT": "none"},
		"a port that is none, with a key":      {"PORT": "none", "DATABASE_URL": used, "CLERK_SECRET_KEY": key},
		"a database of another emulated Clerk": {"PORT": "0", "DATABASE_URL": used},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // run returns nil then
		defer cancel()
		if err := run(ctx, func(name string) string { return env[name] }, io.Discard); err == nil {
			t.Errorf("%s: the program ended without an error", name)
		}
	}
}
