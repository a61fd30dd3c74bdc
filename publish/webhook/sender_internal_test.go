package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// transport is an HTTP transport made of a function.
type transport func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
}

func read(t *testing.T, r *http.Request) []byte {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return body
}

// hijack takes the connection of a request and answers with raw bytes.
func hijack(t *testing.T, w http.ResponseWriter, use func(net.Conn)) {
	t.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	use(conn)
}

// Each kind of fault of a receiver is one failed attempt with its reason, within the time-outs.
func TestFaultyReceivers(t *testing.T) {
	t.Parallel()
	secrets := []string{newSecret()}
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(inner.Close)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		reason  string
	}{
		"accepts":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, 202, ""},
		"answers 500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 500, reasonStatus},
		"answers 404": {http.NotFound, 404, reasonStatus},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inner.URL, http.StatusMovedPermanently)
		}, 301, reasonRedirect},
		"redirects kept": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
		}, 307, reasonRedirect},
		"hangs":  {func(_ http.ResponseWriter, r *http.Request) { hang(r) }, 0, reasonTimeout},
		"closes": {func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, func(net.Conn) {}) }, 0, reasonConnection},
		"resets": {func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, reset) }, 0, reasonConnection},
		"speaks nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			hijack(t, w, func(c net.Conn) { fmt.Fprint(c, "hello\r\n\r\n") })
		}, 0, reasonConnection},
		"slow headers":    {func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, slowly) }, 0, reasonTimeout},
		"huge headers":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) }, 0, reasonConnection},
		"endless body":    {endless, 200, ""},
		"slow body":       {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200); flush(w); hang(r) }, 200, ""},
		"endless failure": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503); endless(w, r) }, 503, reasonStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.handler)
			t.Cleanup(server.Close)
			s := newSender(hosts{"127.0.0.1": true}, limits{connect: time.Second, attempt: 1500 * time.Millisecond})
			began := time.Now()
			a := s.send(t.Context(), server.URL, secrets, "msg_1", []byte("{}"))
			if a.status != c.status || a.reason != c.reason || time.Since(began) > 10*time.Second {
				t.Errorf("ended with %+v in %v", a, time.Since(began))
			}
		})
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func slowly(c net.Conn) {
	for _, b := range []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1000)) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// hang waits until the sender gave up, which a server notices after it has read the body.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
			return
		}
	}
}

// A connection that the receiver closed while it was idle is no failed attempt.
func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	type connection struct{}
	var answered atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests, _ := r.Context().Value(connection{}).(*atomic.Int64)
		if requests.Add(1) > 1 {
			hijack(t, w, func(net.Conn) {}) // as if the close had crossed the request
			return
		}
		if len(r.Header.Values("Idempotency-Key")) > 0 {
			t.Error("the key was sent")
		}
		answered.Add(1)
		w.WriteHeader(204)
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connection{}, new(atomic.Int64))
	}
	server.Start()
	t.Cleanup(server.Close)
	s := newSender(hosts{"127.0.0.1": true}, limits{connect: time.Second, attempt: 5 * time.Second})
	for range 3 {
		if a := s.send(t.Context(), server.URL, []string{newSecret()}, "msg_1", []byte("{}")); a.reason != "" {
			t.Errorf("ended with %+v", a)
		}
	}
	if answered.Load() != 3 {
		t.Errorf("%d answers", answered.Load())
	}
}

