package forwardauth_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync/forwardauth"
)

// spellings returns header names that CGI and similar interfaces take for the same header.
func spellings(name string) []string {
	all := []string{name, strings.ToLower(name), strings.ToUpper(name)}
	for _, separator := range []string{"_", ".", "~", "!", "+"} {
		all = append(all, strings.ReplaceAll(name, "-", separator), strings.ToLower(strings.Replace(name, "-", separator, 1)))
	}
	last := strings.LastIndexByte(name, '-')
	return append(all, name[:last]+"_"+name[last+1:])
}

// A header with which a framework serves another method or path is refused, in each
// spelling that a server folds together.
func TestOverrideHeadersInEverySpelling(t *testing.T) {
	t.Parallel()
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	for name, value := range map[string]string{
		"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE", "X-Method": "DELETE",
		"HTTP-Method-Override": "DELETE", "X-HTTP-Override-Method": "DELETE",
		"X-Original-URL": "/admin/x", "X-Rewrite-URL": "/admin/x", "X-Rewrite-URI": "/admin/x", "X-Override-URL": "/admin/x", "X-Forwarded-URL": "/admin/x",
		"Script-Name": "/public", "X-Script-Name": "/public", "Path-Info": "/admin/x", "Request-URI": "/admin/x",
	} {
		for _, alias := range spellings(name) {
			for _, empty := range []bool{false, true} {
				line := alias + ": " + value
				status := 403
				if empty {
					line, status = alias+": ", 200
				}
				if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x", line); w.Code != status {
					t.Errorf("%s: %d, want %d", line, w.Code, status)
				}
			}
		}
	}
	for _, line := range []string{"X-HTTP-Method-Override: GET", "X_HTTP_METHOD_OVERRIDE: GET", "X-Payment-Method: card", "Access-Control-Request-Method: PUT", "X-Forwarded-Prefix: /x"} {
		if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x", line); w.Code != 200 {
			t.Errorf("%s: %d, want 200", line, w.Code)
		}
	}
	if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x", "X_HTTP_Method: GET", "X_HTTP_Method: PUT"); w.Code != 403 {
		t.Errorf("the second of two values: %d, want 403", w.Code)
	}
}

// The headers of the original request count in one spelling only.
func TestFormHeadersInOtherSpellings(t *testing.T) {
	t.Parallel()
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	for name, value := range map[string]string{
		"X-Original-Method": "GET", "X-Forwarded-Method": "GET", "X-Original-URI": "/public/x", "X-Forwarded-Uri": "/public/x",
	} {
		for _, alias := range spellings(name)[3:] {
			if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x", alias+": "+value); w.Code != 403 {
				t.Errorf("%s: %d, want 403", alias, w.Code)
			}
		}
	}
}

// A header that an application could take for an identity header, and that no proxy overwrites, is
// refused.
func TestIdentityHeadersThatNoProxyOverwrites(t *testing.T) {
	t.Parallel()
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	for _, name := range append(forwardauth.Headers(), "X-Clerk-Anything", "X-Clerk-Auth-Status") {
		for i, alias := range spellings(name) {
			status := 403
			if i < 3 && name != "X-Clerk-Anything" && name != "X-Clerk-Auth-Status" {
				status = 200 // the proxy overwrites it with what the check answers
			}
			for _, value := range []string{"evil", ""} {
				if w := check(t, h, "GET", verify, nginx, "X-Original-URI: /public/x", alias+": "+value); w.Code != status {
					t.Errorf("%s: %q: %d, want %d", alias, value, w.Code, status)
				}
			}
		}
	}
}

// POST /x?_method=DELETE is DELETE to some frameworks. It passes if one route decides about
// both.
func TestMethodInTheQuery(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := handler(t, f, forwardauth.Config{TrustedProxies: proxies, Policy: parsePolicy(t, `{"routes": [
		{"path": "/all"}, {"path": "/some", "methods": ["GET", "POST"]},
		{"path": "/two", "methods": ["POST"]}, {"path": "/two", "methods": ["DELETE"], "require": {"role": "admin"}}
	]}`)})
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{"POST", "/all?_method=DELETE", 200},
		{"POST", "/all?_method=TRACE", 403},
		{"POST", "/all?_method=", 403},
		{"POST", "/some?_method=get", 200},
		{"POST", "/some?_method=DELETE", 403},
		{"POST", "/some?a=b&_method=delete", 403},
		{"POST", "/some?_method=GET&_method=DELETE", 403},
		{"POST", "/two?_method=DELETE", 403},
		{"POST", "/two?%5fmethod=DELETE", 403},
		{"POST", "/two?.method=DELETE", 403},
		{"POST", "/two?+method=DELETE", 200}, // PHP drops the space, and the name is method
		{"POST", "/two?+_method=DELETE", 403},
		{"POST", "/two?_method%5B%5D=DELETE", 403},
		{"POST", "/two?_METHOD=DELETE", 403},
		{"POST", "/two?a;_method=DELETE", 403},
		{"POST", "/two?_method=%zz", 403},
		{"POST", "/two?_method%00=DELETE", 403}, // PHP ends a name at the NUL
		{"POST", "/two?_method%00x%5B%5D=DELETE", 403},
		{"POST", "/two?a%00_method=DELETE", 200},
		{"POST", "/two?_method=POST", 200},
		{"POST", "/two?the_method=DELETE&method=DELETE", 200},
		{"POST", "/two?a=_method=DELETE", 200},
	} {
		if w := check(t, h, "GET", verify, "X-Original-Method: "+c.method, "X-Original-URI: "+c.target); w.Code != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, w.Code, c.status)
		}
	}
	// a GET that may become another method needs the proof of the same origin that a POST needs
	f.asked = nil
	check(t, h, "GET", verify, nginx, "X-Original-URI: /all?_method=DELETE")
	if len(f.asked) != 1 || f.asked[0].Method != "POST" {
		t.Errorf("asked for %v", f.asked)
	}
}
