package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// examined runs the doctor and returns its findings.
func examined(t *testing.T, environ []string, args ...string) (code int, findings []mirror.Finding) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Main(append([]string{"doctor", "--json"}, args...), environ, &stdout, &stderr)
	var diagnosis struct {
		OK       bool
		Findings []mirror.Finding
	}
	if err := json.Unmarshal(stdout.Bytes(), &diagnosis); err != nil {
		t.Fatalf("%v: %s%s", err, &stdout, &stderr)
	}
	if diagnosis.OK != (code == 0) {
		t.Errorf("ok is %v and the exit code %d", diagnosis.OK, code)
	}
	for _, secret := range []string{"sk_test_", "whsec_", "hunter2"} {
		if strings.Contains(stdout.String(), secret) {
			t.Errorf("a secret is printed: %s", &stdout)
		}
	}
	return code, diagnosis.Findings
}

// says reports whether a check found something like this.
func says(findings []mirror.Finding, check string, severity mirror.FindingSeverity, text string) bool {
	return slices.ContainsFunc(findings, func(f mirror.Finding) bool {
		return f.Check == check && f.Severity == severity && strings.Contains(f.Text, text)
	})
}

// with is an environment with another value of a variable.
func with(environ []string, variable string) []string {
	name, _, _ := strings.Cut(variable, "=")
	others := slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(others, variable)
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Users: 30, Organizations: 3, Memberships: 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			environ := []string{
				"DATABASE_URL=" + testkit.NewDatabase(t, engine).URL(), "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL, "CLERK_ISSUER=" + keys.Issuer,
				"CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERK_AUTHORIZED_PARTIES=https://a.example", "CLERKSYNC_LOG_LEVEL=error",
				"CLERKSYNC_API_BUDGET=100%",
			}
			expect := func(want int, environ []string, check string, severity mirror.FindingSeverity, text string) {
				t.Helper()
				if code, found := examined(t, environ); code != want || !says(found, check, severity, text) {
					t.Errorf("exit code %d, want %d and %s: %s in %+v", code, want, check, text, found)
				}
			}
			expect(0, environ, "database", mirror.FindingWarning, map[string]string{"sqlite": "no database", "postgres": "0001"}[engine])
			for _, command := range []string{"migrate", "doctor", "backfill"} {
				if command == "doctor" {
					expect(0, environ, "freshness", mirror.FindingWarning, "Not in sync: the mirror was never filled")
					continue
				}
				var out bytes.Buffer
				if code := Main([]string{command}, environ, &out, &out); code != 0 {
					t.Fatalf("%s: %s", command, &out)
				}
			}
			expect(0, environ, "freshness", mirror.FindingOK, "In sync: 30 users")
			expect(0, environ, "database", mirror.FindingOK, "up to date")
			expect(0, environ, "secret key", mirror.FindingOK, keys.InstanceID)
			expect(0, environ, "clock", mirror.FindingOK, "agrees")
			expect(0, environ, "events", mirror.FindingInfo, "No event has come yet")
			expect(1, with(environ, "CLERK_SECRET_KEY=sk_test_wrong"), "secret key", mirror.FindingFailure, "refuses")
			expect(1, with(environ, "CLERK_INSTANCE_ID=ins_other"), "token keys", mirror.FindingFailure, "ins_other")
			expect(0, append(environ, "CLERK_PUBLISHABLE_KEY=pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"), "configuration", mirror.FindingWarning,
				"CLERK_ISSUER is "+keys.Issuer+", but CLERK_PUBLISHABLE_KEY names the issuer https://clerk.example.com")
			expect(1, with(environ, "CLERK_WEBHOOK_SIGNING_SECRET="), "configuration", mirror.FindingFailure, "No webhook signing secret")
			expect(1, with(environ, "CLERK_API_URL=http://127.0.0.1:1"), "secret key", mirror.FindingFailure, "refuses the connection")
			expect(1, with(environ, "CLERKSYNC_LISTEN=nowhere"), "configuration", mirror.FindingFailure, "CLERKSYNC_LISTEN")
			expect(1, with(environ, "DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/x"), "database", mirror.FindingFailure, "Postgres at postgres://127.0.0.1:1/x cannot be reached: connection refused")
		})
	}
}

// With nothing configured it says what is missing, and creates no file.
func TestDoctorOfNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "none.db")
	code, found := examined(t, []string{"DATABASE_URL=sqlite:" + file})
	if code != 1 || !says(found, "token keys", mirror.FindingFailure, "no keys") || !says(found, "configuration", mirror.FindingFailure, "webhook") ||
		!says(found, "webhook route", mirror.FindingWarning, "not known") {
		t.Errorf("exit code %d, %+v", code, found)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the database was made")
	}
	for _, f := range found {
		if f.Severity != mirror.FindingOK && f.Remedy == "" {
			t.Errorf("no remedy: %+v", f)
		}
	}
}

// The webhook route is known by the way in which it refuses.
func TestDoctorTriesTheRoute(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.Path != "/api/webhooks/clerk" || r.Header.Get("Svix-Signature") != "" {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
			w.Header().Set("Location", "https://a.example/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		answer   http.HandlerFunc
		severity mirror.FindingSeverity
		text     string
	}{
		"ours":           {answer(400, `{"code":"invalid_signature"}`), mirror.FindingWarning, "without https"},
		"without secret": {answer(500, `{"code":"webhook_secret_unset"}`), mirror.FindingFailure, "no webhook secret"},
		"takes anything": {answer(200, `{"status":"processed"}`), mirror.FindingFailure, "status 200"},
		"sign-in":        {answer(302, ""), mirror.FindingFailure, "redirects"},
		"other program":  {answer(400, "bad request"), mirror.FindingFailure, "not as clerksync does"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.answer)
			defer server.Close()
			_, found := examined(t, []string{"DATABASE_URL=sqlite::memory:"}, "--public-url", server.URL)
			if !says(found, "webhook route", c.severity, c.text) {
				t.Errorf("%+v", found)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		_, found := examined(t, []string{"DATABASE_URL=sqlite::memory:", "CLERKSYNC_PUBLIC_URL=http://127.0.0.1:1"})
		if !says(found, "webhook route", mirror.FindingFailure, "refuses the connection") {
			t.Errorf("%+v", found)
		}
	})
}
