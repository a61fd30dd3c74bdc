package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
)

// started runs a command until the test ends, and returns the lines that it prints.
func started(t *testing.T, command interface {
	Run(ctx context.Context, p *process) error
},
) *bufio.Scanner {
	t.Helper()
	return startedWith(t, command, io.Discard)
}

// startedWith is started with a place for standard error.
func startedWith(t *testing.T, command interface {
	Run(ctx context.Context, p *process) error
}, stderr io.Writer,
) *bufio.Scanner {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // it outlives the tabs of a test
	ended := make(chan error, 1)
	go func() {
		err := command.Run(ctx, &process{stdout: in, stderr: stderr})
		_ = in.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, out) // later output must not block the command
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return bufio.NewScanner(out)
}

func line(t *testing.T, s *bufio.Scanner) string {
	t.Helper()
	if !s.Scan() {
		t.Fatalf("no more is printed: %v", s.Err())
	}
	return s.Text()
}

func TestEmulatePrintsOneLineOfJSON(t *testing.T) {
	t.Parallel()
	lines := started(t, emulateCommand{Listen: "127.0.0.1:0", JSON: true, Seed: 7, Users: 3, RateLimit: "off"})
	var printed map[string]any
	if err := json.Unmarshal([]byte(line(t, lines)), &printed); err != nil {
		t.Fatal(err)
	}
	env, _ := printed["env"].(map[string]any)
	keys := map[string]string{}
	for name, value := range printed {
		keys[name], _ = value.(string)
	}
	if delete(keys, "env"); env["CLERK_SECRET_KEY"] != keys["secret_key"] || env["VITE_CLERK_PROXY_URL"] != "/__clerk" {
		t.Errorf("the variables are %v", env)
	}
	for _, name := range []string{
		"url", "api_url", "issuer", "jwks_url", "secret_key", "publishable_key", "webhook_secret", "instance_id", "pem",
	} {
		if keys[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(keys, name+"_seen")
	}
	if len(keys) != 9 || strings.HasSuffix(keys["api_url"], "/v1") {
		t.Errorf("printed %v", keys)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, keys["api_url"]+"/v1/users/count", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+keys["secret_key"])
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != `{"object":"total_count","total_count":3}` {
		t.Errorf("the Backend API answers %s", body)
	}
}

// What --env prints is a configuration that serve takes, with no fault and no warning.
func TestEmulatePrintsTheEnvironmentOfServe(t *testing.T) {
	t.Parallel()
	said, says := io.Pipe()
	lines := startedWith(t, emulateCommand{Listen: "127.0.0.1:0", Env: true, Seed: 7, RateLimit: "production"}, says)
	page := make(chan string, 1)
	go func() {
		first, _ := bufio.NewReader(said).ReadString('\n')
		page <- first
		_, _ = io.Copy(io.Discard, said)
	}()
	var text strings.Builder
	for !strings.Contains(text.String(), "NUXT_PUBLIC_CLERK_TELEMETRY_DISABLED") { // the last one
		text.WriteString(line(t, lines) + "\n")
	}
	var environ []string
	for v := range strings.SplitSeq(text.String(), "export ") {
		environ = append(environ, strings.ReplaceAll(strings.TrimSpace(v), "'", ""))
	}
	cfg, warnings, err := config.Load(config.Options{Environ: environ})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if cfg.Issuer == "" || cfg.InstanceID == "" || cfg.JWTKey == "" || cfg.SecretKey == "" || len(cfg.WebhookSecrets) != 1 {
		t.Errorf("printed %v", environ)
	}
	if first := <-page; !strings.Contains(first, "http://localhost:") {
		t.Errorf("a person whose variables go to a file reads %q", first)
	}
}

func TestEmulatePrintsKeysForPeople(t *testing.T) {
	t.Parallel()
	lines := started(t, emulateCommand{Listen: "127.0.0.1:0", Seed: 7, RateLimit: "production"})
	var text strings.Builder
	for !strings.Contains(text.String(), "Ctrl-C") {
		text.WriteString(line(t, lines) + "\n")
	}
	for _, want := range []string{"/v1\n", "/v1; the app forwards /__clerk to it\n", "\n  scripts          ", "jwks.json\n", "whsec_", "-----BEGIN PUBLIC KEY-----", "/_emulator/tokens"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
}

// What cannot work is refused at once, in words of the option that is wrong.
func TestEmulateRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fixtures := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(fixtures, []byte("nothing: true"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]emulateCommand{
		"production":           {SecretKey: "sk_live_x"},
		"no key of Clerk":      {SecretKey: "sk_test_it's"},
		`--webhook-url: "127.`: {WebhookURL: "127.0.0.1:8080/api/webhooks/clerk"},
		`--webhook-url: "http`: {WebhookURL: "http:///api/webhooks/clerk"},
		"cannot be written":    {State: filepath.Join(file, "state.json")},
		"is no file":           {State: t.TempDir()},
		"is no folder":         {NodeModules: file},
		"--proxy-url":          {ProxyURL: "__clerk"},
		"file:1: nothing":      {Fixtures: fixtures},
		"no such file":         {Fixtures: file + "s"},
		`limit "fast" is not`:  {RateLimit: "fast"},
	} {
		c.Listen = "127.0.0.1:0"
		err := c.Run(t.Context(), &process{stdout: io.Discard, stderr: io.Discard})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestEmulateBeginsWithFixtures(t *testing.T) {
	t.Parallel()
	lines := started(t, emulateCommand{Listen: "127.0.0.1:0", JSON: true, Fixtures: "../../clerktest/testdata/clerk.yaml"})
	var keys emulator.Keys
	if err := json.Unmarshal([]byte(line(t, lines)), &keys); err != nil {
		t.Fatal(err)
	}
	const organization = `{"organization_id": "org_acme"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, keys.URL+"/_emulator/users/user_ada/sign_in", strings.NewReader(organization))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"user_id":"user_ada"`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}

	in, closed := io.Pipe()
	closed.Close()
	stopped := emulateCommand{Listen: "127.0.0.1:0", StopWithStdin: true}
	if err := stopped.Run(t.Context(), &process{stdin: in, stdout: io.Discard, stderr: io.Discard}); err != nil {
		t.Errorf("with the end of standard input it stops with %v", err)
	}
	var schema bytes.Buffer
	if err := (emulateCommand{FixturesSchema: true}).Run(t.Context(), &process{stdout: &schema, stderr: io.Discard}); err != nil || !json.Valid(schema.Bytes()) {
		t.Errorf("the schema: %v %s", err, &schema)
	}
}

func TestEmulateKeepsItsState(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state.json")
	run := func() (keys emulator.Keys) {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		printed := func([]byte) { cancel() }
		err := emulateCommand{Listen: "127.0.0.1:0", JSON: true, State: state, RateLimit: "off"}.Run(ctx, &process{stdout: writer{&out, printed}, stderr: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &keys); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	first, second := run(), run()
	lines := started(t, emulateCommand{Listen: "127.0.0.1:0", JSON: true, State: state})
	line(t, lines)
	err := emulateCommand{Listen: "127.0.0.1:0", State: state}.Run(t.Context(), &process{stdout: io.Discard, stderr: io.Discard})
	if want := fmt.Sprintf("--state: another emulator (process %d) keeps its state in %s", os.Getpid(), state); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a second emulator with the same state: %v, want %s", err, want)
	}
	first.URL, first.APIURL, first.JWKSURL = second.URL, second.APIURL, second.JWKSURL
	if first.PEM == "" || first != second {
		t.Errorf("it was %+v and is %+v", first, second)
	}
}

// writer reports each write.
type writer struct {
	io.Writer
	wrote func([]byte)
}

func (w writer) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.wrote(b)
	return n, err
}

func TestChaosEndsInAMirrorThatEqualsClerk(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := (chaosCommand{Actions: 150, Seed: 11, JSON: true}).Run(t.Context(), &process{stdout: &out, stderr: io.Discard}); err != nil {
		t.Fatal(err)
	}
	var v Verdict
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if !v.OK || v.Events < 100 || v.Duplicated == 0 || v.Failed == 0 || v.Forged == 0 || v.Accepted != 0 || len(v.Differences) != 0 ||
		len(v.Losses) != 4 || v.Losses[2].Lost != v.Losses[2].Events || v.Losses[3].Lost == 0 || v.Repaired == 0 || v.APICalls < 40 {
		t.Errorf("verdict %+v", v)
	}
}

func TestDevPlaysTheDemoAndResumesIt(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	run := func() string {
		var out bytes.Buffer
		command := devCommand{Listen: "127.0.0.1:0", OperatorListen: "127.0.0.1:0", EmulateListen: "127.0.0.1:0", State: state, Seed: 5, Once: true}
		if err := command.Run(t.Context(), &process{stdout: &out, stderr: io.Discard}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := run()
	moveClock(t, filepath.Join(state, "emulator.json"), 3*time.Hour)
	second := run()
	if strings.Contains(first, "ahead of the real time") || !strings.Contains(second, "Its clock is 3h0m0s ahead of the real time") {
		t.Errorf("the clock is not what was said:\n%s\n%s", first, second)
	}
	for _, want := range []string{"users and", "user.created", "processed", `"role": "growth"`, "Grace was deleted", "curl -H 'Authorization: Bearer ey", "The latest of those that arrived at", `{"id":"msg_`, "export CLERKSYNC_OPERATOR_TOKEN=cso_", "clerksync users list --server http://127.0.0.1:"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in the first run:\n%s", want, first)
		}
	}
	if strings.Contains(second, "user.created") || !strings.Contains(second, `"role": "growth"`) || !strings.Contains(second, "=cso_") {
		t.Errorf("the second run did not take up the first:\n%s", second)
	}
	told := func(s string) int { return slices.Index(strings.Split(s, "\n"), "GET /api/auth/me as Ada returns:") }
	if told(first) < 0 || told(second) < 0 {
		t.Error("the demo did not authenticate Ada")
	}
}

// moveClock moves the clock of a kept state, which must show the real time.
func moveClock(t *testing.T, path string, by time.Duration) {
	t.Helper()
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Load(path); err != nil {
		t.Fatal(err)
	}
	if d := time.Until(e.Now()); d > time.Second {
		t.Errorf("the demo has moved the clock of its Clerk by %s", d)
	}
	e.Advance(by)
	if err := e.Save(path); err != nil {
		t.Fatal(err)
	}
}

// The demo waits in real time for what is on its way, and not for what is sent again much later.
func TestArrivedDoesNotMoveTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := emulator.New(emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		var answers int
		if _, err := e.AddEndpoint(emulator.Target{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if answers++; answers > 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})}, ""); err != nil {
			t.Fatal(err)
		}
		late := emulator.Faults{Delay: 1, DelayMax: emulator.Duration(arrivesWithin)}
		for want := 1; want <= 2; want++ { // the second is refused, and sent again after five seconds
			if err := errors.Join(e.SetFaults(late), e.Call(t.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprint("ada", want, "@example.com")}}, nil)); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := arrived(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); answers != want || took > arrivesWithin || !e.Now().Equal(time.Now()) {
				t.Errorf("%d arrived in %s; the clock shows %s", answers, took, e.Now())
			}
		}
	})
}

// The address that is printed shows pages, with what --env prints.
func TestEmulateShowsItselfInABrowser(t *testing.T) {
	t.Parallel()
	lines := started(t, emulateCommand{Listen: "127.0.0.1:0", JSON: true, Seed: 7, RateLimit: "off"})
	var keys struct{ URL string }
	if err := json.Unmarshal([]byte(line(t, lines)), &keys); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "Nothing has arrived", "/keys": "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, keys.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s answers %d without %q: %.200s", path, response.StatusCode, want, body)
		}
	}
}
