package console

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// signInWithClerk gives the browser the session cookie of the application.
func (s *site) signInWithClerk(token string) {
	s.Helper()
	s.forget()
	u, _ := url.Parse(origin)
	s.jar.SetCookies(u, []*http.Cookie{{Name: "__session", Value: token, Path: "/"}})
}

func (s *site) session() string {
	u, _ := url.Parse(origin + "/console/")
	for _, c := range s.jar.Cookies(u) {
		if c.Name == "clerksync_session" {
			return c.Value
		}
	}
	return ""
}

// Whatever a route does, those who may not are refused before it: strangers, pages of other sites,
// and of those who are signed in, whoever may only look.
func TestRoutesRefuseWhoMayNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: auth.Role("admin")})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "admin"})
	bob := s.clerk.CreateUser(clerktest.User{Email: "bob@example.com", Role: "growth"})
	s.clerk.Settle()
	path := func(r route) string {
		_, path, _ := strings.Cut(r.pattern, " ")
		return "/console" + strings.NewReplacer("{$}", "", "{id}", ada, "{action}", "ban").Replace(path)
	}
	routes := newHandler(s.m, Options{Prefix: "/console"}).routes()
	for _, r := range routes {
		method, _, _ := strings.Cut(r.pattern, " ")
		if a := s.send(method, path(r), nil); !r.open && (a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/console/sign-in")) {
			t.Errorf("%s: a stranger gets %d %s", r.pattern, a.status, a.location)
		}
	}
	visitors := map[string]func() (page string){
		"a user without the role": func() string {
			s.signInWithClerk(s.clerk.TokenFor(clerktest.TokenOptions{UserID: bob, AZP: "https://app.example.com"}))
			return "/console/sign-in"
		},
		"an impersonator": func() string {
			s.signInWithClerk(s.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, AZP: "https://app.example.com", Actor: map[string]any{"sub": bob}}))
			return "/console/help"
		},
		"an admin": func() string { // adds no operators: the token would outlive the role
			s.signInWithClerk(s.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, AZP: "https://app.example.com"}))
			return "/console/settings/operators"
		},
		"a read-only operator": func() string { s.forget(); s.signIn(s.addOperator("reader", true)); return "/console/help" },
	}
	for who, arrive := range visitors {
		page := arrive()
		form := url.Values{formField: {s.tokenOf(page)}, "confirm": {ada}, "role": {"growth"}, "name": {"eve"}, "days": {"9"}}
		for _, r := range routes {
			method, _, _ := strings.Cut(r.pattern, " ")
			if method == http.MethodGet || r.reads {
				continue
			}
			if who == "an admin" && !r.operators {
				continue
			}
			if a := s.send(method, path(r), form); a.status != http.StatusForbidden {
				t.Errorf("%s: %s gets %d %s", r.pattern, who, a.status, a.location)
			}
		}
	}
	s.forget()
	s.signIn(operatorToken)
	form := url.Values{formField: {s.tokenOf("/console/help")}}
	for why, change := range map[string]func(*http.Request){
		"another site":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a sibling":         func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"another origin":    func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") },
		"no token":          func(r *http.Request) { r.PostForm = url.Values{} },
		"a stranger's form": func(r *http.Request) { r.PostForm = url.Values{formField: {"x"}} },
	} {
		for _, r := range routes {
			method, _, _ := strings.Cut(r.pattern, " ")
			if method == http.MethodGet {
				continue
			}
			if a := s.send(method, path(r), form, change); a.status != http.StatusForbidden {
				t.Errorf("%s: a form of %s gets %d %s", r.pattern, why, a.status, a.location)
			}
		}
	}
	if list, err := s.m.Operators().List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("the operators are %+v, %v", list, err)
	}
	if user, err := s.m.Users().ByClerkID(t.Context(), ada); err != nil || user.Banned || user.Role != "admin" {
		t.Errorf("the user is %+v, %v", user, err)
	}
}

