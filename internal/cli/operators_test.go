package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// office is a database, a server on an address that other machines reach, and the command line,
// which opens the database by itself.
type office struct {
	*testing.T
	environ []string
	server  http.Handler
	log     bytes.Buffer
}

func newOffice(t *testing.T, engine string) *office {
	t.Helper()
	o := &office{T: t, environ: []string{"DATABASE_URL=" + testkit.NewDatabase(t, engine).URL(), "CLERKSYNC_LOG_LEVEL=debug"}}
	cfg, _, err := config.Load(config.Options{Environ: o.environ})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m, err := newMirror(t.Context(), cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	served := *cfg
	served.OperatorListen, served.OperatorToken = "10.0.0.1:8081", longText
	o.server = operatorHandler(m, &served, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil, logger)
	return o
}

// run runs a command and returns what it prints.
func (o *office) run(want int, args string) (stdout, stderr string) {
	o.Helper()
	var out, messages bytes.Buffer
	if code := Main(append([]string{"operators"}, strings.Fields(args)...), o.environ, &out, &messages); code != want {
		o.Errorf("%s: exit code %d, %s%s", args, code, &out, &messages)
	}
	return out.String(), messages.String()
}

func (o *office) ask(method, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(o.Context(), method, path, strings.NewReader(`{"user_id":"user_1"}`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	o.server.ServeHTTP(w, r)
	return w
}

func (o *office) expect(method, path, token string, status int) {
	o.Helper()
	if w := o.ask(method, path, token); w.Code != status {
		o.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

var printedToken = regexp.MustCompile(`^cso_[A-Za-z0-9_-]{43}\n$`)

// Operators are added, listed and revoked next to a server that runs.
func TestOperatorsCommand(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, engine)
			if _, out := o.run(0, "list"); !strings.Contains(out, "There are no operators.") {
				t.Errorf("an empty list is %s", out)
			}
			if out, _ := o.run(0, "list --json"); out != `{"data":[],"next_cursor":null}`+"\n" {
				t.Errorf("an empty list is %s", out)
			}
			ada, messages := o.run(0, "add ada")
			if !printedToken.MatchString(ada) || strings.Contains(messages, strings.TrimSpace(ada)) || !strings.Contains(messages, "Added ada (operator), until ") {
				t.Errorf("add prints %q and %q", ada, messages)
			}
			ada = strings.TrimSpace(ada)
			var added struct {
				Operator mirror.Operator
				Token    string
			}
			out, _ := o.run(0, "add reader --read-only --expires 12h --json")
			if err := json.Unmarshal([]byte(out), &added); err != nil || !added.Operator.ReadOnly || added.Operator.ExpiresAt.Sub(added.Operator.CreatedAt) != 12*time.Hour {
				t.Fatalf("%s: %v", out, err)
			}
			reader := added.Token
			for _, path := range []string{"/api/sync", "/metrics", "/health", "/debug/pprof/", "/api/changes", "/api/users", "/api/explain?user_id=user_1"} {
				o.expect("GET", path, ada, 200)
				o.expect("GET", path, reader, 200)
				o.expect("GET", path, longText, 200)
				o.expect("GET", path, ada[:20], 401)
			}
			for _, path := range []string{"/api/sync", "/metrics", "/api/users", "/api/changes", "/debug/pprof/"} {
				if !strings.HasPrefix(path, "/api/") {
					o.expect("DELETE", path, reader, 403)
				}
				o.expect("DELETE", path, ada, 405)
			}
			list, _ := o.run(0, "list")
			asJSON, _ := o.run(0, "list --json")
			for _, text := range []string{"NAME ", "ada ", "reader ", "read-only ", "cli:"} {
				if !strings.Contains(list, text) {
					t.Errorf("list prints\n%s", list)
				}
			}
			if out, _ := o.run(0, "revoke ada"); !strings.Contains(out, "Revoked ada.") {
				t.Errorf("revoke prints %s", out)
			}
			<-time.After(time.Second) // in which the server may still know ada
			o.expect("GET", "/api/sync", ada, 401)
			o.expect("GET", "/api/sync", reader, 200)
			if out, _ := o.run(0, "revoke reader --json"); out != `{"revoked":"reader"}`+"\n" {
				t.Errorf("revoke prints %s", out)
			}
			for _, secret := range []string{ada, ada[4:], reader, reader[4:]} {
				if strings.Contains(list+asJSON+o.log.String(), secret) {
					t.Errorf("a list or the log has the token %s:\n%s%s%s", secret, list, asJSON, &o.log)
				}
			}
			if !strings.Contains(o.log.String(), "/api/sync") {
				t.Errorf("the log has no requests, so this test proves nothing of it: %s", &o.log)
			}
		})
	}
}

// What cannot be added or revoked is said, and nothing is printed as a token.
func TestOperatorsCommandRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "sqlite")
	o.run(0, "add ada")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"add ada", 1, "clerksync operators revoke ada"},
		{"add Ada", 2, "lower-case letters"},
		{"add bob --expires 0d", 2, "days such as 90d"},
		{"add bob --expires=-1d", 2, "days such as 90d"},
		{"add bob --expires d", 2, "days such as 90d"},
		{"add bob --expires 1.5d", 2, "days such as 90d"},
		{"add bob --expires never", 2, "days such as 90d"},
		{"add bob --expires 1s", 2, "from a minute to five years"},
		{"add bob --expires 1826d", 2, "from a minute to five years"},
		{"add", 2, "name"},
		{"revoke bob", 1, `operator "bob" not found`},
	} {
		out, messages := o.run(c.code, c.args)
		if out != "" || !strings.Contains(messages, c.says) {
			t.Errorf("%s prints %q and %q", c.args, out, messages)
		}
	}
	if out, _ := o.run(0, "list --json"); strings.Count(out, `"name"`) != 1 {
		t.Errorf("left are %s", out)
	}
}
