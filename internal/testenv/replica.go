package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Replica starts a read replica of the server, which follows it by streaming replication. It is
// removed when the test ends.
func (p *PostgresServer) Replica(t testing.TB) *PostgresServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "clerksync-pg-") //nolint:usetesting // the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	s := &server{bin: p.s.bin, dir: dir, owner: p.s.owner}
	if err := s.startJanitor(); err != nil {
		t.Fatal(errors.Join(err, os.RemoveAll(dir)))
	}
	t.Cleanup(s.remove)
	if err = s.copyOf(p.s); err == nil {
		err = s.start()
	}
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return &PostgresServer{t: t, s: s}
}

// copyOf copies the data of a running server, to follow it.
func (s *server) copyOf(primary *server) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	out, err := s.command(ctx, filepath.Join(s.bin, "pg_basebackup"), "-D", s.path("data"), "-h", primary.dir, "-p", "5432", "-U", superuser,
		"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	return s.configure(ServerOptions{})
}

// Execute runs a statement.
func (p *PostgresServer) Execute(statement string) {
	p.t.Helper()
	p.check(execute(p.s.dsn(), statement))
}
