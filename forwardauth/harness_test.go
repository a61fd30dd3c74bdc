package forwardauth_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/sqlite"
)

const (
	appOrigin = "https://app.example.com"
	secret    = "0123456789abcdef0123456789abcdef-identity"
	patience  = time.Minute
)

// site is everything but the proxy: an emulated Clerk, a mirror, the handler on a port, and an
// application behind.
type site struct {
	*testing.T
	clerk  *clerktest.Clerk
	policy *forwardauth.Policy
	auth   *httptest.Server
	app    *application

	ada, grace           string // growth, admin
	adaToken, graceToken string
}

const sitePolicy = `{"routes": [
	{"path": "/public/**", "public": true},
	{"path": "/open", "methods": ["OPTIONS", "GET"], "public": true},
	{"path": "/app/**"},
	{"path": "/admin/**", "require": {"role": "admin"}},
	{"path": "/growth/**", "methods": ["GET"], "require": {"min_role": "growth"}},
	{"path": "/shut/**", "deny": true},
	{"path": "/locked", "require": {"feature": "reports"}}
]}`

func newSite(t *testing.T, kind forwardauth.Proxy) *site {
	t.Helper()
	c := clerktest.New(t)
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	config.StalePolicy, config.AuthorizedParties = clerksync.StaleTrust, []string{appOrigin}
	config.UpgradeURL = "https://app.example.com/pricing"
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	c.SendTo(m.WebhookHandler())
	policy, err := forwardauth.ParsePolicy([]byte(sitePolicy))
	if err != nil {
		t.Fatal(err)
	}
	h, err := forwardauth.New(m, forwardauth.Config{
		Policy: policy, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Proxy: kind, IdentitySecret: secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/webhooks/clerk", m.WebhookHandler())
	s := &site{T: t, clerk: c, policy: policy, app: newApplication(t)}
	s.auth = httptest.NewServer(web.Standard(web.Config{}, h.Middleware(mux)))
	t.Cleanup(s.auth.Close)
	s.ada = c.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	s.grace = c.CreateUser(clerktest.User{Email: "grace@example.com", Role: "admin"})
	s.adaToken = c.TokenFor(clerktest.TokenOptions{UserID: s.ada, AZP: appOrigin})
	s.graceToken = c.TokenFor(clerktest.TokenOptions{UserID: s.grace, AZP: appOrigin})
	c.Settle()
	return s
}

// application echoes and records the requests that reach it.
type application struct {
	*httptest.Server
	mu   sync.Mutex
	seen []echo
}

type echo struct {
	Method, Target, Host string
	Header               http.Header
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		e := echo{r.Method, r.RequestURI, r.Host, r.Header.Clone()}
		a.mu.Lock()
		a.seen = append(a.seen, e)
		a.mu.Unlock()
		if r.Header.Get("Upgrade") != "" {
			switchProtocols(w)
			return
		}
		_ = json.NewEncoder(w).Encode(e)
	}))
	t.Cleanup(a.Close)
	return a
}

// switchProtocols switches protocols and echoes a line.
func switchProtocols(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	line, _ := rw.ReadString('\n')
	_, _ = io.WriteString(conn, line)
}

// take returns the requests that arrived since the last call.
func (a *application) take() []echo {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}

// proxy is a real proxy in front of a site.
type proxy struct {
	*site
	kind    forwardauth.Proxy
	address string
}

// answer is a response that a client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// eachProxy runs a test through real nginx and real Caddy, with the configurations of examples/,
// and through nginx as ingress-nginx configures it.
func eachProxy(t *testing.T, test func(p *proxy)) {
	t.Helper()
	for kind, start := range map[forwardauth.Proxy]func(*site) string{
		forwardauth.ProxyNginx: startNginx, forwardauth.ProxyCaddy: startCaddy, forwardauth.ProxyIngressNginx: startIngressNginx,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, kind)
			test(&proxy{s, kind, start(s)})
		})
	}
}

// configuration returns a file of the repository with the addresses of this test.
func (s *site) configuration(path, listen string, more ...string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(s.T), path))
	if err != nil {
		s.Fatal(err)
	}
	replaced := strings.NewReplacer(append(more,
		"127.0.0.1:8080", strings.TrimPrefix(s.auth.URL, "http://"), "127.0.0.1:9000", strings.TrimPrefix(s.app.URL, "http://"),
		"127.0.0.1:8000", listen)...).Replace(string(text))
	file := filepath.Join(s.TempDir(), filepath.Base(path))
	if err := os.WriteFile(file, []byte(replaced), 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

func startNginx(s *site) string { return s.startNginx("examples/nginx/nginx.conf") }

func (s *site) startNginx(path string, more ...string) string {
	s.Helper()
	listen := testenv.FreeAddress(s.T)
	file := s.configuration(path, listen, more...)
	folder := filepath.Dir(file)
	if err := os.Mkdir(filepath.Join(folder, "tmp"), 0o700); err != nil {
		s.Fatal(err)
	}
	s.run(listen, exec.Command(program(s.T, "nginx", "/usr/sbin/nginx"), "-p", folder, "-c", file, "-g", "daemon off; master_process off;"))
	return listen
}

func startCaddy(s *site) string {
	s.Helper()
	listen := testenv.FreeAddress(s.T)
	_, port, _ := net.SplitHostPort(listen)
	file := s.configuration("examples/caddy/Caddyfile", listen, "http://:8000", "http://:"+port)
	cmd := exec.Command(program(s.T, "caddy"), "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(file), "XDG_CONFIG_HOME="+filepath.Dir(file), "XDG_DATA_HOME="+filepath.Dir(file))
	s.run(listen, cmd)
	return listen
}

func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: run `make setup`", names[0])
	return ""
}

// run starts a program, waits until it listens, and stops it at the end of the test.
func (s *site) run(listen string, cmd *exec.Cmd) {
	s.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	exited := make(chan struct{})
	var ended atomic.Bool
	go func() {
		_ = cmd.Wait()
		ended.Store(true)
		close(exited)
	}()
	s.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if s.Failed() {
			s.Logf("%s wrote:\n%s", cmd.Path, &output)
		}
	})
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.DialTimeout("tcp", listen, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if ended.Load() || time.Now().After(deadline) {
			s.Fatalf("%s does not listen: %v", cmd.Path, err)
		}
		select {
		case <-exited:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// raw sends bytes unchanged and reads one response.
func (p *proxy) raw(request string) answer {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		p.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		return answer{}
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{} // the proxy hung up: nothing was passed on, or application.take tells
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}
}

// send writes a request with headers as lines, each "Name: value".
func (p *proxy) send(method, target, token string, lines ...string) answer {
	p.Helper()
	return p.raw(requestText(method, target, token, lines...))
}

func requestText(method, target, token string, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: app.example.com\r\n", method, target)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	connection := false
	for _, line := range lines {
		connection = connection || strings.HasPrefix(strings.ToLower(line), "connection:")
		b.WriteString(line + "\r\n")
	}
	if !connection {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// arrived returns the one request that reached the application.
func (p *proxy) arrived() echo {
	p.Helper()
	seen := p.app.take()
	if len(seen) != 1 {
		p.Fatalf("%d requests reached the application, want 1: %v", len(seen), seen)
	}
	return seen[0]
}
