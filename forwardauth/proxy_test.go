package forwardauth_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/testenv"
)

// Real nginx and real Caddy, with the configurations that examples/ recommends.

func TestProxyPassesTheUser(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		if a := p.send("GET", "/app/x?q=1", p.adaToken); a.status != http.StatusOK {
			p.Fatalf("answered %d %s", a.status, a.body)
		}
		e := p.arrived()
		if e.Target != "/app/x?q=1" || e.Host != "app.example.com" {
			p.Errorf("arrived as %s of %s", e.Target, e.Host)
		}
		p.isAda(e)
		// without a token: 401, and nothing arrives
		a := p.send("GET", "/app/x", "")
		if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") || len(p.app.take()) > 0 {
			p.Errorf("without a token: %d %v", a.status, a.header)
		}
		// known, and not allowed
		if a := p.send("GET", "/admin/x", p.adaToken); a.status != http.StatusForbidden || len(p.app.take()) > 0 {
			p.Errorf("ada got %d from /admin", a.status)
		}
		if a := p.send("GET", "/admin/x", p.graceToken); a.status != http.StatusOK || p.arrived().Header.Get("X-Clerk-Role") != "admin" {
			p.Errorf("grace got %d from /admin", a.status)
		}
		a = p.send("GET", "/locked", p.adaToken)
		told := a.header.Get("X-Feature-Locked") == "reports" && a.header.Get("X-Upgrade-URL") != ""
		if a.status != http.StatusForbidden || told == (p.kind == forwardauth.ProxyIngressNginx) { // which has no line for it
			p.Errorf("/locked: %d %v", a.status, a.header)
		}
	})
}

// Clerk's webhooks carry no token. They reach clerksync, and nothing that looks like their path
// reaches the application without a check.
func TestProxyPassesWebhooks(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		if a := p.send("POST", "/api/webhooks/clerk", ""); a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_signature") {
			p.Errorf("a webhook without a signature: %d %s", a.status, a.body)
		}
		for _, path := range []string{
			"/api/webhooks/clerk/", "/api/webhooks/clerk/x", "/api/webhooks/clerk/../../../app/x", "/api/webhooks//clerk", "/API/webhooks/clerk",
			"/app/../api/webhooks/clerk", "/api/webhooks/%63lerk",
		} {
			if a := p.send("POST", path, ""); a.status == http.StatusOK || len(p.app.take()) > 0 {
				p.Errorf("%s: %d, or the application was reached", path, a.status)
			}
		}
		if seen := p.app.take(); len(seen) > 0 {
			p.Errorf("the application was reached: %v", seen)
		}
	})
}

// isAda checks that the identity headers are exactly those of ada.
func (p *proxy) isAda(e echo) {
	p.Helper()
	p.identity(e, map[string]string{"X-Clerk-User-Id": p.ada, "X-Clerk-Email": "ada@example.com", "X-Clerk-Email-Verified": "true", "X-Clerk-Role": "growth", "X-Clerk-Token-Kind": "session"})
	id, err := forwardauth.VerifyIdentity(secret, e.Header.Get("X-Clerk-Identity"), forwardauth.Audience{Host: e.Host, Path: e.Target}, time.Now())
	if err != nil || id.UserID != p.ada || id.Role != "growth" {
		p.Errorf("signed identity %+v, %v", id, err)
	}
}

func (p *proxy) identity(e echo, want map[string]string) {
	p.Helper()
	for _, name := range forwardauth.Headers() {
		values := e.Header[http.CanonicalHeaderKey(name)]
		switch {
		case len(values) > 1:
			p.Errorf("%s is there %d times", name, len(values))
		case name == forwardauth.HeaderSessionID || name == forwardauth.HeaderIdentity:
			if (e.Header.Get(name) != "") != (want[forwardauth.HeaderUserID] != "") {
				p.Errorf("%s = %q", name, e.Header.Get(name))
			}
		case e.Header.Get(name) != want[http.CanonicalHeaderKey(name)]:
			p.Errorf("%s = %q, want %q", name, e.Header.Get(name), want[name])
		}
	}
	for name, values := range e.Header {
		if known := http.CanonicalHeaderKey(name); folded(name) && !isIdentity(known) {
			p.Errorf("the application sees %s: %v", name, values)
		}
	}
}

// folded reports whether some server would take the name for an identity header: CGI makes an
// underscore of everything but letters and digits.
func folded(name string) bool {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
	return strings.HasPrefix(name, "x_clerk_")
}

func isIdentity(name string) bool {
	for _, known := range forwardauth.Headers() {
		if http.CanonicalHeaderKey(known) == name {
			return true
		}
	}
	return false
}

