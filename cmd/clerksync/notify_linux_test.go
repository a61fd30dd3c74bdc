package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
)

// A server under systemd says that it is ready when it answers, that it works while it answers, and
// that it stops; one that is stopped in the middle says nothing.
func TestServerReportsToSystemd(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for name, socket := range map[string]string{
		"a path": filepath.Join(t.TempDir(), "notify"), "an abstract socket": fmt.Sprintf("@clerksync-serve-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = manager.Close() })
			address := testenv.FreeAddress(t)
			cmd := exec.Command(binary, "serve", "--listen", address, "--operator-listen", "off")
			cmd.Env = []string{
				"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_WEBHOOK_SIGNING_SECRET=" + secret,
				"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=900000",
			}
			var log strings.Builder
			cmd.Stderr = &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })

			awaitReport(t, manager, "STATUS=Opening the database")
			ready := awaitReport(t, manager, "READY=1")
			client := &http.Client{Timeout: time.Minute}
			response, err := client.Get("http://" + address + "/livez") //nolint:noctx // it has a timeout
			if err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusOK {
				t.Errorf("a server that says it is ready answers %v, %v", response, err)
			}
			if !regexp.MustCompile(`(?m)^STATUS=(Not ready: .+|Ready)$`).MatchString(ready) {
				t.Errorf("the first report is %q", ready)
			}
			awaitReport(t, manager, "WATCHDOG=1")

			signal(t, cmd, syscall.SIGSTOP)
			for message := "on its way"; message != ""; {
				message = readReport(t, manager, 1500*time.Millisecond)
			}
			signal(t, cmd, syscall.SIGCONT)
			awaitReport(t, manager, "WATCHDOG=1")

			signal(t, cmd, syscall.SIGTERM)
			awaitReport(t, manager, "STOPPING=1")
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, log.String())
			}
		})
	}
}

func signal(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// readReport returns the next message to systemd, "" if none comes in time.
func readReport(t *testing.T, manager *net.UnixConn, within time.Duration) string {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 4096)
	n, err := manager.Read(message)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return string(message[:n])
}

// awaitReport returns the first message that has a line, and fails if none comes.
func awaitReport(t *testing.T, manager *net.UnixConn, line string) string {
	t.Helper()
	for range 1000 {
		message := readReport(t, manager, time.Minute)
		if slices.Contains(strings.Split(message, "\n"), line) {
			return message
		}
		if message == "" {
			break
		}
	}
	t.Fatalf("%s did not come", line)
	return ""
}
