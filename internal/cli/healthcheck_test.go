package cli

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	serve := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/livez" || r.Method != http.MethodGet {
				status = http.StatusNotFound
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://127.0.0.1:")
	}
	alive := serve(200, `{"status":"alive"}`)
	other, broken := serve(200, "<html>"), serve(503, `{"status":"alive"}`)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, unused, _ := net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	file := filepath.Join(t.TempDir(), "clerksync.yaml")
	// other settings do not matter here, valid or not
	if err := os.WriteFile(file, []byte("clerksync_listen: 127.0.0.1:"+alive+"\nclerksync_roles: [a, a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := "CLERK_SECRET_KEY_FILE=" + filepath.Join(t.TempDir(), "none")
	for _, tc := range []struct {
		name    string
		environ []string
		args    string
		code    int
		says    string
	}{
		{"all addresses", []string{"CLERKSYNC_LISTEN=:" + alive}, "", 0, "alive"},
		{"all of IPv4", []string{"CLERKSYNC_LISTEN=0.0.0.0:" + alive}, "", 0, "alive"},
		{"all of IPv6", []string{"CLERKSYNC_LISTEN=[::]:" + alive}, "", 0, "alive"},
		{"one address", []string{"CLERKSYNC_LISTEN=127.0.0.1:" + alive}, "", 0, "alive"},
		{"a name", []string{"CLERKSYNC_LISTEN=localhost:" + alive}, "", 0, "alive"},
		{"a platform's variable", []string{"PORT=" + alive}, "", 0, "alive"},
		{"the flag", []string{"PORT=" + unused}, "--listen :" + alive, 0, "alive"},
		{"the file", nil, "--config " + file, 0, "alive"},
		{"no proxy", []string{"CLERKSYNC_LISTEN=:" + alive, "HTTP_PROXY=http://127.0.0.1:" + unused}, "", 0, "alive"},
		{"a secret that is not there now", []string{"CLERKSYNC_LISTEN=:" + alive, missing}, "", 0, "alive"},
		{"a database that does not answer", []string{"CLERKSYNC_LISTEN=:" + alive, "DATABASE_URL=postgres://127.0.0.1:" + unused + "/x"}, "", 0, "alive"},
		{"no server", []string{"CLERKSYNC_LISTEN=:" + unused}, "", 1, "connection refused"},
		{"another server", []string{"CLERKSYNC_LISTEN=:" + other}, "", 1, "no clerksync"},
		{"an error", []string{"CLERKSYNC_LISTEN=:" + broken}, "", 1, "503"},
		{"any port", []string{"CLERKSYNC_LISTEN=:0"}, "", 1, "CLERKSYNC_LISTEN"},
		{"no address", []string{"CLERKSYNC_LISTEN=8080 or so"}, "", 1, "CLERKSYNC_LISTEN"},
		{"no file", nil, "--config " + file + ".none", 1, "--config"},
	} {
		var out bytes.Buffer
		code := Main(append([]string{"healthcheck"}, strings.Fields(tc.args)...), tc.environ, &out, &out)
		if code != tc.code || !strings.Contains(out.String(), tc.says) {
			t.Errorf("%s: exit code %d, want %d: %s", tc.name, code, tc.code, &out)
		}
	}
}

func TestHealthcheckGivesUp(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	var out bytes.Buffer
	if code := Main([]string{"healthcheck", "--timeout", "50ms", "--listen", silent.Addr().String()}, nil, &out, &out); code != 1 || !strings.Contains(out.String(), "deadline") {
		t.Errorf("exit code %d: %s", code, &out)
	}
}
