package inspector_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
)

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	links := map[string]bool{}
	for _, full := range []bool{false, true} {
		if full {
			w.fill()
		}
		for _, page := range w.pages() {
			a := w.get(page)
			want := http.StatusOK
			if strings.HasSuffix(page, "user_no_one") {
				want = http.StatusNotFound
			}
			if a.status != want || !strings.Contains(a.body, "</html>") {
				t.Errorf("%s answers %d: %.300s", page, a.status, a.body)
			}
			if bad := regexp.MustCompile(`(?i)<style|<script>| style=| on\w+="|&lt;nil&gt;|%!|ZgotmplZ|0x[0-9a-f]{6}`).FindString(a.body); bad != "" {
				t.Errorf("%s has %q", page, bad)
			}
			for _, m := range regexp.MustCompile(`(?:href|action)="(/[^"#]*)"`).FindAllStringSubmatch(a.body, -1) {
				links[strings.ReplaceAll(m[1], "&amp;", "&")] = true
			}
		}
	}
	for _, path := range []string{"/people", "/organizations", "/sessions", "/inbox", "/deliveries", "/sign-in", "/clock"} {
		a := w.get(path + `?q="><script>1</script>&state=%22%3E<b>&status=<b>&from=<b>&redirect_url=javascript:alert(1)`)
		if a.status != http.StatusOK || strings.Contains(a.body, "<script>1") || strings.Contains(a.body, "<b>&") || strings.Contains(a.body, `href="javascript:`) {
			t.Errorf("%s shows a parameter as it is: %d", path, a.status)
		}
	}
	for link := range links {
		if a := w.get(link); a.status == http.StatusNotFound && !strings.Contains(link, "user_no_one") && !isForm(link) {
			t.Errorf("a page has a link to %s, which answers %d", link, a.status)
		}
	}
}

// isForm reports whether an address takes forms alone.
func isForm(link string) bool {
	return regexp.MustCompile(`/(ban|unban|lock|unlock|delete|metadata|revoke|members|role|remove|clear|replay|rotate)$|^/preferences$`).MatchString(link)
}

// What the emulator has at other paths is served as before.
func TestTheEmulatorIsBehindThePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.get("/v1/users", "Authorization", "Bearer "+w.clerk.SecretKey); a.status != http.StatusOK || a.body != "[]" {
		t.Errorf("the Backend API answers %d %s", a.status, a.body)
	}
	if a := w.get("/.well-known/jwks.json"); a.status != http.StatusOK {
		t.Errorf("the keys answer %d", a.status)
	}
	if a := w.get("/no-such-page"); a.status != http.StatusNotFound || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("an unknown path answers %d %s", a.status, a.body)
	}
	if a := w.get("//people"); a.status != http.StatusNotFound {
		t.Errorf("a path with an empty element answers %d", a.status)
	}
	if a := w.send(http.MethodPost, "/", url.Values{}); a.status != http.StatusNotFound {
		t.Errorf("POST / answers %d", a.status)
	}
}