// A session begins with a new secret and ends with its operator, its token, and the sign-out,
// however it began.
func TestConsoleSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
	sessions := s.m.Operators().Console()
	valid := func(secret, configured string) bool {
		_, err := sessions.BySecret(t.Context(), secret, configured)
		return err == nil
	}
	u, _ := url.Parse(origin)
	s.jar.SetCookies(u, []*http.Cookie{{Name: "clerksync_session", Value: strings.Repeat("A", 43), Path: "/console/"}})
	s.signIn(operatorToken)
	first := s.session()
	if first == strings.Repeat("A", 43) || !valid(first, operatorToken) || valid(first, operatorToken+"2") {
		t.Fatalf("the session is %q", first)
	}
	s.post("/console/sign-in?link=x", "/console/sign-in", "token", operatorToken)
	second := s.session()
	if valid(first, operatorToken) || !valid(second, operatorToken) {
		t.Errorf("the session that a sign-in replaces goes on")
	}
	if a := s.post("/console/help", "/console/sign-out"); a.location != "/console/sign-in" || s.session() != "" || valid(second, operatorToken) {
		t.Errorf("signing out: %d %s, %q", a.status, a.location, s.session())
	}

	link, err := sessions.Link(t.Context(), "", mirror.By{Actor: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	for try, want := range []int{http.StatusSeeOther, http.StatusUnauthorized} {
		s.forget()
		if a := s.post("/console/sign-in?link="+link, "/console/sign-in", "link", link); a.status != want {
			t.Errorf("use %d of a link: %d", try+1, a.status)
		}
		if try == 0 {
			if secret := s.session(); !valid(secret, operatorToken) || valid(secret, operatorToken+"2") || valid(secret, "") {
				t.Error("a session that began with a link does not depend on the configured token")
			}
		}
	}

	s.forget()
	s.signIn(s.addOperator("grace", false))
	secret := s.session()
	if err := s.m.Operators().Revoke(t.Context(), "grace", mirror.By{}); err != nil || valid(secret, operatorToken) {
		t.Errorf("a session outlives its operator: %v", err)
	}
	s.addOperator("grace", false)
	if valid(secret, operatorToken) {
		t.Error("a session goes over to another operator of the name")
	}
	for _, cookie := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 5000)} {
		if err := sessions.SignOut(t.Context(), cookie); err != nil || valid(cookie, operatorToken) {
			t.Errorf("%.9q: %v", cookie, err)
		}
	}
}

// The audit names the client that a trusted proxy saw, and not what the client claims.
func TestSignInIsAudited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
	form := url.Values{formField: {s.tokenOf("/console/sign-in")}, "token": {operatorToken}}
	a := s.send(http.MethodPost, "/console/sign-in", form, func(r *http.Request) {
		r.Header["X-Forwarded-For"] = []string{"10.6.6.6", "203.0.113.9"}
	})
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	page, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditSignIn})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	e := page.Items[0]
	if e.Actor != "operator" || e.Address != "203.0.113.9" || e.Origin == "" || e.RequestID == "" || time.Since(e.At) > time.Minute {
		t.Errorf("the audit has %+v", e)
	}
}

// What comes after a sign-in or a choice is a page of the console, whatever the form says.
func TestRedirectsStayHere(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/console"} {
		s := newSite(t, Options{Prefix: base + "/"})
		form := url.Values{formField: {s.tokenOf(base + "/sign-in")}, "token": {operatorToken}, "theme": {"dark"}}
		for _, back := range []string{
			"", "//evil.example.com", "/\\evil.example.com", "/\t/evil.example.com", "/\n/evil.example.com", base + "//evil.example.com",
			base + "/..//evil.example.com", base + "/../..//evil.example.com/%2f", "\\\\evil.example.com", "/ /evil.example.com", "evil.example.com",
		} {
			form.Set("back", back)
			for _, target := range []string{"/preferences", "/sign-in"} {
				a := s.send(http.MethodPost, base+target, form)
				u, err := url.Parse(a.location)
				ours := err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(a.location, "/") && !strings.HasPrefix(a.location, "//")
				if a.status != http.StatusSeeOther || !ours || strings.ContainsAny(a.location, "\\\t\n\r") {
					t.Errorf("%s with %q leads to %d %q", base+target, back, a.status, a.location)
				}
				s.forget()
				form.Set(formField, s.tokenOf(base+"/sign-in"))
			}
		}
	}
}

