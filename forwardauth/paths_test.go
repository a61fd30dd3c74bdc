package forwardauth_test

import (
	"errors"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/forwardauth"
)

const pathsPolicy = `{"routes": [
	{"path": "/public/**", "public": true},
	{"path": "/app/**"},
	{"path": "/admin/**", "require": {"role": "admin"}},
	{"path": "/users/*"},
	{"path": "/users/me", "require": {"role": "admin"}},
	{"path": "/users/*/posts"}
]}`

type pathCase struct{ verdict, target string }

func pathCases(t testing.TB) []pathCase {
	t.Helper()
	text, err := os.ReadFile("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []pathCase
	for line := range strings.Lines(string(text)) {
		verdict, quoted, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || verdict == "#" {
			continue
		}
		target, err := strconv.Unquote(strings.TrimSpace(quoted))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cases = append(cases, pathCase{verdict, target})
	}
	if len(cases) < 100 {
		t.Fatalf("%d cases", len(cases))
	}
	return cases
}

func parsePolicy(t testing.TB, text string) *forwardauth.Policy {
	t.Helper()
	p, err := forwardauth.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func verdict(p *forwardauth.Policy, method, target string) string {
	r, err := p.Match(method, target)
	refusal, refused := errors.AsType[*forwardauth.RefusalError](err)
	switch {
	case !refused:
		return r.Path
	case refusal.Reason == forwardauth.ReasonUnsafePath:
		return "unsafe"
	default:
		return refusal.Reason
	}
}

// A path that servers read in different ways is refused, and the query does not matter.
func TestPaths(t *testing.T) {
	t.Parallel()
	p := parsePolicy(t, pathsPolicy)
	for _, c := range pathCases(t) {
		if got := verdict(p, "GET", c.target); got != c.verdict {
			t.Errorf("%q: %s, want %s", c.target, got, c.verdict)
		}
		if strings.HasPrefix(c.target, "/") {
			if got := verdict(p, "GET", c.target+"?/../admin/%2f"); got != c.verdict {
				t.Errorf("%q with a query: %s, want %s", c.target, got, c.verdict)
			}
		}
	}
	if got := verdict(p, "GET", "/public/"+strings.Repeat("a", 8<<10)); got != "unsafe" {
		t.Errorf("a path of more than 8 KiB: %s", got)
	}
}

// readings returns the paths that servers are known to make of a request target. Some do several of
// these steps.
func readings(target string) []string {
	raw, _, _ := strings.Cut(target, "?")
	all := []string{raw}
	steps := []func(string) string{
		func(s string) string {
			if u, err := url.PathUnescape(s); err == nil {
				return u
			}
			return s
		},
		path.Clean,
		strings.ToLower,
		func(s string) string { return strings.ReplaceAll(s, `\`, "/") },
		func(s string) string { s, _, _ = strings.Cut(s, "#"); return s },
		func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s },
		func(s string) string { // path parameters
			parts := strings.Split(s, "/")
			for i := range parts {
				parts[i], _, _ = strings.Cut(parts[i], ";")
			}
			return strings.Join(parts, "/")
		},
		func(s string) string { // what Windows drops
			parts := strings.Split(s, "/")
			for i := range parts {
				if parts[i] != "." && parts[i] != ".." {
					parts[i] = strings.TrimRight(parts[i], ". ")
				}
			}
			return strings.Join(parts, "/")
		},
		func(s string) string { return strings.ToValidUTF8(s, "") },
	}
	for range 3 {
		for _, s := range all {
			for _, step := range steps {
				all = append(all, step(s))
			}
		}
		all = unique(all)
	}
	return all
}

func unique(texts []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, s := range texts {
		if !seen[s] && len(kept) < 2000 {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// naive returns the route of a path that needs no interpretation.
func naive(s string) string {
	beneath := func(prefix string) bool { return s == prefix || strings.HasPrefix(s, prefix+"/") }
	segments := strings.Split(strings.Trim(s, "/"), "/")
	switch {
	case beneath("/public"):
		return "/public/**"
	case beneath("/app"):
		return "/app/**"
	case beneath("/admin"):
		return "/admin/**"
	case s == "/users/me" || s == "/users/me/":
		return "/users/me"
	case beneath("/users") && len(segments) == 2 && segments[1] != "":
		return "/users/*"
	case beneath("/users") && len(segments) == 3 && segments[2] == "posts":
		return "/users/*/posts"
	default:
		return "no_route"
	}
}

// FuzzPath checks that a path that may pass leads to one route, however a server reads it.
func FuzzPath(f *testing.F) {
	for _, c := range pathCases(f) {
		f.Add(c.target)
	}
	p := parsePolicy(f, pathsPolicy)
	f.Fuzz(func(t *testing.T, target string) {
		got := verdict(p, "GET", target)
		if got == "unsafe" || got == forwardauth.ReasonNoRoute {
			return
		}
		for _, reading := range readings(target) {
			if other := naive(reading); other != got {
				t.Errorf("%q passes as %s, and may be read as %q, which is %s", target, got, reading, other)
			}
		}
	})
}

// The same corpus through real proxies: a request reaches the application only if the policy lets
// it pass for the path that the application sees.
func TestProxyPaths(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		arrived := 0
		for _, c := range pathCases(t) {
			for _, token := range []string{"", p.adaToken} {
				arrived += p.judged(requestText("GET", c.target, token))
				arrived += p.judged(requestText("GET", c.target+"?x=/public/", token, "X-Clerk-Role: admin", "X-Clerk-User-Id: "+p.grace))
				arrived += p.judged(requestText("POST", c.target, token, "Content-Length: 0"))
			}
		}
		if arrived < 50 {
			p.Errorf("only %d requests arrived: the proxy is not at work", arrived)
		}
	})
}

// judged sends a request, as ada or without a user, and checks what arrived by the policy, whatever
// the client says. It returns how many requests did.
func (p *proxy) judged(request string) int {
	p.Helper()
	p.raw(request)
	seen := p.app.take()
	for _, e := range seen {
		p.judge(request, e)
	}
	return len(seen)
}

func (p *proxy) judge(request string, e echo) {
	p.Helper()
	route, err := p.policy.Match(e.Method, e.Target)
	if err != nil {
		p.Errorf("%q arrives as %s %q, which the policy refuses: %v", request, e.Method, e.Target, err)
		return
	}
	user := e.Header.Get("X-Clerk-User-Id")
	if route.Deny || user != "" && user != p.ada || !route.Public && user != p.ada || route.Path == "/admin/**" || route.Path == "/locked" {
		p.Errorf("%q arrives as %s %q of %q, by route %s", request, e.Method, e.Target, user, route.Path)
	}
	if user == "" {
		p.identity(e, nil)
	} else {
		p.isAda(e)
	}
}

// Two servers may see different requests in the same bytes. What arrives was checked by itself, and
// a second request inside of another one has a check of its own.
func TestProxySmuggling(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(p *proxy) {
		const inner = "GET /admin/x HTTP/1.1\r\nHost: app.example.com\r\nX-Clerk-Role: admin\r\n\r\n"
		head := "POST /public/x HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Bearer " + p.adaToken + "\r\n"
		chunked := "0\r\n\r\n" + inner
		for _, request := range []string{
			head + "Content-Length: " + strconv.Itoa(len(inner)) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
			head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked,
			head + "Transfer-Encoding: chunked\r\n\r\n" + chunked,
			head + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n" + chunked,
			head + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n" + chunked,
			head + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked,
			head + "Content-Length: 0\r\nContent-Length: " + strconv.Itoa(len(inner)) + "\r\n\r\n" + inner,
			head + "Content-Length: +5\r\n\r\n" + chunked,
			head + "Content-Length: 0\r\n\r\n" + inner,
			head + "\r\n" + inner,
			"GET /public/x HTTP/1.1\r\n" + inner,
			"GET /public/x HTTP/1.0\r\n\r\n" + inner,
			"GET /public/x HTTP/1.1\r\nHost: a\r\nHost: app.example.com\r\n\r\n",
			"GET http://app.example.com/admin/x HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
			"GET http://app.example.com/public/x HTTP/1.1\r\nHost: other\r\n\r\n",
			"GET http://app.example.com HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
			"GET http://app.example.com?/public/ HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
			"GET http://app.example.com/public/../admin/x HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
			"GET /public/x /admin/x HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET /public/x\x00/admin HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET /public/x\tHTTP/1.1\r\nHost: a\r\n\r\n",
			"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
			"CONNECT app.example.com:80 HTTP/1.1\r\nHost: app.example.com:80\r\n\r\n",
			"GET /public/x\r\n\r\n",
			"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			"GET /public/x HTTP/1.1\nHost: app.example.com\nX-Clerk-User-Id: evil\n\n",
			"GET /public/x HTTP/1.1\r\nHost: app.example.com/admin\r\n\r\n",
			"GET /public/x HTTP/1.1\r\nHost: app.example.com\r\nExpect: 100-continue\r\nX-Clerk-Role: admin\r\n\r\n",
			"GET /public/x HTTP/1.1\r\nHost: app.example.com\r\nTE: trailers\r\nTrailer: X-Clerk-User-Id\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Clerk-User-Id: evil\r\n\r\n",
		} {
			p.judged(request)
		}
	})
}
