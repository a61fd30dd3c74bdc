package api

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
)

// Real nginx and real Caddy, with the settings that docs/changes.md recommends, deliver each event
// at once and do not compress it.
func TestProxiesDeliverAtOnce(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, string) string{"nginx": startNginx, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, Options{})
			url, stop := serve(t, s.h)
			address := start(t, strings.TrimPrefix(url, "http://"))
			stream := connect(t, "http://"+address+"/api/changes?kind=users&type=user.created", "")
			stream.started(t)
			if got := stream.header.Get("Content-Encoding"); got != "" {
				t.Errorf("encoded as %q", got)
			}
			for i := range 5 {
				began := time.Now()
				id := s.clerk.CreateUser(userNumber(i))
				if c := stream.event(t); c.change().ID != id {
					t.Fatalf("%+v, want %s", c, id)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("an event takes %s", took)
				}
			}
			if a := s.get("http://" + address + "/api/changes?wait=1&after=" + string(s.page("").Next)); a.status != 200 {
				t.Errorf("a long poll: %d %s", a.status, a.body)
			}
			began := time.Now()
			if err := stop(); err != nil || time.Since(began) > 5*time.Second {
				t.Errorf("the server stops after %s: %v", time.Since(began), err)
			}
		})
	}
}

// recipe returns a block of docs/changes.md, with the address of a test's server.
func recipe(t *testing.T, language, begins, upstream string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "changes.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(found[1], begins) {
			return strings.ReplaceAll(found[1], "127.0.0.1:8081", upstream)
		}
	}
	t.Fatalf("docs/changes.md has no %s that begins with %q", language, begins)
	return ""
}

func startNginx(t *testing.T, upstream string) (address string) {
	t.Helper()
	address, folder := testenv.FreeAddress(t), t.TempDir()
	return startProxy(t, address, folder, "nginx.conf", `worker_processes 1; error_log stderr warn; pid nginx.pid; events {}
http { access_log off; gzip on; gzip_types *;
`+testenv.NginxFolders()+"server { listen "+address+";\n"+recipe(t, "nginx", "location", upstream)+"}}\n",
		"nginx", "-p", folder, "-c", filepath.Join(folder, "nginx.conf"), "-g", "daemon off; master_process off;")
}

func startCaddy(t *testing.T, upstream string) (address string) {
	t.Helper()
	address, folder := testenv.FreeAddress(t), t.TempDir()
	_, port, _ := net.SplitHostPort(address)
	return startProxy(t, address, folder, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\nhttp://:"+port+" {\n\tbind 127.0.0.1\n\tencode gzip\n"+
		recipe(t, "text", "handle", upstream)+"}\n", "caddy", "run", "--config", filepath.Join(folder, "Caddyfile"), "--adapter", "caddyfile")
}

// startProxy writes a configuration, starts the program, and waits until it listens.
func startProxy(t *testing.T, address, folder, file, configuration string, command ...string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, file), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		path = filepath.Join("/usr/sbin", command[0])
	}
	cmd := exec.Command(path, command[1:]...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run `make setup`", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", command[0], &output)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", command[0], err, &output)
		}
	}
}
