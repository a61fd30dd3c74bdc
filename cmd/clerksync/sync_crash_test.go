package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/internal/viewreader"
)

// instance is an emulated Clerk, and a database that processes of the real binary keep equal to it.
type instance struct {
	*testing.T
	clerk            *emulator.Emulator
	url              string
	binary, database string
	open             func() (*store.DB, error)
	raw              *sql.DB // beside the processes

	mu    sync.Mutex
	asked chan string // hears the path of each request, if not nil
	hold  string      // the first answer of this path waits …
	held  chan struct{}
	free  chan struct{} // … until this is closed
	first time.Time     // when a list was asked for first, if it is zero
}

// ServeHTTP is the Backend API.
func (c *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	asked, held, free := c.asked, c.held, c.free
	wait := c.hold != "" && strings.HasPrefix(r.URL.Path, c.hold)
	if wait {
		c.hold = ""
	}
	if c.first.IsZero() && r.URL.Query().Has("limit") {
		c.first = time.Now()
	}
	c.mu.Unlock()
	if asked != nil {
		select {
		case asked <- r.URL.Path:
		default:
		}
	}
	if !wait {
		c.clerk.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder() // as it is now
	c.clerk.ServeHTTP(answer, r)
	close(held)
	<-free
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (c *instance) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// command prepares the real binary; its standard error is kept.
func (c *instance) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(c.binary, args...)
	cmd.Env = []string{
		"DATABASE_URL=" + c.database, "CLERK_WEBHOOK_SIGNING_SECRET=" + secret, "HOME=" + c.TempDir(), "CLERKSYNC_API_BUDGET=100%",
		"CLERK_SECRET_KEY=" + c.clerk.Keys("").SecretKey, "CLERK_API_URL=" + c.url, "CLERK_ISSUER=" + c.clerk.Keys("").Issuer,
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	return cmd, &log
}

// run runs a command to its end and answers its exit code.
func (c *instance) run(args ...string) (code int, log string) {
	c.Helper()
	cmd, stderr := c.command(args...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// killed runs a command and kills it some requests later, and a moment; then its lease has run out.
// It reports whether the command was killed: one that had less to do has ended well.
func (c *instance) killed(requests int, args ...string) bool {
	c.Helper()
	killed := c.kill(requests, args...)
	_, err := c.raw.ExecContext(c.Context(), "UPDATE clerk_leases SET expires_at = 0") // as 30 s later
	c.must(err)
	return killed
}

// quiet is how long a server that has done its work asks nothing, at most: then it is killed
// anyway. Its next walk would be due ten minutes later.
const quiet = 5 * time.Second

// kill runs a command and kills it some requests later, and a moment. It reports whether it did:
// a command that had less to do has ended well.
func (c *instance) kill(requests int, args ...string) bool {
	c.Helper()
	asked := make(chan string, 1000)
	c.mu.Lock()
	c.asked = asked
	c.mu.Unlock()
	cmd, log := c.command(args...)
	c.must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	endedWell := func() {
		<-ended
		if !cmd.ProcessState.Success() {
			c.Fatalf("%v ended before it was killed:\n%s", args, log)
		}
	}
	for waiting := true; waiting && requests > 0; requests-- {
		select {
		case <-asked:
		case <-ended:
			endedWell()
			return false
		case <-time.After(quiet):
			waiting = false
		}
	}
	<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond) // anywhere in the work, not a condition to wait for
	if err := cmd.Process.Kill(); errors.Is(err, os.ErrProcessDone) {
		endedWell()
		return false
	} else if err != nil {
		c.Fatal(err)
	}
	<-ended
	c.mu.Lock()
	c.asked = nil
	c.mu.Unlock()
	return true
}

// killAt kills a command while Clerk holds back its first answer of a path.
func (c *instance) killAt(path string, args ...string) {
	c.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	defer close(free)
	c.forget()
	c.mu.Lock()
	c.hold, c.held, c.free = path, held, free
	c.mu.Unlock()
	cmd, log := c.command(args...)
	c.must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	select {
	case <-held:
	case <-ended:
		c.Fatalf("%v ended before it was killed:\n%s", args, log)
	}
	c.must(cmd.Process.Kill())
	<-ended
}

// listed returns when a list was asked for first since the last call of forget, zero if none was.
func (c *instance) listed() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// forget forgets when a list was asked for first.
func (c *instance) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = time.Time{}
}

// equal fails with what the database has otherwise than Clerk.
func (c *instance) equal() {
	c.Helper()
	db, err := c.open()
	c.must(err)
	m, err := clerksync.New(c.Context(), driver.NewHandle(db), clerksync.Config{WebhookSecrets: []string{secret}})
	c.must(err)
	defer m.Close()
	read := viewreader.FromAPI(m)
	delete(read, "session")
	differences, err := c.clerk.Differences(c.Context(), read)
	c.must(err)
	if len(differences) > 0 {
		c.Errorf("%d differences: %s", len(differences), strings.Join(differences[:min(10, len(differences))], "\n"))
	}
}

// change lets people live, and nobody hear of it.
func (c *instance) change(deeds int) {
	c.Helper()
	for range deeds {
		_, err := c.clerk.Step(c.Context())
		c.must(err)
	}
}

// promote makes members admins, and nobody hears of it.
func (c *instance) promote(n int) {
	c.Helper()
	var list struct {
		Data []struct {
			Organization struct{ ID string }
			User         struct {
				ID string `json:"user_id"`
			} `json:"public_user_data"`
		}
	}
	c.must(c.clerk.Call(c.Context(), "GET", "/v1/organization_memberships?limit=500", nil, &list))
	for _, m := range list.Data[:n] {
		path := "/v1/organizations/" + m.Organization.ID + "/memberships/" + m.User.ID
		c.must(c.clerk.Call(c.Context(), "PATCH", path, map[string]any{"role": "org:admin"}, nil))
	}
}

func newInstance(t *testing.T, binary, engine string, options emulator.Options) *instance {
	t.Helper()
	if engine == "postgres" {
		return newInstanceOnPostgres(t, binary, testenv.Postgres(t), options)
	}
	path := filepath.Join(t.TempDir(), "clerk.db")
	c := &instance{T: t, binary: binary, database: "sqlite:" + path, open: func() (*store.DB, error) { return sqlite.Open(path) }}
	c.begin(options)
	c.raw = testkit.PlainSQL(t, "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	return c
}

func newInstanceOnPostgres(t *testing.T, binary, dsn string, options emulator.Options) *instance {
	t.Helper()
	c := &instance{T: t, binary: binary, database: dsn, open: func() (*store.DB, error) { return postgres.Open(dsn) }}
	c.begin(options)
	c.raw = testkit.PlainSQL(t, "pgx", dsn)
	return c
}

// begin starts the emulated Clerk and migrates the database.
func (c *instance) begin(options emulator.Options) {
	c.Helper()
	c.held, c.free = make(chan struct{}), make(chan struct{})
	var err error
	c.clerk, err = emulator.New(options)
	c.must(err)
	c.Cleanup(c.clerk.Close)
	server := httptest.NewServer(c)
	c.Cleanup(server.Close)
	c.url = server.URL
	if code, log := c.run("migrate"); code != 0 {
		c.Fatal(log)
	}
}

func kills(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_KILLS")); err == nil {
		return n
	}
	return otherwise
}

// A backfill that is killed anywhere goes on; a server that is killed in its daily walk, or while
// it repairs, leaves nothing wrong behind, and one reconcile brings the rest.
func TestBackfillWalkAndRepairSurviveKill(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := newInstance(t, binary, engine, emulator.Options{Users: 3000, Organizations: 40, Memberships: 3000})
			killed := 0
			// A backfill that goes on where the last was killed may have little left to read, and
			// after one that ended comes a whole one.
			for n := 0; n < kills(3) || killed == 0 && n < 20; n++ {
				if c.killed(2+rand.IntN(8), "backfill") {
					killed++
				}
			}
			if killed == 0 {
				t.Error("no backfill was killed: nothing was tested")
			}
			t.Logf("%d backfills were killed", killed)
			if code, log := c.run("backfill"); code != 0 {
				t.Fatalf("exit code %d:\n%s", code, log)
			}
			c.equal()
			for range kills(3) {
				c.change(40)
				_, err := c.raw.ExecContext(t.Context(), "UPDATE clerk_walks SET begun_at = begun_at - 90000000") // a day later
				c.must(err)
				if !c.killed(4+rand.IntN(14), "serve", "--listen", "127.0.0.1:0", "--operator-listen", "off") {
					t.Fatal("the server ended by itself")
				}
			}
			c.change(40)
			if code, log := c.run("reconcile", "--allow-mass-delete"); code != 3 {
				t.Errorf("a reconcile that repairs ends with %d:\n%s", code, log)
			}
			c.equal()
			if code, log := c.run("reconcile"); code != 0 {
				t.Errorf("a reconcile that has nothing to repair ends with %d:\n%s", code, log)
			}
		})
	}
}

