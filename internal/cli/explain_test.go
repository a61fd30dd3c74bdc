package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/config"
)

const explainedPolicy = "routes:\n- {path: /reports/**, require: {min_role: growth}}\n- {path: /closed, deny: true}\n"

// explained is a mirror of one user, and the environment that names it.
func explained(t *testing.T) (m *clerksync.Mirror, cfg *config.Config, environ []string, user, token string) {
	t.Helper()
	c := clerktest.New(t)
	keys := c.Keys()
	environ = []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_JWT_KEY=" + keys.PEM, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERKSYNC_POLICY=" + explainedPolicy,
		"CLERKSYNC_OPERATOR_TOKEN=" + strings.Repeat("o", 32),
	}
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m, err = clerksync.New(t.Context(), db, mirrorConfig(cfg, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	c.SendTo(m.WebhookHandler())
	user = c.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo"})
	token = c.Token(user)
	c.Settle()
	return m, cfg, environ, user, token
}

func TestExplainCommand(t *testing.T) {
	t.Parallel()
	m, cfg, environ, user, token := explained(t)
	server := httptest.NewServer(operatorHandler(m, cfg, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	for name, tc := range map[string]struct {
		args  []string
		stdin string
		want  exitCode
		says  []string // on stdout, or for a failure in the error
	}{
		"a user who may":     {[]string{user, "--rule", `{"role":"solo"}`}, "", 0, []string{"✓ allowed user: state \"active\" (mirror)\n", `Role("solo")`, user + " is allowed.\n"}},
		"by e-mail address":  {[]string{"ADA@example.com", "--rule", "role=solo"}, "", 0, []string{"ADA@example.com (" + user + ") is allowed."}},
		"a user who may not": {[]string{user, "--rule", "min_role=growth"}, "", exitDenied, []string{`✗ refused (role) MinRole("growth")`, user + " is denied: forbidden (role)"}},
		"several rules":      {[]string{user, "--rule", "role=solo", "--rule", `{"not_impersonated":true}`, "--rule", "reverified=strict"}, "", exitDenied, []string{`✓ allowed Role("solo")`, "✓ allowed NotImpersonated", "✗ refused (reverification)"}},
		"alternatives":       {[]string{user, "--rule", `{"any":[{"role":"growth"},{"org_role":"admin"}]}`}, "", exitDenied, []string{"\n    ✗ refused (role) Role(\"growth\")", "\n    ✗ refused (organization_role)"}},
		"no such role":       {[]string{user, "--rule", "min_role=groth"}, "", exitDenied, []string{`! There is no role "groth". The ladder of roles is: solo, growth, enterprise, admin. Did you mean "growth"?`}},
		"by the policy":      {[]string{user, "--path", "/reports/1"}, "", exitDenied, []string{`MinRole("growth")`}},
		"a token":            {[]string{"--token"}, token + "\n", 0, []string{"✓ allowed token\n", user + " is allowed."}},
		"a forged token":     {[]string{"--token"}, token + "x", exitDenied, []string{"The caller is denied: invalid_token"}},
		"a user not here":    {[]string{"user_x"}, "", exitDenied, []string{"user_x is denied: user_not_registered"}},
		"no such address":    {[]string{"zoe@example.com"}, "", exitFailed, []string{`user "zoe@example.com" not found`}},
		"no such route":      {[]string{user, "--path", "/x"}, "", exitDenied, []string{"✗ refused (no_route)", "GET /x", "no route has this path", "is denied: forbidden (no_route)"}},
		"a closed route":     {[]string{user, "--path", "/closed", "--json"}, "", exitDenied, []string{`"allowed":false`, `"reason":"denied"`}},
		"as JSON":            {[]string{user, "--json"}, "", 0, []string{`"allowed":true`, `"source":"mirror"`}},
		"no one named":       {nil, "", exitUsage, []string{"name a user by id or e-mail address, or pass a token with --token"}},
		"no token":           {[]string{"--token"}, " ", exitUsage, []string{"there is none"}},
		"no such rule":       {[]string{user, "--rule", `{"rank":1}`}, "", exitUsage, []string{"min_role"}},
		"no rule at all":     {[]string{user, "--rule", "growth"}, "", exitUsage, []string{"use a key and a value such as min_role=growth"}},
		"two rules":          {[]string{user, "--rule", "role=solo", "--path", "/x"}, "", exitUsage, []string{"exclude each other"}},
	} {
		t.Run(name, func(t *testing.T) {
			printed := map[string]string{}
			for _, where := range [][]string{nil, {"--server", server.URL}} {
				var out, messages bytes.Buffer
				code := run(append(append([]string{"explain"}, tc.args...), where...), &process{
					environ: environ, stdin: strings.NewReader(tc.stdin), stdout: &out, stderr: &messages,
				})
				text := out.String()
				if tc.want == exitUsage || tc.want == exitFailed {
					text = messages.String()
				} else if messages.Len() > 0 {
					t.Errorf("what has nothing to do with the question: %s", &messages)
				}
				for _, want := range tc.says {
					if !strings.Contains(text, want) {
						t.Errorf("no %q in\n%s", want, text)
					}
				}
				if code != int(tc.want) || strings.Contains(out.String(), token) {
					t.Errorf("exit code %d, want %d: %s%s", code, tc.want, &out, &messages)
				}
				printed[text] = text
			}
			if len(printed) != 1 {
				t.Errorf("a server makes a difference: %q", printed)
			}
		})
	}
}

// Whoever configured the wrong issuer learns which one tokens have.
func TestExplainNamesTheIssuers(t *testing.T) {
	t.Parallel()
	_, cfg, environ, _, token := explained(t)
	isIssuer := func(s string) bool { return strings.HasPrefix(s, "CLERK_ISSUER=") }
	var out bytes.Buffer
	code := run([]string{"explain", "--token"}, &process{
		environ: append([]string{"CLERK_ISSUER=https://other.example.com"}, slices.DeleteFunc(environ, isIssuer)...), stdin: strings.NewReader(token), stdout: &out, stderr: io.Discard,
	})
	for _, want := range []string{"invalid_token (issuer)", "https://other.example.com", cfg.Issuer} {
		if code != int(exitDenied) || !strings.Contains(out.String(), want) {
			t.Errorf("exit code %d, no %q in\n%s", code, want, &out)
		}
	}
}

func TestExplainAPI(t *testing.T) {
	t.Parallel()
	m, cfg, _, user, token := explained(t)
	h := operatorHandler(m, cfg, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
	ask := func(method, target, body, operator string) (int, map[string]any) {
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.Host = "127.0.0.1:8081"
		r.Header.Set("Content-Type", "application/json")
		if operator != "" {
			r.Header.Set("Authorization", "Bearer "+operator)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return w.Code, answer
	}
	operator := cfg.OperatorToken
	if code, x := ask("GET", "/api/explain?user_id="+user+`&rule={"role":"solo"}`, "", operator); code != 200 || x["allowed"] != true {
		t.Errorf("%d %v", code, x)
	}
	if code, x := ask("POST", "/api/explain", `{"token":"`+token+`","path":"/reports"}`, operator); code != 200 || x["allowed"] != false || x["clerk_user_id"] != user {
		t.Errorf("%d %v", code, x)
	}
	for path, reason := range map[string]string{"/x": "no_route", "/closed": "denied"} {
		if code, x := ask("POST", "/api/explain", `{"user_id":"`+user+`","path":"`+path+`"}`, operator); code != 200 || x["allowed"] != false || x["reason"] != reason {
			t.Errorf("%s: %d %v", path, code, x)
		}
	}
	for _, wrong := range []string{"", "x", operator + "x"} {
		if code, _ := ask("GET", "/api/explain?user_id="+user, "", wrong); code != http.StatusUnauthorized {
			t.Errorf("an operator by %q: %d", wrong, code)
		}
	}
	for _, body := range []string{`{`, `{"who":1}`, `{}`} {
		if code, _ := ask("POST", "/api/explain", body, operator); code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, code)
		}
	}
	cfg.OperatorToken = ""
	h = operatorHandler(m, cfg, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
	if code, x := ask("GET", "/api/explain?user_id="+user, "", ""); code != http.StatusUnauthorized || x["code"] != "authentication_required" {
		t.Errorf("without a configured token: %d %v", code, x)
	}
}
