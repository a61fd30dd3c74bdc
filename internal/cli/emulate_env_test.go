package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
)

// What --env prints is read alike by a shell, by Node and by dotenv, and Clerk's SDKs for servers
// then accept tokens by the key that it has.
func TestEnvironmentIsReadAlike(t *testing.T) {
	t.Parallel()
	node := testenv.Node(t)
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var user struct{ ID string }
	var token emulator.Token
	if err := e.Call(t.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{"ada@example.com"}}, &user); err != nil {
		t.Fatal(err)
	}
	if err := e.Call(t.Context(), "POST", "/_emulator/tokens", emulator.TokenOrder{UserID: user.ID, ExpiresIn: new(3600)}, &token); err != nil {
		t.Fatal(err)
	}
	want, text := map[string]string{}, bytes.Buffer{}
	variables := e.Keys("http://127.0.0.1:9").Environment(proxyPath) // where nothing listens
	printEnv(&text, variables)
	for _, v := range variables {
		want[v.Name] = v.Value
	}
	file := filepath.Join(t.TempDir(), "clerk.env")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for reader, command := range map[string][]string{
		"sh":     {"sh", "-c", `. "$1" && exec "$2" environment.mjs`, "sh", file, node},
		"Node":   {node, "--env-file=" + file, "environment.mjs"},
		"dotenv": {node, "--import=dotenv/config", "environment.mjs"},
	} {
		t.Run(reader, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Dir = filepath.Join(testenv.Root(t), "internal/emulator/testdata/node")
			cmd.Env = []string{
				"PATH=" + os.Getenv("PATH"), "TOKEN=" + token.JWT, "USER_ID=" + user.ID, "NODE_NO_WARNINGS=1",
				"NAMES=" + strings.Join(slices.Collect(maps.Keys(want)), " "), "DOTENV_CONFIG_PATH=" + file, "DOTENV_CONFIG_QUIET=true",
			}
			var failure bytes.Buffer
			cmd.Stderr = &failure
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v; make setup installs the packages\n%s", err, &failure)
			}
			var got map[string]string
			if err := json.Unmarshal(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:], &got); err != nil || !maps.Equal(got, want) {
				t.Errorf("it read %s %v, want %v", out, err, want)
			}
		})
	}
}

// The server and Clerk's SDKs accept the publishable key, whatever the issuer is.
func TestPublishableKeyOfEachIssuer(t *testing.T) {
	t.Parallel()
	for issuer, host := range map[string]string{
		"http://localhost:4010": "127.0.0.1:4010", "http://127.0.0.1:4010": "127.0.0.1:4010", "https://Clerk.example.com/": "clerk.example.com",
		"http://clerk:4010": "127.0.0.1:4010", "http://[::1]:4010": "127.0.0.1:4010", "https://localhost": "127.0.0.1",
		"https://app.example.com/__clerk": "app.example.com",
	} {
		e, err := emulator.New(emulator.Options{Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := auth.FrontendAPI(e.Keys("").PublishableKey); err != nil || got != "https://"+host {
			t.Errorf("%s: %s, %v", issuer, got, err)
		}
		e.Close()
	}
}

// Browsers go through the app, unless they are told to ask the emulator: then by the name
// localhost, and for scripts, too.
func TestProxyURL(t *testing.T) {
	t.Parallel()
	for choice, want := range map[string]string{
		"/__clerk": "/__clerk", "/api/clerk": "/api/clerk", directly: "http://localhost:4010", "https://app.example.com/__clerk": "https://app.example.com/__clerk",
	} {
		if err := checkProxyURL(choice); err != nil {
			t.Error(err)
		}
		got := proxyURL(choice, "http://127.0.0.1:4010")
		printed := map[string]string{}
		for _, v := range (emulator.Keys{PublishableKey: "pk_test_x"}).Environment(got) {
			printed[v.Name] = v.Value
		}
		script := ""
		if !strings.HasPrefix(want, "/") {
			script = want + "/npm/@clerk/clerk-js/dist/clerk.browser.js"
		}
		for _, prefix := range []string{"", "NEXT_PUBLIC_", "VITE_", "PUBLIC_", "NUXT_PUBLIC_"} {
			if printed[prefix+"CLERK_PROXY_URL"] != want || printed[prefix+"CLERK_JS_URL"] != script ||
				printed[prefix+"CLERK_PUBLISHABLE_KEY"] != "pk_test_x" || printed[prefix+"CLERK_SIGN_IN_URL"] != "/sign-in" {
				t.Errorf("%s: %sCLERK_… are %v", choice, prefix, printed)
			}
		}
	}
	for _, wrong := range []string{"x", "/", "ftp://localhost", "http://", "/__clerk?x", "/it's", "http://local host", "//evil.example.com/x"} {
		if checkProxyURL(wrong) == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}
