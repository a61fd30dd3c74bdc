package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	superuser = "clerksync"
	// startTimeout bounds initdb and each start or stop; recovery after Kill is part of a start.
	startTimeout = 90 * time.Second
	pollPause    = 20 * time.Millisecond
	remedy       = "run `make setup` to install PostgreSQL, or set TEST_POSTGRES_URL"
)

// ServerOptions tunes a private PostgreSQL server; the zero value is the fast one.
type ServerOptions struct {
	Durable  bool              // keep fsync, synchronous commit and full page writes on, as in production
	Settings map[string]string // further lines of postgresql.conf, such as max_connections
}

// server is one private installation: a folder with data, socket and log, the
// server process, and a janitor that removes all of it once this process is gone.
type server struct {
	bin, dir string
	owner    *syscall.Credential // nil: this process's own user
	postgres *exec.Cmd
	exited   chan struct{} // closed when postgres has ended
	janitor  *exec.Cmd
	lifeline io.WriteCloser // the janitor's standard input
}

func startServer(opts ServerOptions) (*server, error) {
	bin, err := findPostgres(candidates())
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// Not t.TempDir: a Unix socket's path is limited to about 100 bytes.
	dir, err := os.MkdirTemp("", "clerksync-pg-")
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, dir: dir, owner: owner}
	if err := s.startJanitor(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err = s.initialize(opts); err == nil {
		err = s.start()
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// startJanitor starts a process that outlives this one by a moment. Each line it
// reads is the process id of the server, empty when there is none. The input ends
// when we end, even by SIGKILL; then it stops the server and removes the folder.
// A session of its own keeps Ctrl-C away from it.
func (s *server) startJanitor() error {
	const script = `while read -r line; do pid=$line; done
test -z "$pid" || kill -QUIT "$pid"
rm -rf "$1" || { sleep 1; rm -rf "$1"; }`
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	s.janitor = s.command(context.Background(), "/bin/sh", "-c", script, "sh", s.dir)
	s.janitor.Dir = "/" // it removes its own folder
	var err error
	if s.lifeline, err = s.janitor.StdinPipe(); err != nil {
		return err
	}
	return s.janitor.Start()
}

// remove ends the server at once and waits until its folder is gone.
func (s *server) remove() {
	_ = s.end(syscall.SIGQUIT)
	_ = s.lifeline.Close()
	_ = s.janitor.Wait()
}

func (s *server) initialize(opts ServerOptions) error {
	// Not every build has ICU; without it text sorts by bytes and tests are less strict.
	if s.initdb("--locale-provider=icu", "--icu-locale=en-US") != nil {
		if err := s.initdb(); err != nil {
			return err
		}
	}
	return s.configure(opts)
}

func (s *server) initdb(collation ...string) error {
	args := []string{"-D", s.path("data"), "-U", superuser, "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C"}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	out, err := s.command(ctx, filepath.Join(s.bin, "initdb"), append(args, collation...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *server) configure(opts ServerOptions) error {
	settings := map[string]string{
		"listen_addresses":        "", // the socket's folder is ours alone: no port, no password
		"unix_socket_directories": s.dir,
		"max_connections":         "200",
		"shared_buffers":          "32MB",
	}
	if !opts.Durable {
		settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"] = "off", "off", "off"
	}
	maps.Copy(settings, opts.Settings)
	var conf strings.Builder
	for k, v := range settings {
		fmt.Fprintf(&conf, "%s = '%s'\n", k, strings.ReplaceAll(v, "'", "''"))
	}
	f, err := os.OpenFile(s.path("data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(conf.String())
	return errors.Join(err, f.Close())
}

// start starts the server and waits until it accepts connections. It tries again
// while the backends of a killed predecessor, which outlive it by a moment, hold
// its shared memory: a new server refuses to start while they exist.
func (s *server) start() error {
	deadline := time.Now().Add(startTimeout)
	for {
		if err := s.launch(); err != nil {
			return err
		}
		err := s.awaitReady(deadline)
		if err == nil {
			return nil
		}
		log, _ := os.ReadFile(s.path("log"))
		if !strings.Contains(string(log), "pre-existing shared memory block") || time.Now().After(deadline) {
			return fmt.Errorf("start of postgres: %w\n%s", err, log)
		}
		time.Sleep(pollPause)
	}
}

func (s *server) launch() error {
	log, err := os.Create(s.path("log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	s.postgres = s.command(context.Background(), filepath.Join(s.bin, "postgres"), "-D", s.path("data"))
	s.postgres.Stdout, s.postgres.Stderr = log, log
	if err := s.postgres.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		_ = s.postgres.Wait() // how it ended is in the log
	}()
	_, err = fmt.Fprintln(s.lifeline, s.postgres.Process.Pid)
	return err
}

func (s *server) awaitReady(deadline time.Time) error {
	for {
		err := execute(s.dsn(), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it ended at once")
		case <-time.After(pollPause):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// end sends the signal to a running server and waits until it is gone.
func (s *server) end(sig syscall.Signal) error {
	if s.postgres == nil || s.postgres.Process == nil {
		return nil
	}
	var backends []int
	if sig == syscall.SIGKILL { // they would serve their connections for a while yet
		backends = children(s.postgres.Process.Pid)
	}
	if err := s.postgres.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	for _, pid := range backends {
		_ = syscall.Kill(pid, sig) // it may have ended already
	}
	select {
	case <-s.exited:
	case <-time.After(startTimeout):
		return fmt.Errorf("postgres did not end within %s of %s", startTimeout, sig)
	}
	_, err := fmt.Fprintln(s.lifeline)
	return err
}

// children are the processes that a process started, as far as the system tells.
func children(parent int) []int {
	var pids []int
	all, _ := filepath.Glob("/proc/[0-9]*/status") // the pattern is well formed
	for _, path := range all {
		status, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", parent)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *server) dsn() string {
	q := url.Values{"host": {s.dir}, "port": {"5432"}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/postgres", RawQuery: q.Encode()}).String()
}

func (s *server) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// command prepares a program that runs as the owner of the data.
func (s *server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir // the owner may not enter our working directory
	// A clean environment: PGDATA, PGPORT and the like of the caller must not leak in.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + s.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setsid: true}
	return cmd
}

// candidates lists the folders that may hold PostgreSQL's programs: that of the
// initdb in PATH, then where packages put them, the newest first.
func candidates() []string {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	packaged, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
	slices.SortFunc(packaged, func(a, b string) int { return version(b) - version(a) })
	dirs = append(dirs, packaged...)
	return append(dirs, "/usr/local/bin", "/usr/local/pgsql/bin", "/opt/homebrew/bin")
}

// findPostgres returns the first folder with both initdb and postgres.
func findPostgres(dirs []string) (string, error) {
	for _, dir := range dirs {
		if executable(dir, "initdb") && executable(dir, "postgres") {
			return dir, nil
		}
	}
	return "", errors.New("no PostgreSQL server found: " + remedy)
}

// version reads the major version off /usr/lib/postgresql/<version>/bin; 0 if it is none.
func version(bin string) int {
	v, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return v
}

func executable(dir, name string) bool {
	_, err := exec.LookPath(filepath.Join(dir, name))
	return err == nil
}

// unprivileged returns whom root becomes to run PostgreSQL, which refuses root; nil if we are not
// root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no credential is a value: stay who we are
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody: " + remedy)
}
