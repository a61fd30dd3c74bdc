package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// storedMirror makes a database with one user.
func storedMirror(t *testing.T, environ []string) {
	t.Helper()
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMirror(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Users().Apply(t.Context(), []byte(`{"object":"user","id":"user_1","created_at":1,"updated_at":1}`))
	if err := errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestWebhooksCommand(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			environ := []string{
				"DATABASE_URL=" + testkit.NewDatabase(t, engine).URL(), "CLERKSYNC_LOG_LEVEL=error", "CLERKSYNC_WEBHOOKS_ALLOW=127.0.0.1",
			}
			storedMirror(t, environ)
			run := func(want int, args string) string {
				t.Helper()
				var stdout, stderr bytes.Buffer
				if code := Main(append([]string{"webhooks"}, strings.Fields(args)...), environ, &stdout, &stderr); code != want {
					t.Errorf("%s: exit code %d, %s%s", args, code, &stdout, &stderr)
				}
				return stdout.String() + stderr.String()
			}
			prints := func(want int, args string, texts ...string) string {
				t.Helper()
				out := run(want, args)
				for _, text := range texts {
					if !strings.Contains(out, text) {
						t.Errorf("%s prints\n%s", args, out)
					}
				}
				return out
			}
			var verified error
			status, secret := http.StatusNoContent, ""
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				judge, err := standardwebhooks.NewWebhook(secret)
				if err == nil {
					err = judge.Verify(body, r.Header)
				}
				verified = err
				w.WriteHeader(status)
			}))
			t.Cleanup(receiver.Close)

			prints(0, "endpoints", "There are no endpoints.")
			prints(1, "endpoints add http://10.0.0.1/hooks", "not https")
			prints(1, "endpoints add https://10.0.0.1/hooks", "10.0.0.1 is a private address", "CLERKSYNC_WEBHOOKS_ALLOW")
			prints(1, "endpoints add https://169.254.169.254/hooks", "is a link-local address, to which nothing is ever sent")
			prints(2, "endpoints add https://example.com --kind people", `there is no kind "people"`)
			prints(1, "endpoints add https://example.com --type user.exploded", "user.exploded")
			prints(1, "endpoints add https://example.com --from 9-00000000", "no longer known (other_history)", "webhooks resume")
			prints(2, "endpoints add https://example.com --from yesterday", "use now, beginning, a cursor")
			out := prints(0, "endpoints add "+receiver.URL+" --kind users --type user.* --description billing --from beginning", "shown only now", "Try it: clerksync webhooks ping")
			secret = regexp.MustCompile(`whsec_\S+`).FindString(out)
			id := regexp.MustCompile(`ep_[a-z0-9]+`).FindString(out)
			if listed := prints(0, "endpoints list", id, "enabled", "users,user.*", receiver.URL); strings.Contains(listed, "whsec_") {
				t.Errorf("the list shows the secret:\n%s", listed)
			}
			var list struct{ Data []mirror.WebhookEndpoint }
			if err := json.Unmarshal([]byte(run(0, "endpoints --json")), &list); err != nil || len(list.Data) != 1 || list.Data[0].Cursor != "0" {
				t.Errorf("%+v, %v", list, err)
			}
			prints(0, "ping "+id, "delivered (204) after")
			if verified != nil {
				t.Errorf("the ping does not verify: %v", verified)
			}
			var rotated struct{ Secret string }
			if err := json.Unmarshal([]byte(run(0, "endpoints rotate "+id+" --overlap 0 --json")), &rotated); err != nil || rotated.Secret == secret {
				t.Errorf("%+v, %v", rotated, err)
			}
			status = http.StatusInternalServerError
			prints(1, "ping "+id, "status (500) after", "a status other than 2xx")
			if verified == nil {
				t.Error("the previous secret verifies after a rotation without overlap")
			}
			prints(0, "attempts --failed", "status (500)", "ping")
			prints(0, "attempts --endpoint "+id+" --limit 1", "More: --all, or --page")
			prints(0, "attempts --endpoint ep_other", "There are no such attempts.")
			prints(2, "attempts --page x", "--page is not a place")
			prints(2, "attempts --limit 0", "--limit")
			prints(0, "endpoints disable "+id+" --reason maintenance", "Disabled "+id)
			prints(0, "endpoints", "disabled (maintenance)")
			prints(0, "endpoints enable "+id, "Enabled "+id)
			prints(0, "resume "+id+" --from 24h --discard", id+" continues after 0.")
			prints(0, "resume "+id+" --from now", id+" continues after 1-")
			prints(2, "resume "+id, "--from")
			prints(0, "resend "+id, "0 messages that had failed")
			prints(1, "resend "+id+" --message msg_1-00000000_x", "not found")
			prints(0, "endpoints remove "+id, "Removed "+id)
			for _, args := range []string{"endpoints enable", "endpoints disable", "endpoints remove", "endpoints rotate", "ping", "resend", "resume --from now"} {
				prints(1, args+" "+id, "webhook endpoint \""+id+"\" not found")
			}
		})
	}
}

func TestWebhooksWithoutDatabase(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=sqlite:" + t.TempDir() + "/none.db"}
	for _, args := range []string{"endpoints", "endpoints add https://example.com", "attempts", "ping ep_1"} {
		var stdout, stderr bytes.Buffer
		if code := Main(append([]string{"webhooks"}, strings.Fields(args)...), environ, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "Check DATABASE_URL") {
			t.Errorf("%s: exit code %d, %s", args, code, &stderr)
		}
	}
}
