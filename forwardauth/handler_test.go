package forwardauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// fake accepts requests with X-Test-User, or refuses with an error.
type fake struct {
	err   error
	asked []*http.Request
	user  mirror.User
	org   *auth.ActiveOrganization
	actor *auth.Actor

	machine *auth.Claims // instead of a session
}

func (f *fake) Authorize(r *http.Request, rule auth.Rule) (*clerksync.Caller, error) {
	f.asked = append(f.asked, r)
	user := r.Header.Get("X-Test-User")
	switch {
	case f.err != nil:
		return nil, f.err
	case user == "":
		return nil, &clerksync.DeniedError{Status: 401, Code: auth.CodeAuthenticationRequired, Detail: "Authentication required"}
	}
	claims := &auth.Claims{Subject: user, SessionID: "sess_1", Organization: f.org, Actor: f.actor}
	if f.machine != nil {
		claims = f.machine
	}
	d := rule.Check(&auth.Subject{Claims: claims, Role: "growth", Ladder: []string{"solo", "growth", "admin"}})
	if !d.Allowed {
		return nil, &clerksync.DeniedError{Status: 403, Code: d.Code, Reason: d.Reason, Decision: d, UpgradeURL: "https://up.example.com"}
	}
	return &clerksync.Caller{Claims: claims, User: f.user}, nil
}

var proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // that of httptest's requests

func handler(t *testing.T, f *fake, config forwardauth.Config) http.Handler {
	t.Helper()
	return handlerOf(t, f, config)
}

func handlerOf(t *testing.T, a forwardauth.Authorizer, config forwardauth.Config) http.Handler {
	t.Helper()
	h, err := forwardauth.New(a, config)
	if err != nil {
		t.Fatal(err)
	}
	return web.Standard(web.Config{}, h.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })))
}

