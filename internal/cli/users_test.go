package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
)

// erase asks first, prints a receipt without personal data, and reports a user that is not found.
func TestUsersErase(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERKSYNC_LOG_LEVEL=error"}
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMirror(t.Context(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Users().Apply(t.Context(), json.RawMessage(`{"id":"user_1","first_name":"Zgrace","updated_at":1780000000000}`)); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	erase := eraseCommand{UserID: "user_1"}
	if err := erase.Run(t.Context(), &process{environ, strings.NewReader("no\n"), &stdout, &stderr}); err == nil {
		t.Error("erased without a yes")
	}
	if u, err := m.Users().ByClerkID(t.Context(), "user_1"); err != nil || u.FirstName != "Zgrace" {
		t.Errorf("%+v, %v", u, err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"users", "erase", "user_2", "--yes"}, 1, ""},
		{[]string{"users", "erase"}, 2, ""},
		{[]string{"users", "erase", "user_1", "--yes", "--json"}, 0, `"clerk_user_id":"user_1"`},
		{[]string{"users", "erase", "user_1", "--yes"}, 0, "Erased user_1: "},
	} {
		stdout.Reset()
		stderr.Reset()
		code := Main(c.args, environ, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.says) || strings.Contains(stdout.String()+stderr.String(), "Zgrace") {
			t.Errorf("%v: exit code %d, %s%s", c.args, code, &stdout, &stderr)
		}
		if code == 0 && !strings.Contains(stderr.String(), "delete the user there too") {
			t.Errorf("%v does not tell what is left to do: %s", c.args, &stderr)
		}
	}
	if _, err := m.Users().ByClerkID(t.Context(), "user_1"); err == nil {
		t.Error("the user is still there")
	}
}