// Any page that a developer has open can send requests to this machine, and so can its networks.
func TestWhoMayUseThePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	pages := append(w.pages(), "/assets/pages.css", "/enter?with=x", "/search?q=x")
	forms := []string{
		"/people/new", "/people/" + w.ids["person"] + "/ban", "/people/" + w.ids["person"] + "/sign-in", "/people/" + w.ids["person"] + "/delete",
		"/people/" + w.ids["person"] + "/metadata", "/organizations", "/sessions/" + w.ids["session"] + "/revoke", "/inbox/clear",
		"/deliveries/endpoints", "/deliveries/" + w.ids["message"] + "/replay", "/faults", "/clock", "/keys/rotate", "/reset", "/preferences",
	}
	navigation := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	for name, test := range map[string]struct {
		headers []string
		reads   bool // pages are served
		writes  bool
	}{
		"a browser here":               {[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:4010"}, true, true},
		"an address that was typed":    {append(navigation, "Sec-Fetch-Site", "none"), true, true},
		"an old browser":               {[]string{"Origin", "http://localhost:4010"}, true, true},
		"curl":                         {nil, true, true},
		"a subdomain of localhost":     {[]string{"Host", "clerk.localhost:4010"}, true, true},
		"IPv6":                         {[]string{"Host", "[::1]:4010", "RemoteAddr", "[::1]:1"}, true, true},
		"a link of another site":       {append(navigation, "Sec-Fetch-Site", "cross-site"), true, false},
		"a link of another port":       {append(navigation, "Sec-Fetch-Site", "same-site"), true, false},
		"a picture of another site":    {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, false, false},
		"a frame of another site":      {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, false, false},
		"a script of another port":     {[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"}, false, false},
		"a form of another site":       {[]string{"Origin", "https://evil.example"}, true, false},
		"a form of another port":       {[]string{"Origin", "http://localhost:3000"}, true, false},
		"a form without an origin":     {[]string{"Origin", "null"}, true, false},
		"a form with two origins":      {[]string{"Origin", "http://localhost:4010", "Origin", "https://evil.example"}, true, false},
		"a name that points here":      {[]string{"Host", "evil.example:4010"}, false, false},
		"a name that looks like ours":  {[]string{"Host", "localhost.evil.example"}, false, false},
		"no name":                      {[]string{"Host", ""}, false, false},
		"a private name":               {[]string{"Host", "clerk.internal"}, false, false},
		"another machine":              {[]string{"RemoteAddr", "192.0.2.7:1"}, false, false},
		"a proxy for another machine":  {[]string{"X-Forwarded-For", "192.0.2.7"}, false, false},
		"a proxy for another name":     {[]string{"X-Forwarded-Host", "app.example"}, false, false},
		"a proxy of the standard":      {[]string{"Forwarded", "for=192.0.2.7"}, false, false},
		"the proxy of Clerk's SDKs":    {[]string{"Clerk-Proxy-Url", "http://app.example/__clerk"}, false, false},
		"a site that says two origins": {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "http://localhost:4010"}, false, false},
	} {
		for _, page := range pages {
			if a := w.get(page, test.headers...); (a.status != http.StatusForbidden) != test.reads {
				t.Errorf("%s gets %d for %s", name, a.status, page)
			} else if a.header.Get("Content-Security-Policy") == "" || a.header.Get("X-Frame-Options") != "DENY" || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s gets %v for %s", name, a.header, page)
			}
		}
		for _, form := range forms {
			if test.writes {
				continue
			}
			if a := w.post(form, url.Values{"action": {"ban"}}, test.headers...); a.status != http.StatusForbidden {
				t.Errorf("%s gets %d for POST %s", name, a.status, form)
			}
		}
		if test.writes {
			if a := w.post("/clock", url.Values{"advance": {"1s"}}, test.headers...); a.status != http.StatusSeeOther {
				t.Errorf("%s gets %d %s for POST /clock", name, a.status, a.body)
			}
		}
	}
}

// With the flag for it, other machines may use the pages, by names that no one on the internet
// owns.
func TestPagesFromAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *emulator.Options) { o.ControlFromAnywhere = true })
	for host, want := range map[string]int{"192.0.2.1:4010": 200, "clerk.internal": 200, "devbox:4010": 200, "evil.example": 403} {
		if a := w.get("/", "Host", host, "RemoteAddr", "192.0.2.7:1"); a.status != want {
			t.Errorf("%s answers %d, want %d", host, a.status, want)
		}
	}
	for host, want := range map[string]bool{"devbox:4010": true, "192.0.2.1": true, "x;script-src": false, "[2001:db8::1]": false} {
		policy := w.get("/", "Host", host, "RemoteAddr", "192.0.2.7:1").header.Get("Content-Security-Policy")
		if got := strings.Contains(policy, "http://"+hostOf(host)+":*"); got != want {
			t.Errorf("%s gets the policy %s", host, policy)
		}
	}
	if a := w.post("/clock", url.Values{"advance": {"1s"}}, "Host", "devbox:4010", "RemoteAddr", "192.0.2.7:1", "Origin", "http://evil.example"); a.status != http.StatusForbidden {
		t.Errorf("a form of another site gets %d", a.status)
	}
}

