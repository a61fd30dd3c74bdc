package forwardauth_test

import (
	"slices"
	"testing"

	"github.com/clerksync/clerksync/forwardauth"
)

// Each kind of proxy has one form. The other forms are refused, whatever they contain.
func TestFormOfTheProxy(t *testing.T) {
	t.Parallel()
	type form struct {
		target string
		lines  []string
	}
	nginxForm := form{verify, []string{nginx, "X-Original-URI: /app/x", "X-Forwarded-Host: app.example.com"}}
	caddyForm := form{verify, []string{caddy, "X-Forwarded-Uri: /app/x", "X-Forwarded-Host: app.example.com"}}
	envoyForm := form{verify + "/app/x", nil}
	ingressForm := form{verify, []string{nginx, "X-Original-URL: https://app.example.com/app/x", "X-Auth-Request-Redirect: /app/x"}}
	takes := map[forwardauth.Proxy][]form{
		forwardauth.ProxyAny: {nginxForm, caddyForm, envoyForm}, forwardauth.ProxyNginx: {nginxForm}, forwardauth.ProxyCaddy: {caddyForm},
		forwardauth.ProxyTraefik: {caddyForm}, forwardauth.ProxyEnvoy: {envoyForm}, forwardauth.ProxyIngressNginx: {ingressForm},
	}
	for proxy, taken := range takes {
		h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, Proxy: proxy})
		for _, f := range []form{nginxForm, caddyForm, envoyForm, ingressForm} {
			status := 403
			if slices.ContainsFunc(taken, func(own form) bool { return slices.Equal(own.lines, f.lines) }) {
				status = 200
			}
			if w := check(t, h, "GET", f.target, f.lines...); w.Code != status {
				t.Errorf("%q: %s %v: %d %s, want %d", proxy, f.target, f.lines, w.Code, w.Body, status)
			}
		}
		if w := check(t, h, "GET", verify); w.Code != 403 {
			t.Errorf("%q: nothing: %d", proxy, w.Code)
		}
	}
	// a header that only a client can have sent is refused, even if it agrees
	foreign := map[forwardauth.Proxy][]string{
		forwardauth.ProxyNginx:        {caddy, "X-Forwarded-Uri: /app/x", "X-Original-URL: https://app.example.com/app/x"},
		forwardauth.ProxyCaddy:        {nginx, "X-Original-URI: /app/x", "X-Original-URL: /app/x"},
		forwardauth.ProxyTraefik:      {nginx, "X-Original-URI: /app/x", "X-Original-URL: /app/x"},
		forwardauth.ProxyEnvoy:        {nginx, "X-Original-URI: /app/x", caddy, "X-Forwarded-Uri: /app/x", "X-Original-URL: /app/x"},
		forwardauth.ProxyIngressNginx: {caddy, "X-Forwarded-Uri: /app/x"},
	}
	for proxy, lines := range foreign {
		h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, Proxy: proxy})
		own := takes[proxy][0]
		if w := check(t, h, "GET", own.target, append(slices.Clone(own.lines), lines...)...); w.Code != 403 {
			t.Errorf("%q with %v: %d, want 403", proxy, lines, w.Code)
		}
		for _, line := range lines {
			if w := check(t, h, "GET", own.target, append(slices.Clone(own.lines), line)...); w.Code != 403 {
				t.Errorf("%q with %s: %d, want 403", proxy, line, w.Code)
			}
		}
	}
	if _, err := forwardauth.New(&fake{}, forwardauth.Config{Proxy: "apache"}); err == nil {
		t.Error("an unknown kind of proxy is accepted")
	}
}

// ingress-nginx sends a full URL. Its host is the client's, and must not change where the path
// begins.
func TestOriginalURL(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := handler(t, f, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, Proxy: forwardauth.ProxyIngressNginx})
	for _, c := range []struct {
		url    string
		status int
	}{
		{"https://app.example.com/app/x", 200},
		{"http://app.example.com:8443/app/x?q=https://x/", 200},
		{"http://[::1]:80/app/x", 200},
		{"https://app.example.com/public/x", 200},
		{"https://app.example.com/admin/x?/public/x", 403},
		{"https://app.example.com//public/x", 403},
		{"https://app.example.com/public/../admin/x", 403},
		{"https://app.example.com/public/%2e%2e/admin/x", 403},
		{"https://app.example.com/public/x#", 403},
		{"https://app.example.com", 403},
		{"https:///public/x", 403},
		{"http:/public/x", 403},
		{"//app.example.com/public/x", 403},
		{"/public/x", 403},
		{"HTTPS://app.example.com/public/x", 403},
		{"ftp://app.example.com/public/x", 403},
		{"https://a?/public/x", 403},
		{"https://a#/public/x", 403},
		{"https://u@a/public/x", 403},
		{`https://a\b/public/x`, 403},
		{"https://a%2fb/public/x", 403},
		{"https://a b/public/x", 403},
		{"https://\xc3\xa4/public/x", 403},
	} {
		if w := check(t, h, "GET", verify, nginx, "X-Original-URL: "+c.url); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.url, w.Code, w.Body, c.status)
		}
	}
	const own = "X-Original-URL: https://app.example.com/app/x?q"
	for name, c := range map[string]struct {
		lines  []string
		status int
	}{
		"the target once more":         {[]string{nginx, own, "X-Original-URI: /app/x?q"}, 200},
		"another target":               {[]string{nginx, own, "X-Original-URI: /public/x"}, 403},
		"the target to come back to":   {[]string{nginx, own, "X-Auth-Request-Redirect: /app/x?q"}, 200},
		"a slash in the client's host": {[]string{nginx, "X-Original-URL: https://a/public/x?/admin/x", "X-Auth-Request-Redirect: /admin/x"}, 403},
		"a page to come back to":       {[]string{nginx, own, "X-Auth-Request-Redirect: https://app.example.com/"}, 200},
		"two":                          {[]string{nginx, own, own}, 403},
		"no method":                    {[]string{own}, 403},
		"two methods":                  {[]string{nginx, nginx, own}, 403},
		"another method":               {[]string{"X-Original-Method: DELETE", "X-Original-URL: https://app.example.com/growth/x"}, 403},
		"another spelling":             {[]string{nginx, own, "X_Original_URL: https://app.example.com/public/x"}, 403},
		"the headers of Caddy":         {[]string{nginx, own, caddy, "X-Forwarded-Uri: /app/x?q"}, 403},
	} {
		if w := check(t, h, "GET", verify, c.lines...); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
	}
	// the host is that of the URL: ingress-nginx passes on X-Forwarded-Host as the client sent it
	f.asked = nil
	check(t, h, "GET", verify, "X-Original-Method: POST", "X-Original-URL: https://app.example.com/app/x", "X-Forwarded-Host: evil.example.com")
	if got := f.asked[0]; got.Host != "app.example.com" || got.Method != "POST" || got.URL.Path != "/app/x" {
		t.Errorf("%s %s%s", got.Method, got.Host, got.URL)
	}
}