// Identity headers of a client never arrive, in any spelling, on any kind of route.
func TestProxyStripsClientsHeaders(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		for _, field := range []string{
			"user-id", "session-id", "org-id", "org-role", "role", "email", "email-verified", "actor", "token-kind", "machine-id",
			"client-id", "scopes", "identity", "anything", "auth-status",
		} {
			name := "x-clerk-" + field
			for _, alias := range []string{
				name, strings.ToUpper(name), http.CanonicalHeaderKey(name), strings.ReplaceAll(name, "-", "_"),
				strings.ToUpper(strings.ReplaceAll(name, "-", "_")), strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", "~"),
				strings.Replace(name, "x-clerk", "x_clerk", 1), strings.Replace(name, "x-clerk", "X-CLERK", 1), strings.Replace(name, "x-", "x.", 1),
			} {
				p.strips(alias + ": evil")
				p.strips(alias+": evil", alias+": evil2")
				p.strips(alias + ":")
			}
		}
		p.strips("X-Clerk-User-Id : evil") // a space before the colon
		p.strips("X-Clerk-User-Id: \r\n evil")
		p.strips("X-Clerk-User-Id:\tevil")
		p.strips("X-Another: a", " X-Clerk-User-Id: evil")
		p.strips("X-Other: a\rX-Clerk-User-Id: evil")
		p.strips("X-Other: a\nX-Clerk-User-Id: evil")
		p.strips("X-Clerk-User-Id\x00: evil")
	})
}

func (p *proxy) strips(lines ...string) {
	p.Helper()
	for _, c := range []struct{ target, token string }{{"/public/x", ""}, {"/public/x", p.adaToken}, {"/app/x", p.adaToken}, {"/public/x", "no.good.token"}} {
		a := p.send("GET", c.target, c.token, lines...)
		seen := p.app.take()
		if a.status == http.StatusOK != (len(seen) == 1) {
			p.Errorf("%q: answered %d, and %d requests arrived", lines, a.status, len(seen))
		}
		for _, e := range seen {
			if c.token == p.adaToken {
				p.isAda(e)
			} else {
				p.identity(e, nil)
			}
			if strings.Contains(fmt.Sprint(e.Header), "evil") && !strings.Contains(fmt.Sprint(lines), "X-Other") && !strings.Contains(fmt.Sprint(lines), "X-Another") {
				p.Errorf("%q arrives: %v", lines, e.Header)
			}
		}
	}
}

// Headers that a client lists in Connection are not lost on the way from the handler to the
// application, nor those of the proxy on the way to the handler.
func TestProxyHopByHop(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		lists := []string{
			"X-Original-Method, X-Original-URI", "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-For",
			"close, X-Clerk-User-Id, X-Clerk-Role", "X-Clerk-Identity, x-clerk-user-id", "keep-alive, X-Clerk-User-Id", strings.Join(forwardauth.Headers(), ","),
		}
		for _, list := range lists {
			for _, extra := range []string{"X-A: 1", "X-Clerk-User-Id: evil", "X-Original-URI: /public/x", "X-Forwarded-Uri: /public/x"} {
				a := p.send("GET", "/app/x", p.adaToken, "Connection: "+list, extra)
				for _, e := range p.app.take() {
					p.isAda(e)
				}
				// ingress-nginx passes on headers that only other proxies send. A client that sends
				// them is refused
				foreign := p.kind == forwardauth.ProxyIngressNginx && (strings.HasPrefix(extra, "X-Original") || strings.HasPrefix(extra, "X-Forwarded"))
				if (a.status != http.StatusOK) != foreign {
					p.Errorf("Connection: %s with %s: %d", list, extra, a.status)
				}
				if a := p.send("GET", "/admin/x", p.adaToken, "Connection: "+list, extra); a.status == http.StatusOK || len(p.app.take()) > 0 {
					p.Errorf("Connection: %s opens /admin: %d", list, a.status)
				}
			}
		}
		// a client that removes its own token is not signed in
		if a := p.send("GET", "/app/x", p.adaToken, "Connection: Authorization"); a.status == http.StatusOK {
			for _, e := range p.app.take() {
				p.isAda(e)
			}
		}
	})
}

