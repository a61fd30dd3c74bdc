package cli

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
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
