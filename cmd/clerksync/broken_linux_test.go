package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
)

// nobody is the system user of that name, who owns nothing.
const nobody = 65534

// broken is a world in which a command cannot work, and what the person reads who starts it.
type broken struct {
	heading string // of docs/troubleshooting.md
	args    []string
	environ []string
	says    []string // besides the heading
	limit   string   // of the shell, such as "ulimit -n 12"
	nobody  bool     // run as a user who owns nothing
}

// person runs commands and reads what they print.
type person struct {
	*testing.T
	binary, folder string // both can be read by everyone
	*reading
}

// reading is what was printed, by the heading that it is under.
type reading struct {
	mu   sync.Mutex
	read map[string]string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	folder := t.TempDir()
	binary := build(t)
	for _, path := range []string{folder, filepath.Dir(binary)} {
		for ; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
			must(t, os.Chmod(path, 0o755))
		}
	}
	return &person{T: t, binary: binary, folder: folder, reading: &reading{read: map[string]string{}}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *person) path(name string) string { return filepath.Join(p.folder, name) }

// file writes a file of the world.
func (p *person) file(name, content string, mode os.FileMode) string {
	p.Helper()
	must(p.T, os.WriteFile(p.path(name), []byte(content), mode))
	return p.path(name)
}

func (p *person) dir(name string, mode os.FileMode) string {
	p.Helper()
	must(p.T, os.Mkdir(p.path(name), mode))
	must(p.T, os.Chmod(p.path(name), mode))
	return p.path(name)
}

// mount makes a small file system, if this test may. Its caller skips what needs one otherwise.
func (p *person) mount(name, size string) (path string, ok bool) {
	p.Helper()
	path = p.dir(name, 0o755)
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size="+size); err != nil {
		p.Logf("cannot mount a file system here (%v): full and read-only ones are not tested", err)
		return path, false
	}
	p.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			p.Error(err)
		}
	})
	return path, true
}

// try runs a command to its end, and returns all that it printed.
func (p *person) try(c broken) (output string, code int) {
	p.Helper()
	if c.args == nil {
		c.args = []string{"serve"}
	}
	ctx, cancel := context.WithTimeout(p.Context(), 2*time.Minute)
	defer cancel()
	words := append([]string{p.binary}, c.args...)
	if c.limit != "" {
		words = append([]string{"/bin/sh", "-c", c.limit + `; exec "$@"`, "sh"}, words...)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = p.folder
	cmd.Env = append([]string{
		"HOME=" + p.folder, "CLERKSYNC_LISTEN=127.0.0.1:0", "CLERKSYNC_OPERATOR_LISTEN=off", "CLERKSYNC_LOG_FORMAT=text", "CLERKSYNC_DATABASE_WAIT=0s",
	}, c.environ...)
	if c.nobody && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !exit.Exited()) {
		p.Fatalf("%v: %v\n%s", c.args, err, &out)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// pattern matches the texts that a heading stands for.
func pattern(heading string) *regexp.Regexp {
	return regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(heading), "…", ".+"))
}

// reads notes that a text under a heading of the document was printed.
func (p *person) reads(heading, output string) {
	p.Helper()
	if !pattern(heading).MatchString(output) {
		p.Errorf("nothing like %q in\n%s", heading, output)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read[heading] = output
}

// What people read when the world is broken is what docs/troubleshooting.md says: each message of
// it is printed by the real program, and nothing that was tried here lacks there.
func TestABrokenWorldIsExplained(t *testing.T) {
	p := newPerson(t)
	cases := slices.Concat(p.addresses(), p.postgres(), p.files(), p.settings(), p.clerk())
	t.Run("commands", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.heading, func(t *testing.T) {
				t.Parallel()
				(&person{t, p.binary, p.folder, p.reading}).fails(c)
			})
		}
	})
	p.whileRunning()
	p.documented()
}

