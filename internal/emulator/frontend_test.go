package emulator_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/clerksync/clerksync/internal/emulator"
)

const page = "http://localhost:5173"

// tab is a page in a browser, which calls the Frontend API as clerk-js does.
type tab struct {
	*clerk
	dev     string // the dev browser
	cookies map[string]string
	origin  string
}

func (c *clerk) newTab() *tab {
	c.t.Helper()
	p := &tab{clerk: c, cookies: map[string]string{}, origin: page}
	a := p.send("POST", "/v1/dev_browser", nil)
	var made struct{ ID string }
	decode(c.t, a.body, &made)
	if p.dev = made.ID; !strings.HasPrefix(made.ID, "dvb_") {
		c.t.Fatalf("the dev browser is %q: %s", made.ID, a.body)
	}
	return p
}

// send makes a request of a page: methods but GET go as POST with _method, parameters as a form.
func (p *tab) send(method, path string, form url.Values, headers ...string) answer {
	p.t.Helper()
	at, err := url.Parse(path)
	if err != nil {
		p.t.Fatal(err)
	}
	q := at.Query()
	q.Set("__clerk_api_version", "2026-05-12")
	q.Set("_clerk_js_version", "6.29.0")
	if p.dev != "" {
		q.Set("__clerk_db_jwt", p.dev)
	}
	if method != "GET" {
		q.Set("_method", method)
		method = "POST"
	}
	at.RawQuery = q.Encode()
	r := httptest.NewRequestWithContext(p.t.Context(), method, at.String(), strings.NewReader(form.Encode()))
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:4010"
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if p.origin != "" {
		r.Header.Set("Origin", p.origin)
	}
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Del(headers[i]); headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	result := w.Result()
	_ = result.Body.Close()
	for _, x := range result.Cookies() {
		p.cookies[x.Name] = x.Value
	}
	return answer{w.Code, w.Header(), w.Body.Bytes(), r.Pattern}
}

// reply is the usual answer of the Frontend API.
type reply struct {
	Response object `json:"response"`
	Client   object `json:"client"`
}

// ok makes a request that must succeed.
func (p *tab) ok(method, path string, form url.Values) reply {
	p.t.Helper()
	a := p.send(method, path, form)
	if a.status != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	var r reply
	decode(p.t, a.body, &r)
	return r
}

// refused makes a request that must be refused with a code.
func (p *tab) refused(status int, code, method, path string, form url.Values) emulator.Detail {
	p.t.Helper()
	a := p.send(method, path, form)
	var failure emulator.APIError
	decode(p.t, a.body, &failure)
	if a.status != status || len(failure.Errors) == 0 || failure.Errors[0].Code != code {
		p.t.Fatalf("%s %s: %d %s; want %d %s", method, path, a.status, a.body, status, code)
	}
	return failure.Errors[0]
}

func TestAPageLoadsAndHasItsOwnClient(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	p := c.newTab()
	a := p.send("GET", "/v1/client", nil)
	if got := string(a.body); got != `{"response":null,"client":null}` {
		t.Errorf("a new browser has the client %s", got)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": "true", "Content-Type": "application/json", "Vary": "Origin",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := a.header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "Clerk-Db-Jwt") || !strings.Contains(got, "Authorization") {
		t.Errorf("exposed are %q", got)
	}
	preflight := c.do("OPTIONS", "/v1/client", nil, "Origin", page, "Authorization", "", "Access-Control-Request-Method", "PATCH",
		"Access-Control-Request-Headers", "x-custom", "Access-Control-Request-Private-Network", "true")
	if h := preflight.header; preflight.status != http.StatusNoContent || h.Get("Access-Control-Allow-Headers") != "x-custom" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PATCH") || h.Get("Access-Control-Allow-Private-Network") != "true" {
		t.Errorf("the preflight gets %d %v", preflight.status, h)
	}
	made := p.ok("PUT", "/v1/client", nil)
	if made.Response["id"] != made.Client["id"] || made.Client["captcha_bypass"] != true {
		t.Errorf("the new client is %v", made)
	}
	if other := c.newTab().ok("PUT", "/v1/client", nil); other.Client["id"] == made.Client["id"] {
		t.Error("two browsers share a client")
	}
	if again := p.ok("GET", "/v1/client", nil); again.Response["id"] != made.Client["id"] {
		t.Errorf("the client is not kept: %v", again)
	}
	old := &tab{clerk: c, cookies: map[string]string{"__client": p.cookies["__client"]}, origin: page}
	if by := old.ok("GET", "/v1/client", nil); by.Response["id"] != made.Client["id"] {
		t.Errorf("the cookie __client gives %v", by.Response)
	}
	stranger := &tab{clerk: c, dev: "dvb_of_another_run", cookies: map[string]string{}, origin: page}
	stranger.refused(http.StatusUnauthorized, "dev_browser_unauthenticated", "GET", "/v1/client", nil)
	left := &tab{clerk: c, cookies: map[string]string{"__clerk_db_jwt": "dvb_of_another_app", "__client": p.cookies["__client"]}, origin: page}
	if by := left.ok("GET", "/v1/client", nil); by.Response["id"] != made.Client["id"] {
		t.Errorf("beside another app's cookie the client is %v", by.Response)
	}
	environment := p.send("PATCH", "/v1/environment", nil)
	var e struct {
		DisplayConfig object `json:"display_config"`
	}
	decode(t, environment.body, &e)
	if e.DisplayConfig["sign_in_url"] != page+"/sign-in" {
		t.Errorf("the environment is %s", environment.body)
	}
}

