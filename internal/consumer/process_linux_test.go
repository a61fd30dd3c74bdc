package consumer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// These tests need real processes, which are killed and stopped. The test binary runs itself.

const childOf = "CLERKSYNC_TEST_CONSUMER"

func TestMain(m *testing.M) {
	if engine, dsn, found := strings.Cut(os.Getenv(childOf), " "); found {
		if err := child(engine, dsn, os.Getenv("CLERKSYNC_TEST_LOG")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is the process: a consumer whose work is a line in a log. The user "slow" takes a second.
func child(engine, dsn, logFile string) (err error) {
	var db *store.DB
	if engine == "sqlite" {
		db, err = sqlite.Open(dsn)
	} else {
		db, err = postgres.Open(dsn)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	out, err := os.OpenFile(logFile, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := consumer.New(consumer.Config{DB: db, Feed: feed.New(feed.Config{DB: db})})
	return s.Run(ctx, "mail", func(_ context.Context, c mirror.Change) error {
		if c.ID == "slow" {
			fmt.Fprintf(out, "begin %s %d\n", c.ID, os.Getpid())
			<-time.After(time.Second)
		}
		_, err := fmt.Fprintf(out, "done %s %d\n", c.ID, os.Getpid())
		return err
	}, consumer.Options{Start: mirror.FeedStart, SaveChanges: 10, SaveEvery: time.Minute, Lease: 2 * time.Second})
}

// processes is a log to which any number of child processes write.
type processes struct {
	*env
	database *testkit.Database
	logFile  string
}

// eachProcesses runs a test on both engines.
func eachProcesses(t *testing.T, test func(*processes)) {
	t.Helper()
	eachEngine(t, func(e *env, d *testkit.Database) {
		test(&processes{e, d, filepath.Join(e.TempDir(), "log")})
	})
}

// start starts a child process, which is killed when the test ends.
func (p *processes) start() *exec.Cmd {
	p.Helper()
	self, err := os.Executable()
	p.must(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childOf+"="+p.database.Engine+" "+p.database.DSN, "CLERKSYNC_TEST_LOG="+p.logFile)
	cmd.Stderr = os.Stderr
	p.must(cmd.Start())
	p.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// lines returns the log: what was done, on which user, by which process.
func (p *processes) lines() (lines [][3]string) {
	p.Helper()
	file, err := os.Open(p.logFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p.must(err)
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if parts := strings.Fields(scanner.Text()); len(parts) == 3 {
			lines = append(lines, [3]string(parts))
		}
	}
	return lines
}

// await waits for a line of the log.
func (p *processes) await(what string, found func([][3]string) bool) {
	p.Helper()
	for end := time.Now().Add(time.Minute); !found(p.lines()); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("there is no %s in %v", what, p.lines())
		}
	}
}

func (p *processes) awaitDone(id string) {
	p.Helper()
	p.await("done "+id, func(lines [][3]string) bool {
		return slices.ContainsFunc(lines, func(l [3]string) bool { return l[0] == "done" && l[1] == id })
	})
}

// A process that is killed between its work and saving its place repeats a little and loses
// nothing.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	eachProcesses(t, func(p *processes) {
		p.change(append(users(0, 55), "slow")...)
		p.change(users(55, 100)...)
		first := p.start()
		p.await("begin slow", func(lines [][3]string) bool {
			return slices.ContainsFunc(lines, func(l [3]string) bool { return l[0] == "begin" })
		})
		p.must(first.Process.Kill())
		_ = first.Wait()
		killed := len(p.lines()) - 1
		saved := p.consumer()
		p.start()
		p.awaitDone("user_99")
		times := map[string]int{}
		for _, l := range p.lines() {
			if l[0] == "done" {
				times[l[1]]++
			}
		}
		repeated := 0
		for _, id := range append(users(0, 100), "slow") {
			if times[id] == 0 {
				p.Errorf("%s was lost", id)
			}
			repeated += max(0, times[id]-1)
		}
		if killed != 55 || repeated < 1 || repeated > 10 {
			p.Errorf("after %d changes the process was killed at %s, and %d were repeated; up to 10 may be", killed, saved.Cursor, repeated)
		}
	})
}

// A process that is stopped for longer than its lease is succeeded by another one. When it goes on,
// it ends the call that it was in, so that both did that work, and then does nothing and moves
// nothing until it has the lease again.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	eachProcesses(t, func(p *processes) {
		p.change("user_0", "slow", "user_1")
		first := p.start()
		p.await("begin slow", func(lines [][3]string) bool {
			return slices.ContainsFunc(lines, func(l [3]string) bool { return l[0] == "begin" })
		})
		p.must(first.Process.Signal(syscall.SIGSTOP))
		second := p.start()
		p.awaitDone("user_1")
		p.must(first.Process.Signal(syscall.SIGCONT))
		pid := strconv.Itoa(first.Process.Pid)
		p.await("end of the first call", func(lines [][3]string) bool {
			return slices.Contains(lines, [3]string{"done", "slow", pid})
		})
		place := int64(0)
		for i := 2; i < 40; i++ {
			p.change(fmt.Sprint("user_", i))
			<-time.After(50 * time.Millisecond)
			seq, _, err := p.consumer().Cursor.Split()
			p.must(err)
			if seq < place {
				p.Errorf("the place went back from %d to %d", place, seq)
			}
			place = seq
		}
		p.awaitDone("user_39")
		for _, l := range p.lines() {
			if l[2] == pid && l[1] != "slow" && l[1] != "user_0" {
				p.Errorf("the first process did %v without the lease", l)
			}
		}
		p.must(second.Process.Kill())
		_ = second.Wait()
		p.change("last")
		p.await("done last by the first process", func(lines [][3]string) bool {
			return slices.Contains(lines, [3]string{"done", "last", pid})
		})
	})
}

// An orderly end saves the place: nothing is repeated.
func TestTerminatedProcess(t *testing.T) {
	t.Parallel()
	eachProcesses(t, func(p *processes) {
		p.change(users(0, 5)...)
		first := p.start()
		p.awaitDone("user_4")
		p.must(first.Process.Signal(syscall.SIGTERM))
		p.must(first.Wait())
		if c := p.consumer(); c.LagChanges != 0 || c.Holder != "" {
			p.Errorf("%+v", c)
		}
		p.change("last")
		p.start()
		p.awaitDone("last")
		if n := len(p.lines()); n != 6 {
			p.Errorf("%d calls for 6 changes", n)
		}
	})
}