// fails runs a command that fails, and checks what it prints.
func (p *person) fails(c broken) {
	p.Helper()
	output, code := p.try(c)
	p.reads(c.heading, output)
	for _, text := range c.says {
		if !strings.Contains(output, text) {
			p.Errorf("no %q in\n%s", text, output)
		}
	}
	if code != 1 {
		p.Errorf("exit code %d", code)
	}
	if strings.Contains(output, "hunter2") || strings.Contains(output, "goroutine ") {
		p.Errorf("a secret or a stack is printed:\n%s", output)
	}
}

// documented compares what was read with the headings of the document.
func (p *person) documented() {
	p.Helper()
	content, err := os.ReadFile(filepath.Join(testenv.Root(p.T), "docs", "troubleshooting.md"))
	must(p.T, err)
	documented := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^### `(.+)`$").FindAllStringSubmatch(string(content), -1) {
		documented[match[1]] = true
		if p.read[match[1]] == "" {
			p.Errorf("docs/troubleshooting.md has a message that was not printed: %s", match[1])
		}
	}
	for heading := range p.read {
		if !documented[heading] {
			p.Errorf("docs/troubleshooting.md lacks %q", heading)
		}
	}
}

// addresses are those that a server cannot listen on.
func (p *person) addresses() []broken {
	p.Helper()
	taken, err := (&net.ListenConfig{}).Listen(p.Context(), "tcp", "127.0.0.1:0")
	must(p.T, err)
	p.Cleanup(func() { _ = taken.Close() })
	database := "DATABASE_URL=sqlite:" + p.path("addresses.db")
	own := "DATABASE_URL=sqlite:" + filepath.Join(p.dir("nobody", 0o777), "clerk.db")
	cases := []broken{{
		heading: "… is in use by … (CLERKSYNC_LISTEN)", environ: []string{database, "CLERKSYNC_LISTEN=" + taken.Addr().String()},
		says: []string{"error: " + taken.Addr().String(), ", process ", "cannot receive requests", "Stop that process"},
	}, {
		heading: "… is not an address of this machine (CLERKSYNC_LISTEN)", environ: []string{database, "CLERKSYNC_LISTEN=192.0.2.1:8080"},
		says: []string{"the port alone"},
	}, {
		heading: "… cannot be found: no such host (CLERKSYNC_OPERATOR_LISTEN)",
		environ: []string{database, "CLERKSYNC_OPERATOR_LISTEN=no-such-host.invalid:8081", "CLERKSYNC_OPERATOR_TOKEN=" + strings.Repeat("t", 32)},
		says:    []string{"the port alone"},
	}}
	const privileged = "… may not be used: permission denied (CLERKSYNC_LISTEN)"
	if first, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); strings.TrimSpace(string(first)) != "0" {
		return append(cases, broken{
			heading: privileged, nobody: true, environ: []string{own, "CLERKSYNC_LISTEN=127.0.0.1:81"}, says: []string{"from 1024 on", "CAP_NET_BIND_SERVICE"},
		})
	}
	p.Log("every user may listen on any port here: a low one is not tested")
	p.read[privileged] = "not tested"
	return cases
}

