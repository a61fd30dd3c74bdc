package cli

import (
	"bytes"
	"encoding/json"
	"errors"
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
	_, _, environ, user, token := explained(t)
	for name, tc := range map[string]struct {
		command explainCommand
		stdin   string
		refused bool
		says    []string
	}{
		"a user who may":          {explainCommand{User: user, Rule: `{"role":"solo"}`}, "", false, []string{"✓ ", `"solo"`, "mirror", "Allowed."}},
		"a user who may not":      {explainCommand{User: user, Rule: `{"min_role":"growth"}`}, "", true, []string{`MinRole("growth")`, "✗ ", "Denied: forbidden (role)"}},
		"a request of the policy": {explainCommand{User: user, Path: "/reports/1", Method: "GET"}, "", true, []string{`MinRole("growth")`}},
		"a token":                 {explainCommand{Token: true}, token + "\n", false, []string{"token", "Allowed."}},
		"a forged token":          {explainCommand{Token: true}, token + "x", true, []string{"invalid_token"}},
		"nobody whom we know":     {explainCommand{User: "user_x"}, "", true, []string{"user_not_registered"}},
		"no such route":           {explainCommand{User: user, Path: "/x", Method: "GET"}, "", true, []string{"✗ refused (no_route)", "GET /x", "no route has this path", "Denied: forbidden (no_route)"}},
		"a closed route":          {explainCommand{User: user, Path: "/closed", Method: "GET"}, "", true, []string{"✗ refused (denied)", "/closed", "Denied: forbidden (denied)"}},
		"no such route, as JSON":  {explainCommand{User: user, Path: "/x", Method: "GET", JSON: true}, "", true, []string{`"allowed":false`, `"reason":"no_route"`}},
		"as JSON":                 {explainCommand{User: user, JSON: true}, "", false, []string{`"allowed":true`, `"source":"mirror"`}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := tc.command.Run(t.Context(), &process{environ: environ, stdin: strings.NewReader(tc.stdin), stdout: &out, stderr: io.Discard})
			if tc.refused != errors.Is(err, errRefused) || !tc.refused && err != nil {
				t.Errorf("it ended with %v", err)
			}
			for _, want := range tc.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, &out)
				}
			}
			if strings.Contains(out.String(), token) {
				t.Error("the token is shown")
			}
		})
	}
	for name, tc := range map[string]struct {
		command explainCommand
		says    string
	}{
		"nobody named": {explainCommand{}, "--user"},
		"no such rule": {explainCommand{User: user, Rule: `{"rank":1}`}, "min_role"},
	} {
		err := tc.command.Run(t.Context(), &process{environ: environ, stdout: io.Discard, stderr: io.Discard})
		if err == nil || err == errRefused || !strings.Contains(err.Error(), tc.says) { //nolint:errorlint // identity
			t.Errorf("%s: %v, without %q", name, err, tc.says)
		}
	}
}

// Whoever configured the wrong issuer learns which one tokens have.
func TestExplainNamesTheIssuers(t *testing.T) {
	t.Parallel()
	_, cfg, environ, _, token := explained(t)
	isIssuer := func(s string) bool { return strings.HasPrefix(s, "CLERK_ISSUER=") }
	var out bytes.Buffer
	err := explainCommand{Token: true}.Run(t.Context(), &process{
		environ: append([]string{"CLERK_ISSUER=https://other.example.com"}, slices.DeleteFunc(environ, isIssuer)...), stdin: strings.NewReader(token), stdout: &out, stderr: io.Discard,
	})
	for _, want := range []string{"invalid_token (issuer)", "https://other.example.com", cfg.Issuer} {
		if err == nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v, no %q in\n%s", err, want, &out)
		}
	}
}

func TestExplainAPI(t *testing.T) {
	t.Parallel()
	m, cfg, _, user, token := explained(t)
	h := operatorHandler(m, cfg, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
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
	h = operatorHandler(m, cfg, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if code, x := ask("GET", "/api/explain?user_id="+user, "", ""); code != http.StatusUnauthorized || x["code"] != "authentication_required" {
		t.Errorf("without a configured token: %d %v", code, x)
	}
}