// Nothing that a client sends about method, path or host counts, only the request
// itself.
func TestProxyForgedForwarding(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		headers := []string{
			"X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET", "X-Original-URI: /public/x", "X-Original-Method: GET",
			"X-Original-URL: /public/x", "X-Original-URL: /admin/x", "X-Rewrite-URL: /admin/x", "X-Forwarded-Host: evil.example.com",
			"X-Forwarded-Proto: https", "X-Forwarded-Prefix: /public", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1;host=x;proto=https",
			"X_Forwarded_Uri: /public/x", "X.Original.URI: /public/x", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: PUT",
			"X-Real-IP: 127.0.0.1", "User-Agent: GoogleHC/1.0", "User-Agent: kube-probe/1.30", "User-Agent: ELB-HealthChecker/2.0", // F6
		}
		for i, header := range headers {
			lines := []string{header, headers[(i+1)%len(headers)]}
			for _, target := range []string{"/admin/x", "/shut/x", "/nowhere", "/admin/x?a=/public/x", "/admin/x?/public/"} {
				if a := p.send("GET", target, p.adaToken, lines...); a.status == http.StatusOK || len(p.app.take()) > 0 {
					p.Errorf("%s with %q: %d", target, lines, a.status)
				}
			}
			if a := p.send("POST", "/growth/x", p.adaToken, append(lines, "Content-Length: 0")...); a.status == http.StatusOK || len(p.app.take()) > 0 {
				p.Errorf("POST /growth/x with %q: %d", lines, a.status)
			}
			// a request that may pass keeps method and path, and loses the headers that would
			// change them
			_ = p.send("GET", "/app/x", p.adaToken, lines...)
			for _, e := range p.app.take() {
				for _, name := range []string{"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "Forwarded", "X-Original-Uri", "X-Forwarded-Uri"} {
					if e.Header.Get(name) != "" {
						p.Errorf("the application sees %s: %s", name, e.Header.Get(name))
					}
				}
				if e.Header.Get("X-Forwarded-Host") == "evil.example.com" || e.Header.Get("X-Forwarded-For") != "127.0.0.1" {
					p.Errorf("the application sees %v", e.Header)
				}
			}
		}
	})
}

// No header by which an application may serve another method or path arrives, in no spelling;
// the request loses it or is refused.
func TestProxyOverrideHeaders(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE", "X-Method": "DELETE",
		"X-Original-URL": "/admin/x", "X-Original-URI": "/admin/x", "X-Rewrite-URL": "/admin/x", "X-Rewrite-URI": "/admin/x", "X-Override-URL": "/admin/x",
		"X-Forwarded-Uri": "/admin/x", "X-Forwarded-URL": "/admin/x", "X-Script-Name": "/public", "Script-Name": "/public", "Path-Info": "/admin/x",
	}
	fold := func(name string) string {
		return strings.NewReplacer("_", "-", ".", "-", "~", "-", "!", "-", "+", "-").Replace(strings.ToUpper(name))
	}
	dangerous := map[string]bool{"X-ORIGINAL-METHOD": true, "X-FORWARDED-METHOD": true}
	for name := range values {
		dangerous[fold(name)] = true
	}
	eachProxy(t, func(p *proxy) {
		for name, value := range values {
			for _, alias := range spellings(name) {
				for _, lines := range [][]string{{alias + ": " + value}, {alias + ": " + value, "Connection: close, " + alias}} {
					a := p.send("GET", "/public/x", p.adaToken, lines...)
					seen := p.app.take()
					if (a.status == http.StatusOK) != (len(seen) == 1) || a.status != http.StatusOK && a.status != http.StatusForbidden && a.status != http.StatusBadRequest {
						p.Errorf("%q: answered %d, %d requests arrived", lines, a.status, len(seen))
					}
					for _, e := range seen {
						for arrived := range e.Header {
							if dangerous[fold(arrived)] {
								p.Errorf("%q: the application sees %s", lines, arrived)
							}
						}
					}
				}
			}
		}
		// Laravel and others take the method from the query
		for target, status := range map[string]int{"/growth/x?_method=DELETE": 403, "/growth/x?%5Fmethod=delete": 403, "/growth/x?_method=GET": 200, "/app/x?_method=DELETE": 200} {
			if a := p.send("GET", target, p.adaToken); a.status != status || (len(p.app.take()) == 1) != (status == 200) {
				p.Errorf("%s: %d, want %d", target, a.status, status)
			}
		}
	})
}