// files are databases of SQLite that cannot be used.
func (p *person) files() []broken {
	p.Helper()
	url := func(path string) []string { return []string{"DATABASE_URL=sqlite:" + path} }
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(i * i)
	}
	cases := []broken{
		{heading: "The SQLite file … cannot be opened: no such file or directory.", environ: url(p.path("none/clerk.db")), says: []string{"create the folder"}},
		{heading: "The SQLite file … cannot be opened: is a directory.", environ: url(p.dir("folder", 0o755)), says: []string{"Correct the path"}},
		{heading: "The SQLite file … is not an SQLite database.", environ: url(p.file("noise.db", string(noise), 0o600)), says: []string{"move the file away"}},
		{heading: "The SQLite file … is damaged.", environ: url(p.damaged()), says: []string{"from a backup"}},
		{heading: "the database has a newer schema than this version … knows", environ: url(p.newer()), says: []string{"run the newer version"}},
		{heading: "The SQLite file … is locked by another process.", environ: url(p.locked()), says: []string{"End the process"}},
		{heading: "The SQLite file … cannot be opened: permission denied.", nobody: true, environ: url(filepath.Join(p.dir("closed", 0o755), "clerk.db")), says: []string{"right to read and write"}},
		{heading: "the process may open only … files", limit: "ulimit -n 8", environ: url(p.path("limit.db")), says: []string{"ulimit -n"}},
		{heading: "there is no database yet: …", args: []string{"status"}, environ: url(p.path("absent.db")), says: []string{"clerksync serve"}},
	}
	for heading, remount := range map[string]uintptr{
		"The SQLite file … cannot be written: read-only file system.": syscall.MS_REMOUNT | syscall.MS_RDONLY,
		"The SQLite file … cannot grow: the disk is full.":            0,
	} {
		size, says := "64k", "Make room"
		if remount != 0 {
			size, says = "1m", "a volume"
		}
		path, ok := p.mount(fmt.Sprint("mount", remount), size)
		if !ok {
			p.read[heading] = "not tested"
			continue
		}
		if remount != 0 {
			must(p.T, syscall.Mount("tmpfs", path, "tmpfs", remount, ""))
		}
		cases = append(cases, broken{heading: heading, environ: url(filepath.Join(path, "clerk.db")), says: []string{says}})
	}
	return cases
}

// migrated makes a database.
func (p *person) migrated(name string) (path string) {
	p.Helper()
	path = p.path(name)
	if output, code := p.try(broken{args: []string{"migrate"}, environ: []string{"DATABASE_URL=sqlite:" + path}}); code != 0 {
		p.Fatal(output)
	}
	return path
}

// damaged returns a database of which all but the first page is overwritten.
func (p *person) damaged() string {
	p.Helper()
	path := p.migrated("damaged.db")
	content, err := os.ReadFile(path)
	must(p.T, err)
	for i := range content[4096:] {
		content[4096+i] = 0xAA
	}
	return p.file("damaged.db", string(content), 0o600)
}

func (p *person) newer() string {
	p.Helper()
	path := p.migrated("newer.db")
	db, err := sqlite.Open(path)
	must(p.T, err)
	must(p.T, db.Exec(p.Context(), "INSERT INTO clerk_migrations (name, checksum, applied_at) VALUES ('9999_later.sql', 'x', 1)"))
	must(p.T, db.Close())
	return path
}

// locked returns a database that this process holds locked until the test ends.
func (p *person) locked() string {
	p.Helper()
	path := p.migrated("locked.db")
	db, err := sqlite.Open(path)
	must(p.T, err)
	p.Cleanup(func() { _ = db.Close() })
	must(p.T, db.Exec(p.Context(), "BEGIN EXCLUSIVE"))
	return path
}

// settings are those that cannot be read.
func (p *person) settings() []broken {
	p.Helper()
	return []broken{{
		heading: "configuration file cannot be read: …", environ: []string{"CLERKSYNC_CONFIG=" + p.path("none.yaml")}, says: []string{"readable file"},
	}, {
		heading: "configuration file has an unknown key on line …", environ: []string{"CLERKSYNC_CONFIG=" + p.file("key.yaml", "clerksync_lisen: :80\n", 0o644)},
		says: []string{"clerksync_lisen", "nearest known key is clerksync_listen"},
	}, {
		heading: "secret key comes from an empty file (CLERK_SECRET_KEY_FILE)", environ: []string{"CLERK_SECRET_KEY_FILE=" + p.file("empty", "", 0o644)},
		says: []string{"Write the value into the file"},
	}, {
		heading: "secret key cannot be read: permission denied (CLERK_SECRET_KEY_FILE)", nobody: true, environ: []string{"CLERK_SECRET_KEY_FILE=" + p.file("private", "sk_test_x", 0o000)},
		says: []string{"Let the user that runs clerksync read the file"},
	}, {
		heading: "secret key comes from a file that is written as UTF-16 (CLERK_SECRET_KEY_FILE)",
		environ: []string{"CLERK_SECRET_KEY_FILE=" + p.file("utf16", "\xff\xfes\x00k\x00", 0o644)}, says: []string{"Save the file as UTF-8"},
	}}
}