func TestFrontendAndBackendCallsAreToldApart(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	secret := "Bearer " + c.key
	for _, x := range []struct {
		name, method, path string
		headers            []string
		status             int
		code               string
	}{
		{"a page without the key lists no organizations", "GET", "/v1/organizations", []string{"Origin", page, "Authorization", ""}, 404, "resource_not_found"},
		{"a page lists no users", "GET", "/v1/users?_clerk_js_version=6", []string{"Authorization", ""}, 404, "resource_not_found"},
		{"a backend without a key", "GET", "/v1/organizations", []string{"Authorization", ""}, 401, "authentication_invalid"},
		{"a backend with a wrong key", "GET", "/v1/organizations", []string{"Authorization", "Bearer sk_test_x", "Origin", page}, 401, "clerk_key_invalid"},
		{"a token is no secret key", "GET", "/v1/users", []string{"Authorization", "Bearer eyJ", "Origin", page}, 404, "resource_not_found"},
		{"a backend has no client", "GET", "/v1/client", []string{"Authorization", secret}, 501, "not_implemented"},
		{"a backend, even with an Origin", "GET", "/v1/users", []string{"Authorization", secret, "Origin", page}, 200, ""},
		{"a page of another site", "GET", "/v1/client", []string{"Origin", "https://evil.example", "Authorization", ""}, 400, "origin_invalid"},
		{"a sandboxed page", "GET", "/v1/client", []string{"Origin", "null", "Authorization", ""}, 400, "origin_invalid"},
		{"two origins", "GET", "/v1/client", []string{"Origin", "http://user@localhost", "Authorization", ""}, 400, "origin_invalid"},
		{"behind an app", "GET", "/__clerk/v1/client", []string{"Origin", page, "Authorization", ""}, 200, ""},
		{"no control behind an app", "GET", "/__clerk/_emulator/state", []string{"Authorization", ""}, 404, "resource_not_found"},
		{"not implemented", "POST", "/v1/me/passkeys", []string{"Origin", page, "Authorization", ""}, 501, "not_implemented"},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := (&clerk{c.Emulator, t, c.key}).do(x.method, x.path, nil, x.headers...)
			if a.status != x.status || x.code != "" && !strings.Contains(string(a.body), `"code":"`+x.code+`"`) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	if a := c.newTab().send("GET", "/v1/client", nil, "Host", "rebound.example"); a.status != http.StatusBadRequest {
		t.Errorf("a foreign host name got %d %s", a.status, a.body)
	}
	var state emulator.State
	if err := c.Call(t.Context(), "GET", "/_emulator/state", nil, &state); err != nil || state.Unimplemented["POST /v1/me/passkeys"] != 1 {
		t.Errorf("counted are %v, %v", state.Unimplemented, err)
	}
}

func TestTheTableOfUnimplementedCallsIsBounded(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.newTab().send("GET", "/v1/me/"+strings.Repeat("ä", 5000), nil)
	var state emulator.State
	if err := c.Call(t.Context(), "GET", "/_emulator/state", nil, &state); err != nil {
		t.Fatal(err)
	}
	for name := range state.Unimplemented {
		if len(name) > 256 || !utf8.ValidString(name) {
			t.Errorf("a name of %d bytes is kept: %.20s…", len(name), name)
		}
	}
	if len(state.Unimplemented) != 1 {
		t.Errorf("%d calls are counted", len(state.Unimplemented))
	}
}

// Clerk's own examples of allowed origins are those of native apps, whose schemes are not HTTP.
func TestAllowedOrigins(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	answer := func(origin string) int {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/environment", nil)
		r.Host = "localhost"
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if allow := w.Header().Get("Access-Control-Allow-Origin"); (allow == origin) != (w.Code == http.StatusOK) {
			t.Errorf("%s: %d, and Access-Control-Allow-Origin is %q", origin, w.Code, allow)
		}
		return w.Code
	}
	allowed := []string{"my-app://localhost", "capacitor://localhost:3000", "https://app.example.com"}
	for _, origin := range allowed {
		if status := answer(origin); status != http.StatusBadRequest {
			t.Errorf("%s before it is allowed: %d", origin, status)
		}
	}
	if a := c.do("PATCH", "/v1/instance", object{"allowed_origins": allowed}); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, origin := range allowed {
		if status := answer(origin); status != http.StatusOK {
			t.Errorf("%s is allowed: %d", origin, status)
		}
	}
	for _, origin := range []string{"null", "capacitor://localhost", "https://app.example.com.evil.example", "http://app.example.com"} {
		if status := answer(origin); status != http.StatusBadRequest {
			t.Errorf("%s: %d", origin, status)
		}
	}
}

func TestSignInBrowser(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "private_metadata": object{"secret": 1}})
	organization := c.made("/v1/organizations", object{"name": "Engines", "created_by": ada})
	b, err := c.SignInBrowser(ada, organization, page)
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
	client := p.ok("GET", "/v1/client", nil).Response
	sessions := client["sessions"].([]any)
	if client["id"] != b.ClientID || len(sessions) != 1 || client["last_active_session_id"] != b.SessionID {
		t.Fatalf("the client is %v", client)
	}
	s := sessions[0].(object)
	user := s["user"].(object)
	if s["last_active_organization_id"] != organization || user["id"] != ada || user["private_metadata"] != nil {
		t.Errorf("the session is %v", s)
	}
	if _, err := c.SignInBrowser("user_nobody", "", ""); err == nil {
		t.Error("nobody is signed in")
	}
	if ended := p.ok("DELETE", "/v1/client", nil); ended.Client != nil {
		t.Errorf("after signing out the client is %v", ended)
	}
	if status := c.call("GET", "/v1/sessions/"+b.SessionID, nil)["status"]; status != "removed" {
		t.Errorf("after signing out the session is %v", status)
	}
}