// check sends a check. lines are "Name: value" as a proxy sends them.
func check(t *testing.T, h http.Handler, method, target string, lines ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.Header.Set("X-Test-User", "user_1")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "X-Test-User" {
			r.Header.Del(name)
			continue
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 && w.Code != 401 && w.Code != 403 || w.Code == 200 && w.Body.Len() > 0 || w.Header().Get("Location") != "" {
		t.Errorf("%s %s %v: %d %s %v", method, target, lines, w.Code, w.Body, w.Header())
	}
	for _, name := range forwardauth.Headers() {
		if n := len(w.Header()[http.CanonicalHeaderKey(name)]); w.Code == 200 && n != 1 || w.Code != 200 && n != 0 {
			t.Errorf("%s %s %v: %d, and %s is there %d times", method, target, lines, w.Code, name, n) // F4
		}
	}
	return w
}

const (
	verify = forwardauth.Path
	nginx  = "X-Original-Method: GET"
	caddy  = "X-Forwarded-Method: GET"
)

// Which headers count, and which contradictions are refused.
func TestOriginalRequest(t *testing.T) {
	t.Parallel()
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	const app, adminToo, public = "/app/x", "/admin/x", "/public/x"
	for _, c := range []struct {
		name, method, target string
		lines                []string
		status               int
	}{
		{"nginx", "GET", verify, []string{nginx, "X-Original-URI: " + app}, 200},
		{"nginx, another method", "GET", verify, []string{"X-Original-Method: OPTIONS", "X-Original-URI: " + app}, 403},
		{"nginx, a query", "GET", verify, []string{nginx, "X-Original-URI: " + app + "?a=b"}, 200},
		{"caddy and traefik", "GET", verify, []string{caddy, "X-Forwarded-Uri: " + app}, 200},
		{"traefik in full", "GET", verify, []string{
			"X-Forwarded-Method: POST", "X-Forwarded-Uri: " + app, "X-Forwarded-Proto: https", "X-Forwarded-Host: app.example.com", "X-Forwarded-For: 10.0.0.1",
		}, 200},
		{"traefik, refused", "GET", verify, []string{"X-Forwarded-Method: DELETE", "X-Forwarded-Uri: /growth/x", "X-Forwarded-Host: app.example.com"}, 403},
		{"envoy", "GET", verify + app, nil, 200},
		{"envoy, a query", "GET", verify + app + "?a=b", nil, 200},
		{"envoy, its method counts", "POST", verify + "/growth/x", nil, 403},
		{"envoy, the root", "GET", verify + "/", nil, 403},
		{"envoy, refused", "GET", verify + adminToo, nil, 403},
		{"envoy, dot segments", "GET", verify + "/public/../admin/x", nil, 403},
		{"envoy, climbing out", "GET", verify + "/../../public/x", nil, 403},
		{"envoy, encoded", "GET", verify + "/public/%2e%2e/admin/x", nil, 403},
		{"envoy, two slashes", "GET", verify + "//public/x", nil, 403},
		{"envoy, and a client's headers", "GET", verify + adminToo, []string{nginx, "X-Original-URI: " + public}, 403},
		{"envoy, and a client's other headers", "GET", verify + app, []string{caddy, "X-Forwarded-Uri: " + public}, 403},
		{"both alike", "GET", verify, []string{nginx, "X-Original-URI: " + app, caddy, "X-Forwarded-Uri: " + app}, 200},
		{"both, another path", "GET", verify, []string{nginx, "X-Original-URI: " + app, caddy, "X-Forwarded-Uri: " + public}, 403},
		{"both, another method", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Forwarded-Method: PUT", "X-Forwarded-Uri: " + app}, 403},
		{"blanked out", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Forwarded-Method: ", "X-Forwarded-Uri: "}, 200},
		{"twice", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Original-URI: " + app}, 403},
		{"method twice", "GET", verify, []string{nginx, nginx, "X-Original-URI: " + app}, 403},
		{"host twice", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Forwarded-Host: a", "X-Forwarded-Host: b"}, 403},
		{"none", "GET", verify, nil, 403},
		{"none, with a query", "GET", verify + "?uri=/public/x&rd=https://evil.example.com", nil, 403},
		{"path alone", "GET", verify, []string{"X-Original-URI: " + public}, 403},
		{"method alone", "GET", verify, []string{nginx}, 403},
		{"one of each", "GET", verify, []string{nginx, "X-Forwarded-Uri: " + public}, 403},
		{"RFC 7239", "GET", verify, []string{"Forwarded: for=192.0.2.1;proto=https;host=app.example.com"}, 403},
		{"absolute", "GET", verify, []string{nginx, "X-Original-URI: https://app.example.com/public/x"}, 403},
		{"another method by a header", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-HTTP-Method-Override: DELETE"}, 403},
		{"the same method by a header", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-HTTP-Method-Override: GET"}, 200},
		{"another path by a header", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Rewrite-URL: /admin"}, 403},
		{"IIS", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Original-URL: /admin"}, 403},
		{"an alias", "GET", verify, []string{"X_Original_Method: GET", "X_Original_URI: " + public}, 403},
		{"nobody", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Test-User: "}, 401},
		{"nobody, a public route", "GET", verify, []string{nginx, "X-Original-URI: " + public, "X-Test-User: "}, 200},
		{"nobody, no route", "GET", verify, []string{nginx, "X-Original-URI: /nowhere", "X-Test-User: "}, 403},
		{"nobody, denied to all", "GET", verify, []string{nginx, "X-Original-URI: /shut", "X-Test-User: "}, 403},
		{"a health checker", "GET", verify, []string{nginx, "X-Original-URI: " + app, "X-Test-User: ", "User-Agent: GoogleHC/1.0"}, 401}, // F6
	} {
		if w := check(t, h, c.method, c.target, c.lines...); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.status)
		}
	}
	r := httptest.NewRequest("GET", "/api/auth/verifyx", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusTeapot {
		t.Errorf("a neighbour of the path got %d", w.Code)
	}
}

// The rest of the corpus in the form of Envoy, for which a mux would redirect.
func TestEnvoyPaths(t *testing.T) {
	t.Parallel()
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, pathsPolicy), TrustedProxies: proxies})
	for _, c := range pathCases(t) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: verify}, RequestURI: verify + c.target, RemoteAddr: "192.0.2.1:1", Header: http.Header{"X-Test-User": {"user_1"}}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(t.Context()))
		passes := c.verdict != "unsafe" && c.verdict != "no_route" && c.verdict != "/admin/**" && c.verdict != "/users/me"
		if (w.Code == 200) != passes && strings.HasPrefix(c.target, "/") {
			t.Errorf("%q: %d", c.target, w.Code)
		}
		if !strings.HasPrefix(c.target, "/") && w.Code == 200 {
			t.Errorf("%q passes", c.target)
		}
	}
}

// A peer that is not configured is refused, whatever it sends. Without configuration every peer
// is.
func TestTrustedPeers(t *testing.T) {
	t.Parallel()
	lines := []string{nginx, "X-Original-URI: /public/x", "X-Forwarded-For: 192.0.2.1"}
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		peer    string
		status  int
	}{
		"configured":         {proxies, "192.0.2.7:1234", 200},
		"another":            {proxies, "198.51.100.1:1234", 403},
		"none configured":    {nil, "127.0.0.1:1234", 403},
		"IPv4 in IPv6":       {proxies, "[::ffff:192.0.2.7]:1234", 200},
		"IPv6":               {[]netip.Prefix{netip.MustParsePrefix("fd00::/8")}, "[fd00::1]:1", 200},
		"a Unix socket":      {proxies, "@", 403},
		"no address at all":  {proxies, "", 403},
		"a name, no address": {proxies, "192.0.2.7.example.com:1", 403},
	} {
		var logs testenv.Logs
		h, err := forwardauth.New(&fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: c.trusted, Logger: logs.Logger()})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r := httptest.NewRequest("GET", verify, nil)
			r.RemoteAddr = c.peer
			for _, line := range lines {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != c.status {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if n := len(logs.Entries(t)); n != map[int]int{200: 0, 403: 1}[c.status] {
			t.Errorf("%s: %d lines in the log", name, n)
		}
	}
}

func TestWithoutPolicy(t *testing.T) {
	t.Parallel()
	h := handler(t, &fake{}, forwardauth.Config{TrustedProxies: proxies})
	if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /anything?at=all"); w.Code != 200 || w.Header().Get("X-Clerk-User-Id") != "user_1" {
		t.Errorf("who is signed in: %d %v", w.Code, w.Header())
	}
	// Paths are checked all the same
	for _, c := range pathCases(t) {
		if w := check(t, h, "GET", verify, nginx, "X-Original-URI: "+c.target); (w.Code == 200) != (c.verdict != "unsafe") && !caseOfARoute(c.target) {
			t.Errorf("%q without a policy: %d", c.target, w.Code)
		}
	}
	if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /anything", "X-Test-User: "); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("who is not: %d %v", w.Code, w.Header())
	}
	if w := check(t, h, "GET", verify); w.Code != 403 {
		t.Errorf("without the original request: %d", w.Code)
	}
}

// caseOfARoute reports whether a path is unsafe only where a route has another spelling of it.
func caseOfARoute(target string) bool {
	for _, spelling := range []string{"%61", "%41", "%64", "Admin", "ADMIN", "admin.", "admin%20", "Me", "%6d", "me.", "me%20", "Public", "%70"} {
		if strings.Contains(target, spelling) {
			return true
		}
	}
	return false
}

// The status is 200, 401 or 403, whatever goes wrong.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&clerksync.DeniedError{Status: 401, Code: "session_ended"}, 401, "session_ended"},
		{&clerksync.DeniedError{Status: 403, Code: clerksync.CodeCrossOrigin}, 403, "cross_origin_request"},
		{&clerksync.DeniedError{Status: 503, Code: clerksync.CodeUnavailable, Err: errors.New("disk")}, 403, "storage_unavailable"},
		{&clerksync.DeniedError{Status: 503, Code: clerksync.CodeKeysUnavailable, Err: errors.New("disk")}, 403, "keys_unavailable"},
		{&clerksync.DeniedError{}, 403, ""},
		{errors.New("nobody knows"), 403, "forbidden"},
		{&web.Problem{Status: 500, Code: "internal_error"}, 403, "forbidden"},
	} {
		h := handler(t, &fake{err: c.err}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
		w := check(t, h, "GET", verify, nginx, "X-Original-URI: /app/x")
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != c.status || body["code"] != c.code {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "disk") || strings.Contains(w.Body.String(), "knows") {
			t.Errorf("the cause is told: %s", w.Body)
		}
		if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x"); w.Code != 200 || w.Header().Get("X-Clerk-User-Id") != "" {
			t.Errorf("%v on a public route: %d", c.err, w.Code)
		}
	}
}