func TestSignInAs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	form := "/people/" + w.ids["person"] + "/sign-in"
	for app, ok := range map[string]bool{
		"http://localhost:3000": true, "localhost:3000": true, "http://localhost:3000/dashboard?tab=1#x": true, "https://app.localhost:5173/": true,
		"http://127.0.0.1:8080": true, "http://LOCALHOST:3000": true,
		"https://evil.example": false, "//evil.example": false, "http://localhost.evil.example": false, "http://localhost@evil.example": false,
		"javascript:alert(1)": false, "data:text/html,x": false, "http://[::1]:3000": false, "http://192.0.2.1": false, "": false, "http://": false,
		"http://user:pass@localhost:3000": false, "ftp://localhost": false, "http://localhost\\@evil.example": false, "http://0.0.0.0:3000": false,
	} {
		a := w.post(form, url.Values{"app": {app}})
		if !ok {
			if a.status != http.StatusUnprocessableEntity || a.location != "" {
				t.Errorf("%q: %d to %s", app, a.status, a.location)
			}
			continue
		}
		link, err := url.Parse(a.location)
		if err != nil || a.status != http.StatusSeeOther || link.Path != "/enter" || link.Port() != "4010" {
			t.Errorf("%q: %d to %s", app, a.status, a.location)
			continue
		}
		if other := w.get(link.RequestURI(), "Host", "other.localhost:4010"); other.status != http.StatusGone {
			t.Errorf("%q: the link works by another host name: %d", app, other.status)
		}
		link, _ = url.Parse(w.post(form, url.Values{"app": {app}}).location)
		entered := w.get(link.RequestURI(), "Host", link.Host, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if cookies := strings.Join(entered.header["Set-Cookie"], "\n"); entered.status != http.StatusSeeOther || !strings.Contains(cookies, "__session=") || !strings.Contains(cookies, "__clerk_db_jwt=") {
			t.Errorf("%q: %d with %s", app, entered.status, cookies)
		}
		if !strings.HasSuffix(strings.ToLower(entered.location), strings.ToLower(strings.TrimPrefix(app, "http://"))) {
			t.Errorf("%q leads to %s", app, entered.location)
		}
		if again := w.get(link.RequestURI(), "Host", link.Host); again.status != http.StatusGone || len(again.header["Set-Cookie"]) > 1 {
			t.Errorf("%q: the link works twice: %d %v", app, again.status, again.header["Set-Cookie"])
		}
	}
	if a := w.post("/people/"+w.ids["banned"]+"/sign-in", url.Values{"app": {"localhost:3000"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "banned") {
		t.Errorf("a banned person signs in: %d", a.status)
	}
	if a := w.post(form, url.Values{"app": {"localhost:3000"}, "organization": {"org_unheard_of"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a stranger enters an organization: %d", a.status)
	}
}

// Forms change what they say, and what was wrong comes back with a reason.
func TestForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	person, org := "/people/"+w.ids["person"], "/organizations/"+w.ids["organization"]
	for _, step := range []struct {
		path, form string
		status     int
		shows      string // on the page that comes next, or in the answer
	}{
		{"/people/new", "first=Joan&email=joan%40example.com&password=correct-horse-battery&role=solo", 303, "Joan"},
		{"/people/new", "first=Joan&email=joan%40example.com", 422, "taken"},
		{"/people/new", "first=%3Cb%3E", 422, "&lt;b&gt;"},
		{person + "/lock", "", 303, "locked"},
		{person + "/unlock", "", 303, "no longer locked"},
		{person + "/ban", "", 303, "banned"},
		{person + "/unban", "", 303, "no longer banned"},
		{person + "/explode", "", 404, "no such action"},
		{person + "/metadata", "public=%7B%22role%22%3A%22owner%22%7D", 303, "owner"},
		{person + "/metadata", "public=", 303, "saved"},
		{person + "/metadata", "public=%5B1%5D", 422, "no JSON object"},
		{person + "/metadata", "public=null", 422, "no JSON object"},
		{"/organizations", "name=Deals", 303, "Deals"},
		{"/organizations", "name=Founded&creator=joan%40example.com", 303, "Founded"},
		{"/organizations", "name=Founded&creator=nobody%40example.com", 303, "No one has the address"},
		{org + "/members", "person=joan%40example.com&role=org%3Amember", 303, "Joan"},
		{org + "/members", "person=joan%40example.com&role=org%3Amember", 303, "already"},
		{org + "/members/" + w.ids["person"] + "/role", "role=org%3Amember", 303, "role is now member"},
		{org + "/members/" + w.ids["person"] + "/explode", "", 404, ""},
		{org + "/members/" + w.ids["person"] + "/remove", "", 303, "removed"},
		{"/sessions/" + w.ids["session"] + "/revoke", "back=%2Fsessions%3Fstatus%3Drevoked", 303, "Ada Lovelace"},
		{"/machines/tokens/" + w.ids["key"] + "/revoke", "", 303, "The token is revoked"},
		{"/machines/tokens/mt_unheard_of/revoke", "", 303, "No M2M token"},
		{"/machines/tokens/oat_x/revoke", "", 404, "no such token"},
		{"/deliveries/endpoints", "url=ftp%3A%2F%2Fx", 303, "must be an address"},
		{"/deliveries/endpoints", "url=http%3A%2F%2F127.0.0.1%3A1%2Fhook", 303, "127.0.0.1:1/hook"},
		{"/deliveries/" + w.ids["message"] + "/replay", "", 303, "sent again"},
		{"/deliveries/msg_unheard_of/replay", "", 303, "No message"},
		{"/faults", "duplicate=10&delay_max=3d&frontend.slow=50&frontend.slow_for=2s", 303, `value="10"`},
		{"/faults", "duplicate=101", 422, "0 to 100 percent"},
		{"/faults", "duplicate=NaN", 422, "0 to 100 percent"},
		{"/faults", "delay_max=soon", 422, "is a duration"},
		{"/faults", "delay_max=-3s", 422, "is a duration"},
		{"/faults", "preset=down", 303, "Clerk is down"},
		{"/faults", "preset=unheard-of", 404, ""},
		{"/faults", "preset=none", 303, "Faults: None"},
		{"/clock", "advance=next", 303, "further"},
		{"/clock", "advance=2d", 303, "+2 d"},
		{"/clock", "advance=-1h", 303, "goes forward"},
		{"/clock", "advance=1e99d", 303, "goes forward"},
		{"/clock", "advance=36500d", 303, "further"},
		{"/clock", "advance=1h", 303, "century"},
		{"/keys/rotate", "what=signing", 303, "new signing key"},
		{"/keys/rotate", "what=webhooks", 303, "new webhook secret"},
		{"/inbox/clear", "", 303, "Nothing has arrived"},
		{person + "/delete", "", 303, "was deleted"},
		{"/reset", "", 303, "as at the start"},
	} {
		a := w.post(step.path, parse(t, step.form))
		name := fmt.Sprintf("POST %s %s", step.path, step.form)
		body := a.body
		if a.status == http.StatusSeeOther {
			next := w.get(a.location, "Cookie", flashOf(a))
			body = next.body
			if next.status != http.StatusOK {
				t.Errorf("%s leads to %s: %d", name, a.location, next.status)
			}
		}
		if a.status != step.status || !strings.Contains(body, step.shows) {
			t.Errorf("%s answers %d, want %d, and %q: %s", name, a.status, step.status, step.shows, textOf(body))
		}
	}
	if ahead := w.clerk.Ahead(); ahead != 0 {
		t.Errorf("after a reset the clock is %s ahead", ahead)
	}
}

// A form cannot lead elsewhere by the field with the way back.
func TestTheWayBackIsLocal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, back := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil"} {
		for _, form := range []string{"/preferences", "/clock"} {
			if a := w.post(form, url.Values{"back": {back}, "advance": {"1s"}, "theme": {"dark"}}); a.location != "/" {
				t.Errorf("%s leads back to %s", form, a.location)
			}
		}
	}
}

// A link in a message leads to this server, not to the host that the issuer names.
func TestLinksInTheInbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	page := w.get("/inbox").body
	found := regexp.MustCompile(`href="(http[^"]*)"`).FindStringSubmatch(page)
	if found == nil || !strings.HasPrefix(found[1], "http://localhost:4010/v1/") || strings.Contains(page, `href="`+w.clerk.Issuer) {
		t.Errorf("the links of the inbox are %q", found)
	}
}