// Certificates are verified, and so is the name.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	t.Cleanup(server.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for name, c := range map[string]struct {
		url    string
		roots  *x509.CertPool
		reason string
	}{
		"trusted":        {server.URL, trusted, ""},
		"unknown":        {server.URL, nil, reasonTLS},
		"another name":   {"https://localhost:" + port, trusted, reasonTLS},
		"not TLS":        {strings.Replace(plain.URL, "http:", "https:", 1), trusted, reasonTLS},
		"plain to TLS":   {strings.Replace(server.URL, "https:", "http:", 1), trusted, reasonStatus},
		"no one listens": {"https://127.0.0.1:1", trusted, reasonRefused},
	} {
		s := newSender(hosts{"127.0.0.1": true, "localhost": true}, limits{connect: time.Second, attempt: 5 * time.Second, roots: c.roots})
		if a := s.send(t.Context(), c.url, []string{newSecret()}, "msg_1", []byte("{}")); a.reason != c.reason {
			t.Errorf("%s: ended with %+v", name, a)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		// public
		"1.1.1.1": "public", "93.184.216.34": "public", "100.63.255.255": "public", "172.32.0.1": "public", "2606:4700::1111": "public",
		"2001:4860:4860::8888": "public", "64:ff9b::101:101": "public", "::ffff:1.1.1.1": "public",
		// an operator may allow them by name
		"127.0.0.1": "local", "127.255.0.9": "local", "10.0.0.1": "local", "172.16.0.1": "local", "172.31.255.255": "local", "192.168.1.1": "local",
		"100.64.0.1": "local", "::1": "local", "fd00::1": "local", "fc00::1": "local", "::ffff:127.0.0.1": "local", "::ffff:10.0.0.1": "local",
		"64:ff9b::7f00:1": "local", "64:ff9b::a00:1": "local", "198.18.0.1": "local",
		// never
		"169.254.169.254": "never", "::ffff:169.254.169.254": "never", "64:ff9b::a9fe:a9fe": "never", "fd00:ec2::254": "never",
		"fd00:ec2::23": "never", "fd20:ce::254": "never", "fd00:c1::a9fe:a9fe": "never", "fd00:42::42": "never", "100.100.100.200": "never",
		"168.63.129.16": "never", "64:ff9b::a83f:8110": "never", "169.254.170.2": "never",
		"0.0.0.0": "never", "::": "never", "255.255.255.255": "never", "224.0.0.1": "never", "ff02::1": "never", "fe80::1": "never", "fe80::1%eth0": "never",
		"240.0.0.1": "never", "192.0.0.1": "never", "192.0.2.1": "never", "198.51.100.1": "never", "203.0.113.1": "never", "192.88.99.1": "never",
		"2001:db8::1": "never", "2002:7f00:1::": "never", "2002:a9fe:a9fe::1": "never", "2001::1": "never", "3fff::1": "never", "100::1": "never",
		"64:ff9b:1::1": "never", "::127.0.0.1": "never", "fec0::1": "never", "5f00::1": "never", "4000::1": "never",
	} {
		address, err := netip.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		got := "never"
		switch {
		case checkAddress(address, false) == nil:
			got = "public"
		case checkAddress(address, true) == nil:
			got = "local"
		}
		if got != want {
			t.Errorf("%s is %s, not %s", text, got, want)
		}
		if got == "public" && checkAddress(address, true) != nil {
			t.Errorf("%s is refused because its host is allowed", text)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	s := newSender(hosts{"hooks.internal": true, "127.0.0.1": true, "::1": true}, limits{})
	for _, good := range []string{
		"https://example.com", "https://example.com:8443/a?b=c", "http://127.0.0.1:9000/x", "http://[::1]:9000", "http://HOOKS.internal/", "http://hooks.internal./",
		"https://1.1.1.1/", "https://10.0.0.1.example.com/",
	} {
		if err := s.checkURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "example.com", "/hooks", "https://", "https:///x", "https:example.com", "ftp://example.com", "http://example.com", "https://u@example.com",
		"https://u:p@example.com", "https://example.com/#x", "https://example.com/#", "https://example.com:0", "https://example.com:99999", "https://10.0.0.1",
		"https://localhost.:x", "https://[::]/", "https://169.254.169.254/latest", "https://[fe80::1%25eth0]/", "https://[::ffff:127.0.0.1]/", "https://example.com/ x",
		"https://exämple.com/", "https://example.com/\n", "javascript:alert(1)", "https://example.com/" + strings.Repeat("x", maxURLBytes),
		"http://127.0.0.2/", "http://hooks.internal.example.com/",
	} {
		if s.checkURL(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	for _, bad := range []string{"", "http://hooks", "hooks:80", "*.example.com", "a/b", "u@h"} {
		if _, err := newHosts([]string{bad}); err == nil {
			t.Errorf("AllowHosts %q was accepted", bad)
		}
	}
}

// What a name resolves to is checked at the moment of the connection: a name server that answers
// otherwise the second time leads nowhere.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	names := newNames(t)
	names.answers(func(n int) []string { // public when the URL is looked at, private when it is used
		if n == 0 {
			return []string{"192.0.2.1"}
		}
		return []string{"127.0.0.1"}
	})
	l := limits{connect: time.Second, attempt: 2 * time.Second, resolver: names.resolver()}
	target := "https://rebind.example.com:" + port + "/"
	s := newSender(hosts{}, l)
	send := func(s *sender, target string) answer {
		return s.send(t.Context(), target, []string{newSecret()}, "msg_1", []byte("{}"))
	}
	for range 3 {
		if a := send(s, target); a.reason != reasonAddress {
			t.Errorf("ended with %+v", a)
		}
	}
	names.answers(func(int) []string { return []string{"127.0.0.1", "10.0.0.1"} }) // none of several is tried
	if a := send(s, target); a.reason != reasonAddress {
		t.Errorf("several addresses: ended with %+v", a)
	}
	if hits.Load() != 0 || names.asked.Load() < 4 {
		t.Errorf("%d connections, %d questions", hits.Load(), names.asked.Load())
	}
	allowed := newSender(hosts{"rebind.example.com": true}, l)
	if a := send(allowed, strings.Replace(target, "https:", "http:", 1)); a.reason != "" || hits.Load() != 1 {
		t.Errorf("allowed by name: ended with %+v, %d connections", a, hits.Load())
	}
	names.answers(func(int) []string { return []string{"169.254.169.254"} })
	allowed.client.CloseIdleConnections()
	if a := send(allowed, strings.Replace(target, "https:", "http:", 1)); a.reason != reasonAddress {
		t.Errorf("a name that is allowed led to metadata: %+v", a)
	}
	names.answers(func(int) []string { return nil })
	if a := send(s, "https://nowhere.example.com"); a.reason != reasonDNS {
		t.Errorf("a name without address: %+v", a)
	}
}

// Proxies of the environment would connect in our place.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	client, ok := newSender(nil, limits{}).client.Transport.(*http.Transport)
	if !ok || client.Proxy != nil || client.TLSClientConfig.InsecureSkipVerify {
		t.Error("the transport uses a proxy, or does not verify")
	}
}

// nameServer is a name server for addresses of IPv4.
type nameServer struct {
	conn  net.PacketConn
	asked atomic.Int64

	mu     sync.Mutex
	answer func(n int) []string
}

func newNames(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.serve()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return n
}

func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

// answers sets what the server returns, by the number of the question.
func (n *nameServer) answers(answer func(int) []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = answer
}

// serve replies to questions: addresses of IPv4, and none of IPv6.
func (n *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		end := 12 // of the header; then the labels of the name, and its type and class
		for end < size && buf[end] != 0 {
			end += 1 + int(buf[end])
		}
		end += 5
		if end > size {
			continue
		}
		var addresses []string
		if buf[end-3] == 1 { // A
			n.mu.Lock()
			addresses = n.answer(int(n.asked.Add(1) - 1))
			n.mu.Unlock()
		}
		reply := slices.Concat(buf[:2], []byte{0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, buf[12:end])
		for _, text := range addresses {
			ip := netip.MustParseAddr(text).As4()
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, ip[:]...)
		}
		_, _ = n.conn.WriteTo(reply, from)
	}
}
