package cli

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
)

func TestServeSaysWhichAddressIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to hold the port
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for setting, other := range map[string]string{"CLERKSYNC_LISTEN": "CLERKSYNC_OPERATOR_LISTEN", "CLERKSYNC_OPERATOR_LISTEN": "CLERKSYNC_LISTEN"} {
		var out bytes.Buffer
		code := Main([]string{"serve"}, []string{
			"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), setting + "=" + address, other + "=127.0.0.1:0",
		}, &out, &out)
		for _, want := range []string{"error: " + address + " is in use by another process (" + setting + ")", "Stop that process"} {
			if code != 1 || !strings.Contains(out.String(), want) {
				t.Errorf("%s: exit code %d, no %q in\n%s", setting, code, want, &out)
			}
		}
	}
}

func TestServeSaysWhereToBegin(t *testing.T) {
	t.Parallel()
	wide := terminal{width: 400}
	for _, tc := range []struct {
		config config.Config
		t      terminal
		says   bool
	}{
		{config.Config{}, wide, true},
		{config.Config{}, terminal{}, false}, // a log
		{config.Config{SecretKey: "sk_test_x"}, wide, false},
		{config.Config{WebhookSecrets: []string{"whsec_x"}}, wide, false},
		{config.Config{PublishableKey: "pk_test_x"}, wide, false},
	} {
		text := firstSteps(&tc.config, tc.t)
		if says := strings.Contains(text, "docs/getting-started.md") && strings.Contains(text, "clerksync dev"); says != tc.says || !says && text != "" {
			t.Errorf("%+v: %q", tc.config, text)
		}
	}
}