// Every fault can be set, and has a name and a description.
func TestEveryFaultHasWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.get("/faults").body
	labels := regexp.MustCompile(`<label for="([^"]+)"><b>([^<]+)</b><span class="muted small">([^<]*)</span>`).FindAllStringSubmatch(page, -1)
	if len(labels) < 20 {
		t.Fatalf("the page has %d faults", len(labels))
	}
	for _, l := range labels {
		if l[1] == l[2] || l[3] == "" {
			t.Errorf("the fault %s has no words", l[1])
		}
	}
}

// A page shows a part of a long list.
func TestLongListsArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *emulator.Options) { o.Users, o.Organizations, o.Memberships = 10_000, 100, 10_000 })
	for _, page := range []string{"/", "/people", "/people?from=9950", "/people?from=1000000", "/people?from=-1", "/people?q=ada", "/organizations", "/sessions"} {
		a := w.get(page)
		if rows := strings.Count(a.body, "<tr>"); a.status != http.StatusOK || rows > 60 || len(a.body) > 100_000 {
			t.Errorf("%s answers %d with %d rows and %d bytes", page, a.status, rows, len(a.body))
		}
	}
	if a := w.get("/people"); !strings.Contains(a.body, "1–50 of 10,000") || !strings.Contains(a.body, "/people?from=50") {
		t.Error("the list of people has no second page")
	}
	if a := w.get("/people?from=9950"); strings.Contains(a.body, "data-next") {
		t.Error("the last page has a next one")
	}
}

func TestFormsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.post("/people/new", url.Values{"first": {strings.Repeat("x", 1<<20)}}); a.status != http.StatusBadRequest {
		t.Errorf("a long form gets %d", a.status)
	}
	if a := w.send(http.MethodPost, "/people/new", nil, "Content-Type", "application/x-www-form-urlencoded"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("an empty form gets %d", a.status)
	}
}

func hostOf(host string) string {
	name, _, _ := strings.Cut(host, ":4010")
	return name
}

func parse(t *testing.T, form string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// flashOf returns the cookie with what the next page says.
func flashOf(a answer) string {
	for _, c := range a.header["Set-Cookie"] {
		if strings.HasPrefix(c, "clerksync_flash") {
			text, _, _ := strings.Cut(c, ";")
			return text
		}
	}
	return ""
}

// textOf returns the text of a page, for the message of a test that fails.
func textOf(page string) string {
	_, main, _ := strings.Cut(page, "<main")
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(main, " ")
	return fmt.Sprintf("%.600s", strings.Join(strings.Fields(text), " "))
}

func FuzzSignInTarget(f *testing.F) {
	for _, seed := range []string{"http://localhost:3000", "//evil.example", "http://localhost\t@x", "http://%6cocalhost", "http://localhost:3000/\r\nSet-Cookie: a=b"} {
		f.Add(seed)
	}
	e, err := emulator.New(emulator.Options{Seed: 1, Users: 1})
	if err != nil {
		f.Fatal(err)
	}
	defer e.Close()
	handler := inspector.New(e, inspector.Options{})
	f.Fuzz(func(t *testing.T, app string) {
		w := &world{T: t, clerk: e, handler: handler}
		var users []struct{ ID string }
		if err := e.Call(t.Context(), "GET", "/v1/users", nil, &users); err != nil {
			t.Fatal(err)
		}
		a := w.post("/people/"+users[0].ID+"/sign-in", url.Values{"app": {app}})
		if a.status == http.StatusUnprocessableEntity {
			return
		}
		link, err := url.Parse(a.location)
		if err != nil {
			t.Fatalf("%q: %d to %q", app, a.status, a.location)
		}
		target, err := url.Parse(w.get(link.RequestURI(), "Host", link.Host).location)
		if err != nil || target.Scheme != "http" && target.Scheme != "https" {
			t.Fatalf("%q leads to %q: %v", app, target, err)
		}
		if host := strings.ToLower(target.Hostname()); host != "localhost" && !strings.HasSuffix(host, ".localhost") && !strings.HasPrefix(host, "127.") {
			t.Errorf("%q leads to the host %q", app, host)
		}
	})
}