// A reconcile that sleeps longer than its lease finds that another has taken over. The page that it
// still has in hand is old by then, and is not written.
func TestReconcileThatWasPausedIsRefused(t *testing.T) {
	t.Parallel()
	c := newInstance(t, build(t), "sqlite", emulator.Options{Users: 100, Organizations: 5, Memberships: 200})
	if code, log := c.run("backfill"); code != 0 {
		t.Fatal(log)
	}
	c.mu.Lock()
	c.hold = "/v1/organization_memberships"
	c.mu.Unlock()
	paused, log := c.command("reconcile")
	c.must(paused.Start())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	select {
	case <-c.held:
	case <-ctx.Done():
		t.Fatalf("it never asked for memberships:\n%s", log)
	}
	c.must(paused.Process.Signal(syscall.SIGSTOP))
	c.promote(50) // what the paused one was told is old
	began := time.Now()
	if code, log := c.run("reconcile"); code != 3 {
		t.Errorf("the one that took over ends with %d:\n%s", code, log)
	}
	if took := time.Since(began); took < 5*time.Second { // it lives: its lease has to run out
		t.Errorf("the other took over after %s", took)
	}
	c.equal()
	before := c.writes()
	close(c.free)
	c.must(paused.Process.Signal(syscall.SIGCONT))
	_ = paused.Wait()
	if code := paused.ProcessState.ExitCode(); code != 1 || !strings.Contains(log.String(), "another process has taken the lease over") {
		t.Errorf("the paused one ends with %d:\n%s", code, log)
	}
	c.equal()
	rows := 0
	c.must(c.raw.QueryRowContext(t.Context(), "SELECT count(*) FROM clerk_memberships WHERE sync_write > $1", before).Scan(&rows))
	if rows != 0 {
		t.Errorf("it wrote %d memberships after all", rows)
	}
}

// writes is the counter of writing transactions.
func (c *instance) writes() (n int64) {
	c.Helper()
	c.must(c.raw.QueryRowContext(c.Context(), "SELECT writes FROM clerk_head").Scan(&n))
	return n
}