// A refusal says what is missing, as the middleware does.
func TestRefusalHeaders(t *testing.T) {
	t.Parallel()
	policy := parsePolicy(t, `{"routes":[{"path":"/f","require":{"feature":"reports"}},{"path":"/p","require":{"plan":"pro"}},
		{"path":"/r","require":{"reverified":"strict"}}]}`)
	h := handler(t, &fake{}, forwardauth.Config{Policy: policy, TrustedProxies: proxies})
	w := check(t, h, "GET", verify, nginx, "X-Original-URI: /f")
	if w.Header().Get("X-Feature-Locked") != "reports" || w.Header().Get("X-Upgrade-URL") == "" || !strings.Contains(w.Body.String(), `"feature_locked"`) {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /p"); w.Header().Get("X-Required-Plan") != "pro" {
		t.Errorf("%v", w.Header())
	}
	if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /r"); !strings.Contains(w.Body.String(), `"reverification-error"`) {
		t.Errorf("%s", w.Body)
	}
}

// The authorizer gets the original request: method, host and path, and the route for the audit.
// The body of a check is never read.
func TestAuthorizerSeesTheOriginalRequest(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := handler(t, f, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	r := httptest.NewRequest("GET", verify, failing{t})
	for name, value := range map[string]string{
		"X-Original-Method": "DELETE", "X-Original-Uri": "/app/x?q=1", "X-Forwarded-Host": "app.example.com", "X-Test-User": "user_1",
	} {
		r.Header.Set(name, value)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	got := f.asked[0]
	if got.Method != "DELETE" || got.Host != "app.example.com" || got.URL.Path != "/app/x" || got.URL.RawQuery != "" || got.Pattern != verify+" /app/**" {
		t.Errorf("%s %s %v %s", got.Method, got.Host, got.URL, got.Pattern)
	}
	check(t, h, "PATCH", verify+"/app/x", "X-Forwarded-Host: evil.example.com")
	if got := f.asked[1]; got.Method != "PATCH" || got.Host != "example.com" {
		t.Errorf("envoy: %s %s", got.Method, got.Host)
	}
}

// A WebSocket needs the same proof as a POST, whichever header shows that it is one: over HTTP/2
// there is no key (RFC 8441).
func TestWebSocketNeedsTheProofOfAPOST(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := handler(t, f, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	for header, want := range map[string]string{
		"Sec-WebSocket-Key: x":         "POST",
		"Sec-WebSocket-Version: 13":    "POST",
		"Sec-WebSocket-Protocol: chat": "POST",
		"Upgrade: websocket":           "POST",
		"Sec-Fetch-Mode: websocket":    "POST",
		"Sec-Fetch-Mode: navigate":     "GET",
		"Upgrade-Insecure-Requests: 1": "GET",
	} {
		check(t, h, "GET", verify, nginx, "X-Original-URI: /app/x", header)
		if got := f.asked[len(f.asked)-1]; got.Method != want {
			t.Errorf("%s: asked for %s, want %s", header, got.Method, want)
		}
	}
}

type failing struct{ *testing.T }

func (f failing) Read([]byte) (int, error) {
	f.Error("the body was read")
	return 0, errors.New("read")
}

// Values that two servers could read differently are left out.
func TestHeaderValues(t *testing.T) {
	t.Parallel()
	for email, want := range map[string]string{
		"ada@example.com": "ada@example.com", "a+b_c%d@example.com": "a+b_c%d@example.com", "": "",
		"a\r\nX-Clerk-Role: admin": "", "ädä@example.com": "", `"a,b"@example.com`: "", "a@b.example, c@d.example": "", "a b": "", "\x00": "", "a\x7f": "",
	} {
		f := &fake{user: userWith(t, email, `{"status": "verified"}`), org: &auth.ActiveOrganization{ID: "org_1", Role: "org:admin\n"}}
		h := handler(t, f, forwardauth.Config{TrustedProxies: proxies})
		w := check(t, h, "GET", verify, nginx, "X-Original-URI: /x")
		header := w.Header()
		if header.Get("X-Clerk-Email") != want || header.Get("X-Clerk-Org-Id") != "org_1" || header.Get("X-Clerk-Org-Role") != "" ||
			header.Get("X-Clerk-Role") != "growth" || header.Get("X-Clerk-Session-Id") != "sess_1" {
			t.Errorf("%q: %v", email, header)
		}
	}
}
