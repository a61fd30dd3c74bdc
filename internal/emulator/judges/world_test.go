package judges

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
)

var (
	screenshots = flag.String("screenshots", "", "write pictures of the pages into this folder")
	signIns     = flag.Int("sign-ins", 0, "measure this many sign-ins by clerk-js")
)

// patience is how long a server may take to start, and Next.js to build.
const patience = 3 * time.Minute

// world is what all judges share.
type world struct {
	*emulator.Emulator

	keys    emulator.Keys
	browser *browsertest.Browser
	node    string
	folder  string // of the apps

	vite, plain string // addresses
}

// newWorld starts an emulator and a browser.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{node: testenv.Node(t), folder: filepath.Join("testdata", "apps")}
	requirePackages(t, w.folder)
	modules, err := filepath.Abs(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	e, err := emulator.New(emulator.Options{Seed: 18, NodeModules: modules})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	w.Emulator = e
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	w.keys = e.Keys(onLocalhost(server.URL))
	w.browser = browsertest.StartShared(t)
	return w
}

// onLocalhost returns an address by the name that browsers know. Cookies go by it.
func onLocalhost(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }

// environment is what the apps read: what `clerksync emulate --env` prints, and what keeps the SDKs
// and the frameworks from calling home.
func (w *world) environment(more ...string) []string {
	all := append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1", "NODE_OPTIONS=")
	for _, v := range w.keys.Environment("/__clerk") {
		all = append(all, v.Name+"="+v.Value)
	}
	return append(all, more...)
}

// program is a Node process without network.
type program struct {
	*exec.Cmd

	outside string // a machine that it is known to ask for

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// program prepares a Node program. It ends with the test, which fails if the program tried to
// connect to another machine.
func (w *world) program(t *testing.T, folder string, env []string, arguments ...string) *program {
	t.Helper()
	offline, err := filepath.Abs(filepath.Join(w.folder, "offline.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, w.node, append([]string{"--import", offline}, arguments...)...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = filepath.Join(w.folder, folder), env, time.Second
	p := &program{Cmd: cmd}
	cmd.Stderr = p
	t.Cleanup(func() {
		cancel()
		if cmd.Process != nil {
			_ = cmd.Wait() // it was killed
		}
		for line := range strings.Lines(p.said()) {
			if host, ok := strings.CutPrefix(strings.TrimSpace(line), "OUTSIDE: "); ok && host != p.outside {
				t.Errorf("%q asks for %s", arguments, host)
			}
		}
	})
	return p
}

// start starts a program that prints a line when it is ready, and returns the first line that
// holds.
func (p *program) start(t *testing.T, holds func(string) bool) string {
	t.Helper()
	if _, err := p.StdinPipe(); err != nil { // its end tells the program that the test is over
		t.Fatal(err)
	}
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1)
	go func() {
		defer close(lines)
		found := false
		for s := bufio.NewScanner(stdout); s.Scan(); {
			if !found && holds(s.Text()) {
				found = true
				lines <- s.Text()
			}
			fmt.Fprintln(p, s.Text())
		}
	}()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatalf("%q ended:\n%s", p.Args, p.said())
		}
		return line
	case <-time.After(patience):
		t.Fatalf("%q is not ready:\n%s", p.Args, p.said())
		return ""
	}
}

// startServers builds the Vite app and starts the servers that testdata/apps/servers.mjs describes.
func (w *world) startServers(t *testing.T) {
	t.Helper()
	p := w.program(t, ".", w.environment("VITE_OUT="+t.TempDir(), "CLERK_JWT_KEY="+w.keys.PEM), "servers.mjs")
	var addresses struct{ Vite string }
	read(t, p.start(t, func(line string) bool { return strings.HasPrefix(line, "{") }), &addresses)
	w.vite = addresses.Vite
}

func read(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// requirePackages fails where a package is not there, or is of another version than package.json
// names.
func requirePackages(t *testing.T, folder string) {
	t.Helper()
	var wanted struct{ Dependencies map[string]string }
	text, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	read(t, string(text), &wanted)
	for name, version := range wanted.Dependencies {
		var installed struct{ Version string }
		text, err := os.ReadFile(filepath.Join(folder, "node_modules", name, "package.json"))
		if err != nil {
			t.Fatalf("%v; make setup installs it", err)
		}
		if read(t, string(text), &installed); installed.Version != version {
			t.Fatalf("%s is of version %s, want %s; make setup installs it", name, installed.Version, version)
		}
	}
}
