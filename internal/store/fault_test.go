package store_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// answered is an error that Postgres reported.
type answered struct{ state, text string }

func (e answered) Error() string    { return e.text + " (SQLSTATE " + e.state + ")" }
func (e answered) SQLState() string { return e.state }

// resulted is an error of SQLite.
type resulted int

func (e resulted) Error() string { return fmt.Sprintf("sqlite: %d", int(e)) }
func (e resulted) Code() int     { return int(e) }

// What a database that cannot be used says, in words, with a remedy, and whether waiting helps.
func TestFaultsOfDatabasesAreExplained(t *testing.T) {
	t.Parallel()
	const place, file = "postgres://db:5433/clerk", "/data/clerk.db"
	connecting := func(err error) error { return fmt.Errorf("failed to connect to `user=x database=y`: db:5433: %w", err) }
	for _, c := range []struct {
		engine          store.Engine
		err             error
		problem, remedy string
		temporary       bool
	}{
		{store.Postgres, answered{"28P01", `FATAL: password authentication failed for user "x"`}, "refuses the password", "DATABASE_URL", false},
		{store.Postgres, answered{"28000", `FATAL: role "x" does not exist`}, "has no role of that name", "createuser", false},
		{store.Postgres, answered{"28000", `FATAL: role "x" is not permitted to log in`}, "does not let the role log in", "LOGIN", false},
		{store.Postgres, answered{"28000", `FATAL: Peer authentication failed for user "x"`}, "only the system user", "as that system user", false},
		{store.Postgres, answered{"28000", `FATAL: no pg_hba.conf entry for host "10.0.0.1", user "x", database "y", no encryption`}, "not without encryption", "sslmode=require", false},
		{store.Postgres, answered{"28000", `FATAL: no pg_hba.conf entry for host "10.0.0.1", user "x", database "y", SSL encryption`}, "does not let this machine in", "pg_hba.conf", false},
		{store.Postgres, answered{"28000", `FATAL: Zugriff verweigert`}, "refuses the user or the password", "DATABASE_URL", false},
		{store.Postgres, answered{"3D000", `FATAL: database "clerk" does not exist`}, "has no database of that name", "(createdb --host=db --port=5433 clerk)", false},
		{store.Postgres, answered{"42501", `ERROR: permission denied for schema public`}, "create tables", "GRANT USAGE, CREATE ON SCHEMA public", false},
		{store.Postgres, answered{"42501", `ERROR: permission denied for table clerk_users`}, "does not let the role do that", "Grant", false},
		{store.Postgres, answered{"53300", `FATAL: sorry, too many clients already`}, "has no connection left", "max_connections", true},
		{store.Postgres, answered{"53100", `ERROR: could not extend file`}, "has no room left on its disk", "Make room", false},
		{store.Postgres, answered{"57P03", `FATAL: the database system is starting up`}, "is starting or shutting down", "Wait", true},
		{store.Postgres, answered{"25006", `ERROR: cannot execute INSERT in a read-only transaction`}, "is read-only", "primary", false},
		{store.Postgres, connecting(&net.DNSError{Err: "no such host", IsNotFound: true}), "cannot be found: no such host", "DATABASE_URL", true},
		{store.Postgres, connecting(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), "the name server does not answer", "resolv.conf", true},
		{store.Postgres, connecting(syscall.ECONNREFUSED), "connection refused", "Start Postgres", true},
		{store.Postgres, connecting(&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}), "cannot be reached", "firewall", true},
		{store.Postgres, connecting(context.DeadlineExceeded), "does not answer in time", "firewall", true},
		{store.Postgres, connecting(fs.ErrNotExist), "cannot be reached by its socket", "Start Postgres", true},
		{store.Postgres, connecting(errors.New("tls error: server refused TLS connection")), "does not encrypt", "sslmode=disable", false},
		{store.Postgres, connecting(x509.UnknownAuthorityError{}), "does not trust", "sslrootcert=", false},
		{store.Postgres, connecting(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db"}), "another host name", "as the host", false},
		{store.Postgres, connecting(x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired}), "not valid now", "clock", false},
		{store.Postgres, connecting(x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.NotAuthorizedToSign}), "cannot be used", "Renew", false},
		{store.Postgres, answered{"42P01", `ERROR: relation "x" does not exist`}, "", "", false},
		{store.SQLite, &os.PathError{Op: "open", Path: file, Err: syscall.EACCES}, "permission denied", "right to read and write", false},
		{store.SQLite, &os.PathError{Op: "open", Path: file, Err: syscall.EROFS}, "cannot be written: read-only file system", "volume", false},
		{store.SQLite, &os.PathError{Op: "open", Path: file, Err: syscall.ENOENT}, "no such file or directory", "create the folder", false},
		{store.SQLite, &os.PathError{Op: "open", Path: file, Err: syscall.EISDIR}, "is a directory", "Correct the path", false},
		{store.SQLite, &os.PathError{Op: "open", Path: file, Err: syscall.EMFILE}, "too many open files", "ulimit -n", false},
		{store.SQLite, &os.PathError{Op: "open", Path: file, Err: syscall.ENOSPC}, "the disk is full", "Make room", false},
		{store.SQLite, resulted(5), "is locked by another process", "End the process", false},
		{store.SQLite, resulted(1544), "cannot be written", "right to read and write", false}, // READONLY_DIRECTORY
		{store.SQLite, resulted(11), "is damaged", "backup", false},
		{store.SQLite, resulted(13), "cannot grow: the disk is full", "Make room", false},
		{store.SQLite, resulted(4874), "cannot grow: the disk is full", "Make room", false}, // IOERR_SHMSIZE
		{store.SQLite, resulted(266), "the disk reports an error", "Check the disk", false}, // IOERR_READ
		{store.SQLite, resulted(14), "cannot be opened", "right to read and write", false},
		{store.SQLite, resulted(26), "is not an SQLite database", "move the file away", false},
		{store.SQLite, resulted(19), "", "", false}, // CONSTRAINT
	} {
		location := place
		if c.engine == store.SQLite {
			location = file
		}
		explained := store.Explain(c.engine, location, fmt.Errorf("migrate: %w", c.err))
		fault, ok := errors.AsType[*mirror.DatabaseError](explained)
		switch {
		case c.problem == "" && ok:
			t.Errorf("%v is explained as %v", c.err, explained)
		case c.problem == "":
		case !ok:
			t.Errorf("%v is not explained", c.err)
		case !strings.Contains(fault.Problem, c.problem) || !strings.Contains(fault.Remedy, c.remedy) || fault.Temporary != c.temporary:
			t.Errorf("%v: %q, %q, temporary %t", c.err, fault.Problem, fault.Remedy, fault.Temporary)
		case !strings.Contains(fault.Database, location) || !errors.Is(explained, c.err):
			t.Errorf("%v: the explanation is of %q and wraps %v", c.err, fault.Database, fault.Err)
		}
	}
}
