package testenv

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Pooler is a PgBouncer in front of a Postgres server.
type Pooler struct {
	Pooling string            // transaction or session
	Options map[string]string // further lines of its configuration
}

// Start starts the pooler in front of the server of a connection string, until the test ends. It
// returns the connection string with which clients reach the same database through it.
func (p Pooler) Start(t testing.TB, dsn string) string {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Fatal("there is no pgbouncer: run `make setup`")
		}
	}
	behind, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the connection string is malformed")
	}
	owner, err := unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "clerksync-pgbouncer-") //nolint:usetesting // the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: dir, owner: owner}
	if err := s.startJanitor(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.lifeline.Close() // the janitor ends the pooler and removes the folder
		_ = s.janitor.Wait()
	})
	if err := os.WriteFile(s.path("pgbouncer.ini"), []byte(p.configuration(behind, dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(s.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command(context.Background(), binary, s.path("pgbouncer.ini"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }() // it ends with the janitor
	if _, err := fmt.Fprintln(s.lifeline, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	through := *behind
	through.Host = ""
	through.RawQuery = url.Values{"host": {dir}, "port": {"6432"}, "sslmode": {"disable"}}.Encode()
	for end := time.Now().Add(startTimeout); ; time.Sleep(pollPause) {
		err := execute(through.String()+"&default_query_exec_mode=simple_protocol", "SELECT 1")
		if err == nil {
			return through.String()
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(s.path("log"))
			t.Fatalf("pgbouncer does not answer: %v\n%s", err, said)
		}
	}
}

// configuration writes pgbouncer.ini: a socket in a folder of its own, and any user is the
// server's.
func (p Pooler) configuration(server *url.URL, dir string) string {
	host, port, user := server.Hostname(), server.Port(), server.User.Username()
	if q := server.Query(); q.Get("host") != "" {
		host, port = q.Get("host"), q.Get("port")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[databases]\n* = host=%s port=%s user=%s", host, port, user)
	if password, ok := server.User.Password(); ok {
		fmt.Fprintf(&b, " password=%s", password)
	}
	fmt.Fprintf(&b, "\n[pgbouncer]\nunix_socket_dir = %s\nlisten_port = 6432\nauth_type = any\npool_mode = %s\n", dir, p.Pooling)
	for name, value := range p.Options {
		fmt.Fprintf(&b, "%s = %s\n", name, value)
	}
	return b.String()
}
