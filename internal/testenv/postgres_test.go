package testenv

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childEnv makes the test binary start a server, print its folder and wait to be killed.
const childEnv = "CLERKSYNC_TESTENV_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	s, err := startServer(ServerOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.dir)
	select {}
}

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var s string
	if err := conn.QueryRow(t.Context(), sql).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPostgresGivesFreshDatabases(t *testing.T) {
	t.Parallel()
	var first string
	t.Run("one", func(t *testing.T) {
		first = Postgres(t)
		if err := execute(first, "CREATE TABLE things (id int)"); err != nil {
			t.Fatal(err)
		}
		if second := Postgres(t); second == first {
			t.Error("two calls returned one database")
		} else if got := query(t, second, "SELECT count(*)::text FROM pg_tables WHERE tablename = 'things'"); got != "0" {
			t.Error("a new database shows another's tables")
		}
	})
	if err := execute(first, "SELECT 1"); err == nil {
		t.Error("the database outlived its test")
	}
}

func TestPostgresInGivenServer(t *testing.T) {
	given := NewPostgresServer(t, ServerOptions{})
	t.Setenv("TEST_POSTGRES_URL", given.DSN())
	dsn := Postgres(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, given.DSN(), "SELECT datname FROM pg_database WHERE datname LIKE 'test_%'"); "/"+got != u.Path {
		t.Errorf("database %q, want %q in the given server", got, u.Path)
	}
}

func TestPostgresRefusals(t *testing.T) {
	for _, admin := range []string{"mysql://root:hunter2@localhost/x", "postgres://u:hunter2@local host:bad/", "host=x password=hunter2"} {
		t.Run(admin, func(t *testing.T) {
			t.Setenv("TEST_POSTGRES_URL", admin)
			got := failures(t, func(t testing.TB) { Postgres(t) })
			if !strings.Contains(got, "TEST_POSTGRES_URL") || strings.Contains(got, "hunter2") {
				t.Errorf("complaint = %q", got)
			}
		})
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		opts          ServerOptions
		setting, want string
	}{
		{ServerOptions{}, "fsync", "off"},
		{ServerOptions{Durable: true}, "fsync", "on"},
		{ServerOptions{Durable: true}, "synchronous_commit", "on"},
		{ServerOptions{Settings: map[string]string{"max_connections": "7"}}, "max_connections", "7"},
		{ServerOptions{Settings: map[string]string{"cluster_name": "it's"}}, "cluster_name", "it's"},
	}
	for _, tt := range tests {
		t.Run(tt.setting+"="+tt.want, func(t *testing.T) {
			t.Parallel()
			p := NewPostgresServer(t, tt.opts)
			if got := query(t, p.DSN(), "SHOW "+tt.setting); got != tt.want {
				t.Errorf("%s = %q, want %q", tt.setting, got, tt.want)
			}
		})
	}
}

func TestServerStopStartKill(t *testing.T) {
	t.Parallel()
	p := NewPostgresServer(t, ServerOptions{Durable: true})
	dsn := p.DSN()
	if err := execute(dsn, "CREATE TABLE kept AS SELECT 'yes' AS v"); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(){p.Stop, p.Kill} {
		open, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close(context.Background())
		end()
		if err := execute(dsn, "SELECT 1"); err == nil {
			t.Fatal("the ended server answers")
		}
		if _, err := open.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Fatal("a connection outlived the server")
		}
		p.Start()
		if got := query(t, dsn, "SELECT v FROM kept"); got != "yes" {
			t.Errorf("after the restart: %q", got)
		}
	}
}

func TestStartReportsItsLog(t *testing.T) {
	t.Parallel()
	got := failures(t, func(t testing.TB) {
		NewPostgresServer(t, ServerOptions{Settings: map[string]string{"no_such_setting": "1"}})
	})
	if !strings.Contains(got, "no_such_setting") {
		t.Errorf("complaint = %q", got)
	}
}

// A killed test run must leave neither a server nor its folder behind.
func TestNoOrphans(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childEnv+"=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(line)
	dsn := (&server{dir: dir}).dsn()
	if err := execute(dsn, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed, so it reports that

	deadline := time.Now().Add(startTimeout)
	for {
		_, err := os.Stat(dir)
		if os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
		time.Sleep(pollPause) // another process removes it; there is nothing to wait on
	}
	if err := execute(dsn, "SELECT 1"); err == nil {
		t.Error("the server is still there")
	}
}

func TestFindPostgres(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	want, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := findPostgres(candidates()); err != nil || got != want {
		t.Errorf("findPostgres = %q, %v, want the one in PATH, %q", got, err, want)
	}
	if _, err := findPostgres([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("with none installed: %v, want the remedy", err)
	}
	if got := version("/usr/lib/postgresql/15/bin"); got != 15 {
		t.Errorf("version = %d", got)
	}
}
