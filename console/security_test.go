package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Hosts: []string{"ops.example.com"}})
	stranger := s.get("/console/sign-in")
	s.signIn(operatorToken)
	answers := map[string]answer{
		"sign-in": stranger, "a page": s.get("/console/users"), "no page": s.get("/console/nothing"), "a redirect": s.get("/console/search?q=user_x"),
		"another host": s.send(http.MethodGet, "/console/users", nil, func(r *http.Request) { r.Host = "evil.example.com" }),
		"a style":      s.get("/console/assets/pages.css"),
		"another site": s.send(http.MethodPost, "/console/sign-out", url.Values{}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }),
	}
	for name, a := range answers {
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		} {
			if !strings.HasPrefix(a.header.Get(header), want) {
				t.Errorf("%s: %s is %q", name, header, a.header.Get(header))
			}
		}
		if strings.Contains(a.header.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: the policy allows inline code", name)
		}
		if a.header.Get("Cache-Control") != "no-store" && name != "a style" {
			t.Errorf("%s may be stored: %q", name, a.header.Get("Cache-Control"))
		}
	}
	if a := answers["another host"]; a.status != http.StatusMisdirectedRequest {
		t.Errorf("another host is answered %d", a.status)
	}
	if a := answers["another site"]; a.status != http.StatusForbidden {
		t.Errorf("a form of another site is answered %d", a.status)
	}
	if a := answers["no page"]; a.status != http.StatusNotFound || !strings.Contains(a.body, "<main") {
		t.Errorf("no page is answered %d", a.status)
	}
	page := s.get("/console/users").body
	_, rest, _ := strings.Cut(page, `href="/console/assets/pages.css?v=`)
	version, _, _ := strings.Cut(rest, `"`)
	if a := s.get("/console/assets/pages.css?v=" + version); !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("the style of this version is not kept: %v", a.header)
	}
}

// Nothing is changed without the token of a form that a page made for this browser and this
// session. Every route is asked, also those that are yet to come.
func TestFormsNeedTheirToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	first := s.tokenOf("/console/settings")
	s.forget()
	s.signIn(operatorToken)
	mine := s.tokenOf("/console/settings")
	if mine == first {
		t.Error("two sessions have one token")
	}
	for _, r := range newHandler(s.m, s.o).routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		if method != http.MethodPost {
			if method != http.MethodGet {
				t.Errorf("%s: forms have GET and POST alone", r.pattern)
			}
			continue
		}
		path = "/console" + strings.NewReplacer("{id}", "user_x", "{action}", "ban", "{name}", "n").Replace(path)
		for name, token := range map[string]string{"no token": "", "a token of another session": first, "half a token": mine[:20]} {
			a := s.send(http.MethodPost, path, url.Values{formField: {token}, "theme": {"dark"}})
			if a.status != http.StatusForbidden || !strings.Contains(a.body, "no longer valid") {
				t.Errorf("%s with %s is answered %d", r.pattern, name, a.status)
			}
		}
		inURL := s.send(http.MethodPost, path+"?"+formField+"="+mine, url.Values{})
		if inURL.status != http.StatusForbidden {
			t.Errorf("%s takes the token from the URL: %d", r.pattern, inURL.status)
		}
	}
}

// A page leads nowhere else.
func TestNoPageLeadsElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for _, back := range []string{"https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "/console/\\..//evil", "/other", "javascript:alert(1)", "/console/\r\nX: y"} {
		s.forget()
		a := s.post("/console/sign-in", "/console/sign-in", "token", operatorToken, "back", back)
		if a.status != http.StatusSeeOther || a.location != "/console/" {
			t.Errorf("%q leads to %d %q", back, a.status, a.location)
		}
		if a := s.get("/console/sign-in?back=" + url.QueryEscape(back)); a.location != "/console/" {
			t.Errorf("%q leads to %q", back, a.location)
		}
		if a := s.post("/console/settings", "/console/preferences", "theme", "dark", "back", back); a.location != "/console/" {
			t.Errorf("%q leads to %q", back, a.location)
		}
	}
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	s.post("/console/settings", "/console/preferences", "theme", "dark", "zone", "Asia/Kolkata", "back", "/console/settings")
	page := s.get("/console/settings").body
	for _, want := range []string{`data-theme="dark"`, `data-zone="Asia/Kolkata"`, "UTC+05:30"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	s.post("/console/settings", "/console/preferences", "zone", "Mars/Olympus", "back", "/console/settings")
	if page := s.get("/console/settings").body; !strings.Contains(page, "no time zone Mars/Olympus") || !strings.Contains(page, "Asia/Kolkata") {
		t.Error("a zone that does not exist is not refused")
	}
	s.post("/console/settings", "/console/preferences", "theme", "system", "zone", "auto", "back", "/console/settings")
	if page := s.get("/console/settings").body; strings.Contains(page, "data-theme=\"dark\"") || !strings.Contains(page, `data-zone="auto"`) {
		t.Error("the preferences cannot be undone")
	}
}

// Consoles on two ports of one machine do not sign each other out.
func TestCookiesHaveThePort(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for host, want := range map[string]string{"localhost:8081": "clerksync_form_8081=", "ops.example.com": "clerksync_form=", "[::1]:9": "clerksync_form_9="} {
		a := s.send(http.MethodGet, "/console/sign-in", nil, func(r *http.Request) { r.Host = host })
		if got := a.header.Get("Set-Cookie"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", host, got)
		}
	}
}
