package cli

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
		for _, want := range []string{"error: " + address + " is in use by cli.test, process " + strconv.Itoa(os.Getpid()) + " (" + setting + ")", "Stop that process"} {
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

// A person who starts a server in a terminal sees what it found, and where it listens.
func TestServingIsSummarized(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cfg := mustLoad(t, config.Options{Environ: append(c.environ, "CLERK_WEBHOOK_SIGNING_SECRET=whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=")})
	for range 100 { // until the rows were counted in the background
		if o, err := c.mirror.Sync().Overview(t.Context()); err == nil && !o.CountedAt.IsZero() {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	var out bytes.Buffer
	addrs := []net.Addr{&net.TCPAddr{IP: net.IPv6zero, Port: 8080}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081}}
	printServing(t.Context(), &out, terminal{width: 200}, cfg, startedServer{mirror: c.mirror, addrs: addrs})
	for _, want := range []string{
		"\nmirror     sqlite://", ", 2 users, 1 organization, 2 memberships", "\nClerk      read and changed with the secret key; webhooks verified with 1 secret",
		"\noperators  http://127.0.0.1:8081/console/ and the API", "\npublic     http://localhost:8080: webhooks at /api/webhooks/clerk",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	nothing := keysOf(mustLoad(t, config.Options{Environ: []string{"CLERKSYNC_LISTEN=127.0.0.1:0"}}))
	if want := "not read: there is no secret key; webhooks are refused: there is no webhook secret"; nothing != want {
		t.Errorf("without keys: %s", nothing)
	}
}