// Native apps have no cookies: their client's token goes in the header Authorization.
func TestNativeApps(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	p := &tab{clerk: c, cookies: map[string]string{}}
	a := p.send("POST", "/v1/client/sign_ins?_is_native=1", form("identifier", "ada@example.com", "password", "correct horse"))
	key := a.header.Get("Authorization")
	if a.status != http.StatusOK || key == "" || len(p.cookies) > 0 {
		t.Fatalf("signed in: %d %v %v", a.status, a.header, p.cookies)
	}
	for given, want := range map[string]int{key: 1, "Bearer " + key: 1, "": 0, "x": 0} {
		var got reply
		decode(t, p.send("GET", "/v1/client?_is_native=1", nil, "Authorization", given).body, &got)
		if sessions, _ := got.Response["sessions"].([]any); len(sessions) != want {
			t.Errorf("with %q there are %d sessions", given, len(sessions))
		}
	}
}

// The clients of browsers are bounded: those that were not used for the longest time are forgotten.
func TestBrowsersAreBounded(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	first := c.newTab()
	first.ok("PUT", "/v1/client", nil)
	c.Advance(time.Minute)
	user := c.made("/v1/users", object{"username": "ada_lovelace"})
	for range 10_000 {
		p := &tab{clerk: c, cookies: map[string]string{}}
		p.send("PUT", "/v1/client", nil)
	}
	b, err := c.SignInBrowser(user, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.Clients()); n > 10_000 || n < 9_000 {
		t.Errorf("%d clients are kept", n)
	}
	if old := first.ok("GET", "/v1/client", nil); old.Response != nil {
		t.Errorf("the oldest client is kept: %v", old)
	}
	last := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}}
	if kept := last.ok("GET", "/v1/client", nil); kept.Response["id"] != b.ClientID {
		t.Errorf("the newest client is %v", kept)
	}
}
