package testenv

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// connectTimeout bounds one administrative statement, creating a database included.
const connectTimeout = 30 * time.Second

// sharedServer is the one server of this test process. It lives in a package
// variable because that is its scope: the testing package knows no other value
// that all tests of a process share without a TestMain in every package.
var sharedServer = sync.OnceValues(func() (*server, error) { return startServer(ServerOptions{}) })

// Postgres returns the URL of a new, empty database that only this test uses
// and that is dropped when the test ends.
//
// The database is made in the server named by TEST_POSTGRES_URL (a postgres://
// URL of a role that may create databases) or, when that is unset, in a private
// server that this process starts on a Unix socket. The private server is tuned
// for speed and does not survive a power cut; ask [NewPostgresServer] for a
// durable one. Its default collation is linguistic where the installation can,
// so that a query which forgets COLLATE "C" shows.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	admin := os.Getenv("TEST_POSTGRES_URL")
	if admin == "" {
		s, err := sharedServer()
		if err != nil {
			t.Fatalf("testenv: %v", err)
		}
		admin = s.dsn()
	}
	dsn, name, err := freshDatabase(admin)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	if err := execute(admin, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		t.Fatalf("testenv: create a database (does the role of TEST_POSTGRES_URL have CREATEDB?): %v", err)
	}
	t.Cleanup(func() {
		if err := execute(admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("testenv: drop the test database: %v", err)
		}
	})
	return dsn
}

// freshDatabase names a database that does not exist yet, and its URL on the same server as the
// admin's.
func freshDatabase(admin string) (dsn, name string, err error) {
	u, err := url.Parse(admin)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// The cause would quote the URL, and with it a password.
		return "", "", errors.New("TEST_POSTGRES_URL: want postgres://user:password@host/database")
	}
	name = "test_" + strings.ToLower(rand.Text())
	u.Path = "/" + name
	return u.String(), name, nil
}

func execute(dsn, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return cmp.Or(err, conn.Close(ctx))
}

// PostgresServer is a server of its own for one test. Its methods fail the test
// on error and belong on the test's goroutine.
type PostgresServer struct {
	t testing.TB
	s *server
}

// NewPostgresServer starts a server that nothing else uses and removes it when the test ends.
func NewPostgresServer(t testing.TB, opts ServerOptions) *PostgresServer {
	t.Helper()
	s, err := startServer(opts)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(s.remove)
	return &PostgresServer{t: t, s: s}
}

// DSN returns the URL of the server's one database, empty at first. It stays the same over
// restarts.
func (p *PostgresServer) DSN() string { return p.s.dsn() }

// Stop shuts the server down in order: open connections are cut, committed data is kept.
func (p *PostgresServer) Stop() {
	p.t.Helper()
	p.check(p.s.end(syscall.SIGINT))
}

// Start starts the server after [PostgresServer.Stop] or [PostgresServer.Kill] and waits until it
// accepts connections.
func (p *PostgresServer) Start() {
	p.t.Helper()
	p.check(p.s.start())
}

// Kill ends the server and its backends with SIGKILL, as a crash of the machine would.
// What was committed is there after [PostgresServer.Start], which recovers from the log.
func (p *PostgresServer) Kill() {
	p.t.Helper()
	p.check(p.s.end(syscall.SIGKILL))
}

func (p *PostgresServer) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("testenv: %v", err)
	}
}