// Every answer tells browsers to keep it to themselves, to run nothing of others, and to show it in
// no frame; and what is no page of the console is refused.
func TestAnswersAreLocked(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Hosts: []string{"ops.example.com"}})
	for target, want := range map[string]int{
		"/console/sign-in": http.StatusOK, "/console/users": http.StatusSeeOther, "/console/nothing": http.StatusNotFound,
		"/console/assets/pages.css": http.StatusOK, "/console/assets/..%2fconsole.go": http.StatusNotFound,
		"/console/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd": http.StatusNotFound, "/console/assets/": http.StatusNotFound,
		"/console/users/%00": http.StatusSeeOther, "/console/sign-in?" + strings.Repeat("q=x&", 20_000): http.StatusOK,
		"/console/sign-in?a;b=%zz": http.StatusOK, "/console/sign-in/": http.StatusNotFound,
	} {
		a := s.get(target)
		if a.status != want {
			t.Errorf("%.80s: %d", target, a.status)
		}
		policy, cache := a.header.Get("Content-Security-Policy"), a.header.Get("Cache-Control")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
			a.header.Get("X-Frame-Options") != "DENY" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%.80s: %v", target, a.header)
		}
		if !strings.Contains(target, "/assets/pages.css") && cache != "no-store" {
			t.Errorf("%.80s may be cached: %q", target, cache)
		}
	}
	s.signIn(operatorToken)
	for _, host := range []string{"evil.example.com", "ops.example.com.evil.example.com", "", "127.0.0.1", "[::1]:80"} {
		if a := s.send(http.MethodGet, "/console/users", nil, func(r *http.Request) { r.Host = host }); a.status != http.StatusMisdirectedRequest {
			t.Errorf("as %q: %d", host, a.status)
		}
	}
	form := url.Values{formField: {s.tokenOf("/console/users")}, "theme": {"dark"}, "zone": {strings.Repeat("x", 100<<10)}}
	if a := s.send(http.MethodPost, "/console/preferences", form); a.status < 400 || a.status >= 500 {
		t.Errorf("a huge form gets %d", a.status)
	}
	form.Set("zone", strings.Repeat("x", 20<<10))
	for name, values := range s.send(http.MethodPost, "/console/preferences", form).header {
		if len(strings.Join(values, "")) > 4<<10 {
			t.Errorf("the answer to a long form has %d bytes of %s", len(strings.Join(values, "")), name)
		}
	}
}

// While the database does not work, no one gets in, and a page says why.
func TestNoOneGetsInWithoutADatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: auth.Role("admin")})
	s.signIn(operatorToken)
	if err := s.m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/console/users", "/console/help", "/console/jobs"} {
		if a := s.get(target); a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", target, a.status, a.location)
		}
	}
	for _, field := range []string{"token", "link"} {
		value := map[string]string{"token": operatorToken, "link": strings.Repeat("A", 43)}[field]
		if a := s.post("/console/sign-in?link=x", "/console/sign-in", field, value); a.status != http.StatusServiceUnavailable {
			t.Errorf("signing in with a %s: %d", field, a.status)
		}
	}
}

// The replay of what a list selects has every condition of the list.
func TestReplaySelectsNoMoreThanTheList(t *testing.T) {
	t.Parallel()
	at := time.Now()
	f := mirror.DeliveryFilter{
		State: mirror.DeliveryDead, Type: "user.*", Reason: "invalid", Subject: "user_1", ClerkOrganizationID: "org_1", Since: at, Until: at,
	}
	form := (&visit{}).replayForm(f, mirror.Page[mirror.Delivery]{Items: make([]mirror.Delivery, 1)})
	names := map[string]string{}
	for _, field := range form.Fields {
		names[field.Name] += field.Value
	}
	for name, want := range map[string]string{
		"state": "dead", "type": "user.*", "reason": "invalid", "subject": "user_1", "organization": "org_1", "since": timeText(at), "until": timeText(at),
	} {
		if names[name] != want {
			t.Errorf("%s is %q, want %q", name, names[name], want)
		}
	}
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	page := s.does("/console/deliveries", "/console/deliveries/replay", "state", "dead", "subject", "user_1", "organization", "org_1")
	s.shows(page, "user_1", "org_1")
}