// HEAD, OPTIONS and other methods get the rule that the policy has for them.
func TestProxyMethods(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		for _, c := range []struct {
			method, target string
			status         int
		}{
			{"HEAD", "/growth/x", 200},
			{"POST", "/growth/x", 403},
			{"OPTIONS", "/growth/x", 403},
			{"OPTIONS", "/app/x", 403},
			{"OPTIONS", "/open", 200},
			{"HEAD", "/open", 200},
			{"DELETE", "/app/x", 200},
			{"DELETE", "/open", 403},
			{"PROPFIND", "/app/x", 403},
			{"GETS", "/app/x", 403},
			{"get", "/app/x", 403},
			{"TRACE", "/app/x", 403},
		} {
			a := p.send(c.method, c.target, p.adaToken, "Content-Length: 0")
			seen := p.app.take()
			if a.status != c.status && (c.status == 200 || a.status < 400) || (len(seen) == 1) != (c.status == 200) {
				p.Errorf("%s %s: %d, want %d; %v", c.method, c.target, a.status, c.status, seen)
			}
			for _, e := range seen {
				if e.Method != c.method {
					p.Errorf("%s arrives as %s", c.method, e.Method)
				}
			}
		}
	})
}

// With a method that is not safe, a cookie counts only with a proof of the origin, which is that of
// the client's request.
func TestProxyCookies(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		cookie := "Cookie: __session=" + p.adaToken
		socket := []string{cookie, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
		for _, c := range []struct {
			name, method string
			lines        []string
			status       int
		}{
			{"safe", "GET", []string{cookie}, 200},
			{"without proof", "POST", []string{cookie, "Content-Length: 0"}, 403},
			{"same origin", "POST", []string{cookie, "Content-Length: 0", "Sec-Fetch-Site: same-origin", "Origin: https://app.example.com"}, 200},
			{"authorized party", "POST", []string{cookie, "Content-Length: 0", "Origin: https://app.example.com"}, 200},
			{"same host over plain http", "POST", []string{cookie, "Content-Length: 0", "Origin: http://app.example.com"}, 403},
			{"elsewhere", "POST", []string{cookie, "Content-Length: 0", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example.com"}, 403},
			{"forged host", "POST", []string{cookie, "Content-Length: 0", "Origin: https://evil.example.com", "X-Forwarded-Host: evil.example.com"}, 403},
			{"socket", "GET", append(socket, "Origin: https://app.example.com"), 101}, // F12
			{"socket from elsewhere", "GET", append(socket, "Origin: https://evil.example.com"), 403},
			{"socket without proof", "GET", socket, 403},
		} {
			a := p.send(c.method, "/app/x", "", c.lines...)
			if seen := p.app.take(); a.status != c.status || (len(seen) == 1) != (c.status < 300) {
				p.Errorf("%s: %d, want %d; %v", c.name, a.status, c.status, seen)
			}
		}
	})
}

// Without an auth server, or with invalid responses of it, no request passes.
func TestProxyFailsClosed(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		if a := p.send("GET", "/public/x", ""); a.status != http.StatusOK {
			p.Fatalf("before: %d", a.status)
		}
		p.app.take()
		p.auth.CloseClientConnections()
		p.auth.Close()
		for _, target := range []string{"/public/x", "/app/x", "/admin/x"} {
			a := p.send("GET", target, p.graceToken, "X-Clerk-User-Id: evil")
			if a.status < 500 || len(p.app.take()) > 0 {
				p.Errorf("%s without an auth server: %d", target, a.status)
			}
		}
	})
}

// A revoked session is refused from the next request on.
func TestProxyRevocation(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		if a := p.send("GET", "/admin/x", p.graceToken); a.status != http.StatusOK {
			p.Fatalf("before: %d", a.status)
		}
		p.clerk.SignOut(p.grace)
		p.clerk.Settle()
		p.app.take()
		if a := p.send("GET", "/admin/x", p.graceToken); a.status != http.StatusUnauthorized || len(p.app.take()) > 0 {
			p.Errorf("after: %d", a.status)
		}
		if a := p.send("GET", "/public/x", p.graceToken); a.status != http.StatusOK {
			p.Errorf("a public route: %d", a.status)
		}
		p.identity(p.arrived(), nil)
	})
}

// A client cannot reach the check itself through the proxy.
func TestProxyCheckIsInternal(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		for _, target := range []string{"/_clerksync", "/api/auth/verify", "/api/auth/verify/app/x", "/_clerksync/"} {
			a := p.send("GET", target, p.adaToken, "X-Original-URI: /public/x", "X-Original-Method: GET")
			if a.status < 400 || a.header.Get("X-Clerk-User-Id") != "" || len(p.app.take()) > 0 {
				p.Errorf("%s: %d %v", target, a.status, a.header)
			}
		}
	})
}

// The example script for nginx works and leaves nothing behind.
func TestExampleRuns(t *testing.T) {
	t.Parallel()
	program(t, "nginx", "/usr/sbin/nginx")
	program(t, "curl")
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(testenv.Root(t), "examples", "nginx", "run.sh"))
	cmd.Env = append(os.Environ(), "TMPDIR="+folder)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ada (growth), /reports/") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, err := filepath.Glob(folder + "/*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
