package emulator_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
)

// terminals are shells in one folder, with the command of this checkout in PATH.
type terminals struct {
	*testing.T
	folder string
	env    []string
}

// shell prepares a line of a shell.
func (s *terminals) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-ec", line)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.folder, s.env, time.Second
	return cmd
}

// begin starts what goes on until the test ends.
func (s *terminals) begin(line string) {
	s.Helper()
	cmd := s.shell(context.Background(), line)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if s.Failed() {
			s.Logf("%s\n%s", line, said.String())
		}
	})
}

// await waits until a condition holds.
func (s *terminals) await(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatal("in vain waited for " + what)
		}
	}
}

// answer runs a line and decodes what it prints.
func (s *terminals) answer(line string, into any) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	out, err := s.shell(ctx, line).Output()
	if err != nil {
		s.Fatalf("%s: %v", line, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		s.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// judgeShell types what docs/emulator.md shows for three terminals: a server and its Clerk, a user,
// a token, faults. Only the ports are others.
func judgeShell(t *testing.T, folder string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	s := &terminals{t, work, []string{
		"PATH=" + folder + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + work,
		"CLERKSYNC_EMULATE_LISTEN=127.0.0.1:0", "CLERKSYNC_LISTEN=" + address, "CLERKSYNC_OPERATOR_LISTEN=off",
	}}
	document := string(testenv.Fixture(t, "docs/emulator.md"))
	shown := func(begin, end string) string {
		_, rest, found := strings.Cut(document, begin)
		text, _, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("docs/emulator.md does not show %q", begin)
		}
		return strings.ReplaceAll(begin+text, "127.0.0.1:8080", address)
	}
	s.begin("exec " + strings.TrimSpace(shown("    clerksync emulate --seed 1 --env --webhook-url", "\n")))
	s.await("clerk.env", func() bool {
		text, err := os.ReadFile(filepath.Join(work, "clerk.env"))
		return err == nil && strings.Contains(string(text), "TELEMETRY_DISABLED")
	})
	s.begin(strings.Replace(strings.TrimSpace(shown("    . ./clerk.env && clerksync serve", "\n")), "&& ", "&& exec ", 1))
	me := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/auth/me", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	s.await("the server", func() bool { return me("") == http.StatusUnauthorized })

	typed := strings.TrimPrefix(shown("```sh\n. ./clerk.env", "```"), "```sh\n")
	create, issue, found := strings.Cut(typed, "\ncurl -s $CLERK_API_URL/_emulator/tokens")
	if !found {
		t.Fatal("docs/emulator.md does not show how a token is issued")
	}
	var user struct{ ID string }
	s.answer(create, &user)
	var token struct{ JWT string }
	s.answer(". ./clerk.env\ncurl -s $CLERK_API_URL/_emulator/tokens"+strings.Replace(issue, "user_…", user.ID, 1), &token)
	s.await("the user in the mirror", func() bool { return me(token.JWT) == http.StatusOK })
	var faults struct{ Duplicate float64 }
	s.answer(". ./clerk.env\n"+strings.TrimPrefix(shown("```sh\ncurl -s -X PUT $CLERK_API_URL/_emulator/faults", "```"), "```sh\n"), &faults)
	if faults.Duplicate != 0.2 {
		t.Errorf("faults: %+v", faults)
	}
}