// No page fails for what its address asks, and none runs or shows it as anything but text.
func TestHostileAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.NewDatabase(t, "sqlite"))
	w.signIn(operatorToken)
	links := regexp.MustCompile(`(?i)(?:href|src|action)="\s*javascript:`)
	names := []string{
		"q", "state", "status", "type", "reason", "subject", "organization", "text", "user", "role", "active", "kind", "operation", "action", "actor", "since",
		"until", "when", "from", "to", "need", "permission", "method", "path", "session", "after", "show", "back", "failed", "message", "email", "days",
	}
	for i, value := range []string{
		`"><script>alert(1)</script>'`, "javascript:alert(1)", "\x00\xff" + strings.Repeat("9", 300), "role:king",
	} {
		query := url.Values{}
		for _, name := range names {
			query.Set(name, value)
		}
		targets := []string{"/console/explain?" + url.Values{"user": {w.user}, "need": {value}, "permission": {value}, "path": {value}}.Encode()}
		for _, r := range w.routes() {
			targets = append(targets, w.target(r)+"?"+query.Encode())
			if i == 0 && strings.Contains(r, "{") {
				targets = append(targets, strings.NewReplacer("{id}", url.PathEscape(value), "{action}", "ban").Replace("/console"+r[len("GET "):]))
			}
		}
		for _, target := range targets {
			a := w.get(strings.Replace(target, "?q=a?", "?", 1))
			if a.status >= http.StatusInternalServerError || strings.Contains(a.body, "<script>alert") || links.MatchString(a.body) {
				t.Errorf("%.150s: %d", target, a.status)
			}
		}
	}
}

// routes returns the patterns of all pages.
func (w *world) routes() (patterns []string) {
	for _, r := range newHandler(w.m, w.o).routes() {
		if strings.HasPrefix(r.pattern, "GET ") {
			patterns = append(patterns, r.pattern)
		}
	}
	return patterns
}

// A body that cannot be parsed is shown only if it cannot have private metadata.
func TestDamagedBodiesHidePrivateMetadata(t *testing.T) {
	t.Parallel()
	for body, shown := range map[string]bool{`{"data": {"id": "user_1"`: true, `{"data": {"private_metadata": {"note": "x"}`: false} {
		var d mirror.Delivery
		d.SetBody(body)
		data := deliveryData{Delivery: d, HasBody: true}
		v := &visit{handler: &handler{options: Options{ShowPayloads: true}}}
		if v.addBody(&data); (data.Body == body) != shown || data.Body == "" || data.Curl != "" {
			t.Errorf("%s: %s", body, data.Body)
		}
	}
}

// FuzzLocal demands that what a form names is a path of the console, as browsers read it: they drop
// tabs and newlines, and take backslashes for slashes.
func FuzzLocal(f *testing.F) {
	for _, seed := range []string{"/console/users?q=a#b", "//evil", "/\\evil", "/\t/evil", "https:evil", "/console/../..//evil", "/\x00/evil"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, base := range []string{"", "/console"} {
			w := httptest.NewRecorder()
			v := &visit{handler: &handler{base: base}, w: w, r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, base+"/preferences", http.NoBody)}
			if err := v.redirect(v.local(path)); err != nil {
				t.Fatal(err)
			}
			location := strings.TrimLeft(w.Header().Get("Location"), " \x00\x01\x1f")
			read := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(location)
			if !strings.HasPrefix(read, "/") || strings.HasPrefix(read, "//") {
				t.Errorf("%q leads to %q", path, read)
			}
		}
	})
}
